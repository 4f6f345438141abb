// SPDX-License-Identifier: Apache-2.0
#include "compiler/layout.h"

#include <algorithm>
#include <atomic>

namespace sluice::compiler {

namespace {

std::uint64_t next_number() {
    static std::atomic<std::uint64_t> last;
    return ++last;
}

std::size_t rows_of_layer(const std::vector<dp_cell> &cells, std::uint16_t layer) {
    const auto &index = cells[layer].layer;
    return static_cast<std::size_t>(
        std::count_if(cells.begin() + index.first, cells.begin() + index.first + index.count,
                      [](const dp_cell &cell) { return cell.op == DP_OP_MATCH; }));
}

// The rows from cells[first] to before cells[end] are in the layer: whether they ask callouts.
void mark_asking(Image &image, std::uint16_t layer, const std::vector<dp_cell> &cells,
                 std::uint32_t first, std::uint32_t end) {
    const bool asks = std::any_of(cells.begin() + first, cells.begin() + end, [](const dp_cell &c) {
        return c.op == DP_OP_MATCH && c.row.callout != 0;
    });
    if (asks) image.at<dp_image_head>(0)->asks[layer / 64] |= 1ull << layer % 64;
}

void mark_asking(Image &image, std::uint16_t layer, const std::vector<dp_cell> &cells) {
    const auto &index = cells[layer].layer;
    mark_asking(image, layer, cells, index.first, index.first + index.count);
}

// The layers of the cells, by number. weights: of all rows, or none.
std::vector<std::unique_ptr<Layer>> write_all(Image &image, const std::vector<dp_cell> &cells,
                                              const std::vector<std::uint64_t> &weights) {
    image.take(sizeof(dp_image_head));
    dp_image_head head{};
    head.generation = cells[0].layer.generation;
    std::copy(std::begin(cells[0].layer.present), std::end(cells[0].layer.present), head.present);
    *image.at<dp_image_head>(0) = head;
    std::vector<std::unique_ptr<Layer>> layers(DP_LAYERS_MAX);
    auto weight = weights.begin();
    for (std::uint16_t layer = 0; layer < DP_LAYERS_MAX; ++layer) {
        if (cells[layer].layer.count == 0) continue;
        layers[layer] = std::make_unique<Layer>(image, layer);
        std::vector<std::uint64_t> own;
        if (!weights.empty()) {
            const std::size_t rows = rows_of_layer(cells, layer);
            own.assign(weight, weight + static_cast<std::ptrdiff_t>(rows));
            weight += static_cast<std::ptrdiff_t>(rows);
        }
        layers[layer]->write(cells, own);
        mark_asking(image, layer, cells);
    }
    for (const auto &layer : layers)
        if (layer) layer->find_tables();
    image.at<dp_image_head>(0)->size = image.size();
    return layers;
}

} // namespace

std::vector<std::uint64_t> lay_out(const std::vector<dp_cell> &cells) {
    Image image(DP_IMAGE_LARGE);
    write_all(image, cells, {});
    return image.release();
}

bool is_small(const std::vector<std::uint64_t> &image) {
    return image.size() * sizeof image[0] <= DP_IMAGE_SMALL;
}

Layout::Layout(const std::vector<dp_cell> &cells, const std::vector<std::uint64_t> &weights)
    : image_(DP_IMAGE_LARGE), number_(next_number()), layers_(write_all(image_, cells, weights)) {}

void Layout::begin(std::uint64_t generation) {
    image_.advance();
    image_.at<dp_image_head>(0)->generation = generation;
}

void Layout::end() {
    image_.at<dp_image_head>(0)->size = image_.size();
}

bool Layout::insert(std::uint16_t layer, const RowKey &key, const std::vector<dp_cell> &cells,
                    std::uint32_t first) {
    if (!can_change(layer) || key.sublayer >= layers_[layer]->sublayers() ||
        !layers_[layer]->insert(key, cells, first))
        return false;
    std::uint32_t end = first;
    while (cells[end++].op != DP_OP_MATCH) {
    }
    mark_asking(image_, layer, cells, first, end);
    return true;
}

bool Layout::remove(std::uint16_t layer, const RowKey &key) {
    return can_change(layer) && layers_[layer]->remove(key);
}

bool Layout::replace(std::uint16_t layer, const std::vector<dp_cell> &cells,
                     const std::vector<std::uint64_t> &weights) {
    constexpr std::size_t a_row_at_most = 4096; // with what finds it
    const bool any = cells[layer].layer.count != 0;
    if (image_.size() + weights.size() * a_row_at_most > DP_IMAGE_LARGE) return false;
    auto *head = image_.at<dp_image_head>(0);
    head->present[layer / 64] &= ~(1ull << layer % 64);
    head->asks[layer / 64] &= ~(1ull << layer % 64);
    if (any) head->present[layer / 64] |= 1ull << layer % 64;
    *image_.at<dp_layer_search>(static_cast<std::uint32_t>(
        __builtin_offsetof(dp_image_head, layer) + layer * sizeof(dp_layer_search))) = {};
    layers_[layer] = any ? std::make_unique<Layer>(image_, layer) : nullptr;
    if (!any) return true;
    layers_[layer]->write(cells, weights);
    mark_asking(image_, layer, cells);
    layers_[layer]->find_tables();
    return true;
}

} // namespace sluice::compiler
