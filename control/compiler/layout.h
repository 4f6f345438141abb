// SPDX-License-Identifier: Apache-2.0
// The cells of a plan -> the bytes that the programs search (bpf/shared/image.h). Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "compiler/layer.h"
#include "shared/policy.h"

namespace sluice::compiler {

// `cells`: DP_LAYERS_MAX index cells and the rows of the layers behind them, as in Plan::image, at
// most DP_IMAGE_CELLS_MAX. Never more than DP_IMAGE_LARGE bytes: what finds rows takes the room
// that the rows leave, and finds them less precisely where that is little.
std::vector<std::uint64_t> lay_out(const std::vector<dp_cell> &cells);
// Whether it fits a value of DP_IMAGE_SMALL bytes.
bool is_small(const std::vector<std::uint64_t> &image);

// An image that stays at hand, so that the next policy's need not be made anew. An image that was
// changed finds what one made anew finds; ranks are others, with gaps between them.
class Layout {
public:
    // weights: of the filters, in the order of rows.
    Layout(const std::vector<dp_cell> &cells, const std::vector<std::uint64_t> &weights);
    Layout(const Layout &) = delete;
    Layout &operator=(const Layout &) = delete;

    [[nodiscard]] const Image &image() const { return image_; }
    [[nodiscard]] const dp_image_head &head() const { return image_.read<dp_image_head>(0); }
    [[nodiscard]] std::uint64_t number() const { return number_; } // of all layouts ever

    // Begins the next version; what is changed until the next one belongs to it.
    void begin(std::uint64_t generation);
    // The row that begins at cells[first]. False: the image has to be made anew, this one is of no
    // use any more.
    bool insert(std::uint16_t layer, const RowKey &key, const std::vector<dp_cell> &cells,
                std::uint32_t first);
    bool remove(std::uint16_t layer, const RowKey &key);
    // All rows of a layer, from cells as above, in place of those that it had.
    bool replace(std::uint16_t layer, const std::vector<dp_cell> &cells,
                 const std::vector<std::uint64_t> &weights);
    void end(); // of a version's changes
    [[nodiscard]] std::uint32_t rows(std::uint16_t layer) const {
        return layers_[layer] == nullptr ? 0 : layers_[layer]->rows();
    }
    [[nodiscard]] bool can_change(std::uint16_t layer) const {
        return layers_[layer] != nullptr && layers_[layer]->can_change();
    }

private:
    Image image_;
    std::uint64_t number_;
    std::vector<std::unique_ptr<Layer>> layers_; // by number, null: no rows
};

} // namespace sluice::compiler
