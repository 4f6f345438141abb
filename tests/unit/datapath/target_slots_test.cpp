// SPDX-License-Identifier: Apache-2.0
#include "datapath/target_slots.h"

#include <cerrno>
#include <gtest/gtest.h>

namespace sluice::datapath {
namespace {

using Slots = std::vector<std::uint32_t>;

dp_redirect_goal to_port(std::uint16_t port) {
    dp_redirect_goal goal{};
    goal.v4.present = 1;
    goal.v4.port = port;
    return goal;
}

TEST(TargetSlots, AGoalStaysWhereItIsAndOthersTakeFreeSlots) {
    const TargetSlots held{{1, to_port(80)}, {3, to_port(443)}};
    const auto slots = place_goals(held, {to_port(8080), to_port(443), to_port(53)});
    ASSERT_TRUE(slots);
    EXPECT_EQ(*slots, (Slots{2, 3, 4}));
}

TEST(TargetSlots, OnePolicyAlwaysReplacesAnother) {
    std::vector<dp_redirect_goal> old_goals, new_goals;
    for (std::size_t i = 0; i < compiler::goals_max; ++i) {
        old_goals.push_back(to_port(static_cast<std::uint16_t>(1 + i)));
        new_goals.push_back(to_port(static_cast<std::uint16_t>(10000 + i)));
    }
    TargetSlots held;
    const auto first = place_goals(held, old_goals);
    ASSERT_TRUE(first);
    for (std::size_t i = 0; i < old_goals.size(); ++i)
        held[(*first)[i]] = old_goals[i];
    const auto second = place_goals(held, new_goals);
    ASSERT_TRUE(second);
    for (std::size_t i = 0; i < new_goals.size(); ++i)
        EXPECT_TRUE(held.emplace((*second)[i], new_goals[i]).second) << "a slot in use";
    while (held.size() < DP_TARGETS_MAX - 1)
        held.emplace(static_cast<std::uint32_t>(held.size() + 1), to_port(9));
    EXPECT_EQ(place_goals(held, {to_port(60000)}).error().code, ENOSPC);
}

TEST(TargetSlots, OnlyRowsThatRedirectAreNumberedAnew) {
    compiler::Plan plan;
    plan.image.resize(DP_LAYERS_MAX + 3);
    auto *rows = &plan.image[DP_LAYERS_MAX];
    rows[0].op = rows[1].op = DP_OP_MATCH;
    rows[0].row.flags = DP_ROW_REDIRECT;
    rows[0].row.callout = rows[1].row.callout = 1;
    for (auto &byte : rows[2].text) // of an executable's path: no row, whatever it says
        byte = 0xff;
    const auto cells = with_slots(plan, {7});
    EXPECT_EQ(cells[DP_LAYERS_MAX].row.callout, 7u);
    EXPECT_EQ(cells[DP_LAYERS_MAX + 1].row.callout, 1u) << "a callout";
    EXPECT_EQ(cells[DP_LAYERS_MAX + 2].text[31], 0xff);
}

} // namespace
} // namespace sluice::datapath
