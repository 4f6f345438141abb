// SPDX-License-Identifier: Apache-2.0
#include "cli/pieces.h"

namespace sluice::cli {

namespace {

class Pieces {
public:
    std::vector<protocol::Objects> all{1};

    template <typename Objects, typename Add>
    void add(Objects &objects, const Add &add) {
        for (auto &object : objects) {
            const std::size_t size = object.ByteSizeLong() + 8; // with its tag and length
            if (bytes_ != 0 && bytes_ + size > piece_bytes) {
                all.emplace_back();
                bytes_ = 0;
            }
            bytes_ += size;
            add(all.back())->Swap(&object);
        }
    }

private:
    std::size_t bytes_ = 0;
};

} // namespace

std::vector<protocol::Objects> in_pieces(protocol::Objects from) {
    using Objects = protocol::Objects;
    Pieces pieces;
    pieces.add(*from.mutable_providers(), [](Objects &to) { return to.add_providers(); });
    pieces.add(*from.mutable_provider_contexts(),
               [](Objects &to) { return to.add_provider_contexts(); });
    pieces.add(*from.mutable_sublayers(), [](Objects &to) { return to.add_sublayers(); });
    pieces.add(*from.mutable_callouts(), [](Objects &to) { return to.add_callouts(); });
    pieces.add(*from.mutable_filters(), [](Objects &to) { return to.add_filters(); });
    return std::move(pieces.all);
}

namespace {

template <typename Objects>
void move_all(Objects &from, Objects &to) {
    for (auto &object : from)
        to.Add()->Swap(&object);
}

} // namespace

protocol::Objects together(std::vector<protocol::Objects> pieces) {
    protocol::Objects all;
    for (auto &piece : pieces) {
        move_all(*piece.mutable_providers(), *all.mutable_providers());
        move_all(*piece.mutable_provider_contexts(), *all.mutable_provider_contexts());
        move_all(*piece.mutable_sublayers(), *all.mutable_sublayers());
        move_all(*piece.mutable_callouts(), *all.mutable_callouts());
        move_all(*piece.mutable_filters(), *all.mutable_filters());
    }
    return all;
}

std::size_t object_count(const protocol::Objects &objects) {
    return static_cast<std::size_t>(objects.providers_size() + objects.provider_contexts_size() +
                                    objects.sublayers_size() + objects.callouts_size() +
                                    objects.filters_size());
}

} // namespace sluice::cli
