// SPDX-License-Identifier: Apache-2.0
#include "daemon/context_slots.h"

#include <gtest/gtest.h>

#include "shared/policy.h"

namespace sluice::daemon {
namespace {

TEST(ContextSlots, ACalloutKeepsItsSlotWhileNobodyNeedsIt) {
    ContextSlots slots;
    EXPECT_EQ(slots.give(10).slot, 1u);
    EXPECT_EQ(slots.give(11).slot, 2u);
    slots.release(10);
    EXPECT_EQ(slots.give(12).slot, 3u) << "there are fresh ones";
    EXPECT_EQ(slots.give(10).slot, 1u);
    EXPECT_EQ(slots.slot_of(11), 2u);
    EXPECT_EQ(slots.slot_of(99), 0u);
    EXPECT_EQ(slots.callout_of(3), 12u);
    EXPECT_FALSE(slots.callout_of(4));
}

TEST(ContextSlots, TheOneThatWasReleasedFirstIsTakenFirst) {
    ContextSlots slots;
    for (std::uint32_t id = 1; id <= DP_CONTEXT_SLOTS; ++id)
        EXPECT_EQ(slots.give(id).slot, id);
    EXPECT_EQ(slots.give(100).slot, 0u);
    slots.release(7);
    slots.release(5);
    const auto given = slots.give(100);
    EXPECT_EQ(given.slot, 7u);
    EXPECT_EQ(given.taken_from, 7u);
    EXPECT_EQ(slots.slot_of(7), 0u);
    EXPECT_EQ(slots.give(7).slot, 5u);
    EXPECT_EQ(slots.give(5).slot, 0u);
}

TEST(ContextSlots, WhatTheKernelSaysIsTakenOver) {
    ContextSlots slots;
    slots.learn(40, 1, true);
    slots.learn(41, 1, true); // another plane says otherwise
    slots.learn(40, 2, true);
    slots.learn(42, DP_CONTEXT_SLOTS + 1, true);
    EXPECT_EQ(slots.callout_of(1), 40u);
    EXPECT_EQ(slots.give(50).slot, 2u);
    EXPECT_EQ(slots.give(40).slot, 1u);
}

} // namespace
} // namespace sluice::daemon
