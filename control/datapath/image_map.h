// SPDX-License-Identifier: Apache-2.0
// Images of policies as maps, and how one takes the place of another.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/layout.h"
#include "core/fd.h"
#include "core/result.h"
#include "shared/image.h"

namespace sluice::datapath {

// A map that holds the image, for `policy` or, where it is large, for `policy_large`.
struct ImageMap {
    ImageMap() = default;
    ImageMap(ImageMap &&other) noexcept { *this = std::move(other); }
    ImageMap &operator=(ImageMap &&other) noexcept {
        std::swap(fd, other.fd);
        std::swap(large, other.large);
        std::swap(layout, other.layout);
        std::swap(version, other.version);
        std::swap(at, other.at);
        return *this;
    }
    ~ImageMap();

    Fd fd;
    bool large = false;
    std::uint64_t layout = 0, version = 0; // of whose bytes it has, 0: nobody's
    void *at = nullptr;                    // mapped, while it may be filled again
};
Result<ImageMap> make_image(const std::vector<std::uint64_t> &image);
// Makes `map` hold the layout's image: of an earlier version of it only the pages that differ are
// written. No program may see the map any more.
Result<void> fill_image(ImageMap &map, const compiler::Layout &layout);

// Swaps it in. `policy` and `policy_large`: descriptors of the arrays of maps. One write decides:
// programs see the old image until then and this one afterwards.
Result<void> publish_image(int policy, int policy_large, const ImageMap &image);

// The head of what is published; nullopt: nothing is.
std::optional<dp_image_head> published_head(int policy, int policy_large);

} // namespace sluice::datapath
