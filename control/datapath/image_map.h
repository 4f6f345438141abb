// SPDX-License-Identifier: Apache-2.0
// Images of policies as maps, and how one takes the place of another.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/fd.h"
#include "core/result.h"
#include "shared/image.h"

namespace sluice::datapath {

// A map that holds the image, for `policy` or, where it is large, for `policy_large`.
struct ImageMap {
    Fd fd;
    bool large = false;
};
Result<ImageMap> make_image(const std::vector<std::uint64_t> &image);

// Swaps it in. `policy` and `policy_large`: descriptors of the arrays of maps. One write decides:
// programs see the old image until then and this one afterwards.
Result<void> publish_image(int policy, int policy_large, const ImageMap &image);

// The head of what is published; nullopt: nothing is.
std::optional<dp_image_head> published_head(int policy, int policy_large);

} // namespace sluice::datapath
