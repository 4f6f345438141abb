// SPDX-License-Identifier: Apache-2.0
#include "daemon/reauthorize.h"

#include <gtest/gtest.h>

namespace sluice::daemon {
namespace {

using std::chrono::milliseconds;

dp_flow_key flow(std::uint16_t port) {
    dp_flow_key key{};
    key.local_port = port;
    return key;
}

class Reauthorize : public testing::Test {
protected:
    Reauthorize()
        : loop(std::move(*Loop::make())),
          work(*loop, milliseconds(5), [this] { return std::vector<LiveFlows>{plane()}; }) {}

    LiveFlows plane() {
        auto looked = std::make_shared<std::size_t>(0);
        return {.compartment = 1,
                .look =
                    [this, looked](std::uint64_t generation, std::vector<dp_flow_key> &older) {
                        generations.push_back(generation);
                        for (int i = 0; i < 10 && *looked < flows.size(); ++i)
                            older.push_back(flows[(*looked)++]);
                        return *looked < flows.size();
                    },
                .judge =
                    [this](const dp_flow_key &key) {
                        judged.push_back(key.local_port);
                        const std::uint64_t until = monotonic_ns() + judge_ns;
                        while (monotonic_ns() < until) {
                        }
                        if (key.local_port % 10 == 3) return Judged::blocked;
                        return key.local_port % 10 == 4 ? Judged::left : Judged::permitted;
                    },
                .cut = [this](const dp_flow_key &key) -> Result<void> {
                    cut.push_back(key.local_port);
                    return {};
                }};
    }
    void turn_until_done() {
        while (work.busy())
            loop->turn(milliseconds(10));
    }

    std::unique_ptr<Loop> loop;
    std::vector<dp_flow_key> flows;
    std::vector<std::uint64_t> generations;
    std::vector<int> judged, cut;
    std::uint64_t judge_ns = 0;
    Reauthorizer work;
};

TEST_F(Reauthorize, JudgesEveryFlowOnceAndCutsTheBlockedOnes) {
    for (std::uint16_t port = 0; port < 25; ++port)
        flows.push_back(flow(port));
    work.start(7);
    EXPECT_TRUE(judged.empty()) << "not inside the commit";
    turn_until_done();
    EXPECT_EQ(judged.size(), 25u);
    EXPECT_EQ(cut, (std::vector<int>{3, 13, 23}));
    EXPECT_EQ(generations, (std::vector<std::uint64_t>{7, 7, 7}));
}

TEST_F(Reauthorize, LeavesTheThreadToOthersInBetween) {
    judge_ns = 1'000'000;
    for (std::uint16_t port = 0; port < 40; ++port)
        flows.push_back(flow(port));
    work.start(1);
    int slices = 0;
    std::size_t most = 0;
    while (work.busy()) {
        const std::size_t before = judged.size();
        loop->turn(milliseconds(10));
        most = std::max(most, judged.size() - before);
        ++slices;
    }
    EXPECT_EQ(judged.size(), 40u);
    EXPECT_GE(slices, 7);
    EXPECT_LE(most, 6u) << "a slice is of 5 ms";
}

TEST_F(Reauthorize, ANewerGenerationBeginsAnew) {
    judge_ns = 1'000'000;
    for (std::uint16_t port = 0; port < 30; ++port)
        flows.push_back(flow(port));
    work.start(1);
    loop->turn(milliseconds(10));
    const std::size_t before = judged.size();
    EXPECT_LT(before, 30u);
    work.start(2);
    turn_until_done();
    EXPECT_EQ(judged.size(), before + 30);
    EXPECT_EQ(generations.back(), 2u);
}

TEST_F(Reauthorize, APlaneThatEndsIsLeftAlone) {
    flows.push_back(flow(3));
    work.start(1);
    work.forget(1);
    EXPECT_FALSE(work.busy());
    loop->turn(milliseconds(10));
    EXPECT_TRUE(judged.empty());
}

} // namespace
} // namespace sluice::daemon
