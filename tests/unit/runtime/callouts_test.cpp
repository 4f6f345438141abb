// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include <gtest/gtest.h>

#include "runtime/callouts.h"

using namespace sluice;
using namespace sluice::runtime;

namespace {
CalloutSpec spec(std::uint32_t n) {
    FWPS_CALLOUT0 c{};
    c.calloutKey.Data1 = n;
    return c;
}
} // namespace

TEST(Callouts, IdsCountFromOneAndStayWithTheirKey) {
    Callouts c;
    EXPECT_EQ((*c.add(spec(7)))->id, 1u);
    EXPECT_EQ(c.id_of(Guid{8, 0, 0, {}}), 2u);
    EXPECT_EQ((*c.add(spec(9)))->id, 3u);
    EXPECT_EQ((*c.add(spec(8)))->id, 2u);
}

TEST(Callouts, SameKeyTwiceIsRefused) {
    Callouts c;
    ASSERT_TRUE(c.add(spec(1)));
    EXPECT_EQ(c.add(spec(1)).error().ntstatus, std::uint32_t(STATUS_FWP_ALREADY_EXISTS));
}

TEST(Callouts, UnknownAndZeroIdsAreNotFound) {
    Callouts c;
    for (const std::uint32_t id : {0u, 5u})
        EXPECT_EQ(c.begin_remove(id).error().ntstatus, std::uint32_t(STATUS_FWP_CALLOUT_NOT_FOUND));
    EXPECT_EQ(c.begin_remove(Guid{}).error().ntstatus, std::uint32_t(STATUS_FWP_CALLOUT_NOT_FOUND));
}

TEST(Callouts, RemovalWaitsForThreadsInside) {
    Callouts c;
    const auto id = (*c.add(spec(1)))->id;
    std::atomic<bool> inside{false}, left{false};
    std::thread caller([&] {
        auto call = c.enter(id);
        inside = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        left = true;
    });
    while (!inside)
        std::this_thread::yield();
    auto leaving = c.begin_remove(id);
    ASSERT_TRUE(leaving);
    EXPECT_FALSE(c.enter(id));
    EXPECT_EQ(c.begin_remove(id).error().ntstatus, std::uint32_t(STATUS_FWP_IN_USE));
    c.finish_remove(*leaving);
    EXPECT_TRUE(left);
    EXPECT_EQ(c.begin_remove(id).error().ntstatus, std::uint32_t(STATUS_FWP_CALLOUT_NOT_FOUND));
    caller.join();
}

TEST(Callouts, RemovalFromInsideIsInUse) {
    Callouts c;
    const auto id = (*c.add(spec(1)))->id;
    {
        auto call = c.enter(id);
        EXPECT_EQ(c.begin_remove(id).error().ntstatus, std::uint32_t(STATUS_FWP_IN_USE));
    }
    EXPECT_TRUE(c.begin_remove(id));
}
