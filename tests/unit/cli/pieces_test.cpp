// SPDX-License-Identifier: Apache-2.0
#include "cli/pieces.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

TEST(Pieces, AreSmallAndHoldEverythingInOrder) {
    protocol::Objects objects;
    objects.add_sublayers()->set_name("s");
    for (int i = 0; i < 3000; ++i)
        objects.add_filters()->set_name(std::string(100, 'f') + std::to_string(i));
    const auto pieces = in_pieces(objects);
    EXPECT_GT(pieces.size(), 4u);
    protocol::Objects all;
    for (const auto &piece : pieces) {
        EXPECT_LE(piece.ByteSizeLong(), piece_bytes);
        all.MergeFrom(piece);
    }
    EXPECT_EQ(all.SerializeAsString(), objects.SerializeAsString());
    EXPECT_EQ(together(pieces).SerializeAsString(), objects.SerializeAsString());
    EXPECT_EQ(object_count(objects), 3001u);
}

TEST(Pieces, ThereIsOneOfNothingAndOneOfAnObjectTooLarge) {
    EXPECT_EQ(in_pieces({}).size(), 1u);
    protocol::Objects objects;
    for (int i = 0; i < 2; ++i)
        objects.add_provider_contexts()->set_data(std::string(piece_bytes, 'x'));
    EXPECT_EQ(in_pieces(objects).size(), 2u);
}

} // namespace
} // namespace sluice::cli
