// SPDX-License-Identifier: Apache-2.0
#include "cli/pieces.h"

namespace sluice::cli {

namespace {

class Pieces {
public:
    std::vector<protocol::Objects> all{1};

    template <typename Objects, typename Add>
    void add(const Objects &objects, const Add &add) {
        for (const auto &object : objects) {
            const std::size_t size = object.ByteSizeLong() + 8; // with its tag and length
            if (bytes_ != 0 && bytes_ + size > piece_bytes) {
                all.emplace_back();
                bytes_ = 0;
            }
            bytes_ += size;
            *add(all.back()) = object;
        }
    }

private:
    std::size_t bytes_ = 0;
};

} // namespace

std::vector<protocol::Objects> in_pieces(const protocol::Objects &objects) {
    using Objects = protocol::Objects;
    Pieces pieces;
    pieces.add(objects.providers(), [](Objects &to) { return to.add_providers(); });
    pieces.add(objects.provider_contexts(), [](Objects &to) { return to.add_provider_contexts(); });
    pieces.add(objects.sublayers(), [](Objects &to) { return to.add_sublayers(); });
    pieces.add(objects.callouts(), [](Objects &to) { return to.add_callouts(); });
    pieces.add(objects.filters(), [](Objects &to) { return to.add_filters(); });
    return std::move(pieces.all);
}

std::size_t object_count(const protocol::Objects &objects) {
    return static_cast<std::size_t>(objects.providers_size() + objects.provider_contexts_size() +
                                    objects.sublayers_size() + objects.callouts_size() +
                                    objects.filters_size());
}

} // namespace sluice::cli
