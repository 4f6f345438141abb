// SPDX-License-Identifier: Apache-2.0
// The ends of flows, ordered by dp_judge under the kernel's test run: who is told, what is
// remembered, and what happens where there is no room.
#include "one_flow.h"

namespace sluice::bpf_test {
namespace {

struct FlowEnd : OneFlow {
    bpf_program *program() override { return skeleton_->progs.dp_judge; }
    std::uint32_t order(dp_judge_order what, std::uint64_t ticket = 0,
                        const dp_flow_key &k = key()) {
        dp_judge_request request{};
        request.order = what;
        request.key = k;
        request.ticket = ticket;
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = &request, .data_size_in = sizeof request,
                    .repeat = 1);
        EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.dp_judge), &options), 0);
        return options.retval;
    }
    void expect_end(Ring &ring, std::uint64_t id = flow_id) {
        const auto told = ring.read();
        ASSERT_EQ(told.size(), 1u);
        EXPECT_EQ(told[0].magic, DP_UPCALL_MAGIC);
        EXPECT_EQ(told[0].kind, DP_UPCALL_END);
        EXPECT_EQ(told[0].flow, id);
        EXPECT_EQ(told[0].key.local_port, key().local_port);
    }
};

TEST_F(FlowEnd, WithoutContextsNobodyIsTold) {
    open(0);
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    EXPECT_FALSE(flow());
    EXPECT_FALSE(ended());
    EXPECT_TRUE(ring_->read().empty());
    EXPECT_EQ(count(DP_REASON_FLOW_ENDED), 1u);
}

TEST_F(FlowEnd, EachHostWithAContextIsToldOnce) {
    open(~std::uint64_t{0});
    EXPECT_EQ(order(DP_JUDGE_END, flow_id), DP_JUDGE_ENDED);
    expect_end(*ring_);
    expect_end(*other_ring_);
    EXPECT_FALSE(flow());
    EXPECT_FALSE(ended()) << "all have heard";
}

TEST_F(FlowEnd, EverySlotIsItsHostsOwn) {
    for (std::uint32_t slot = 0; slot < DP_CONTEXT_SLOTS; ++slot) {
        open(bit(slot));
        EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
        EXPECT_EQ(ring_->read().size(), slot % 3 == 0 ? 0u : 1u) << slot;
        EXPECT_EQ(other_ring_->read().size(), slot % 3 == 0 ? 1u : 0u) << slot;
    }
}

TEST_F(FlowEnd, AnotherFlowOnTheTupleIsLeftAlone) {
    open(1, flow_id + 1);
    order(DP_JUDGE_END, flow_id);
    EXPECT_TRUE(flow());
    EXPECT_EQ(flow()->contexts, 1u);
    EXPECT_EQ(order(DP_JUDGE_END, 0, key(9)), DP_JUDGE_OTHER) << "no such flow";
}

TEST_F(FlowEnd, AHostThatEndedIsNotWaitedFor) {
    open(bit(0));
    set(skeleton_->maps.hosts, other_host, a_host(false));
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    EXPECT_FALSE(ended());
    open(bit(1));
    set(skeleton_->maps.context_slots, 1u, dp_context_slot{});
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    EXPECT_FALSE(ended()) << "a slot of nobody";
    EXPECT_TRUE(ring_->read().empty());
}

TEST_F(FlowEnd, WhatARingHasNoRoomForIsRemembered) {
    // Nobody reads: the ring takes as many notices as fit, the rest stay in `ended`.
    std::uint64_t id = 1;
    for (; id < 100 && !ended(id - 1); ++id) {
        open(bit(1), id);
        ASSERT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    }
    --id;
    ASSERT_TRUE(ended(id));
    EXPECT_EQ(ended(id)->contexts, bit(1));
    EXPECT_NE(ended(id)->ended_ns, 0u);
    EXPECT_FALSE(flow());
    EXPECT_EQ(ring_->read().size(), id - 1) << "none is told twice, none is lost";
    // The other host's ring has room, ours must be told all the same.
    for (int i = 0; i < 40; ++i) {
        open(bit(1), 1000);
        order(DP_JUDGE_END);
        const std::uint64_t kept = 1000;
        bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.ended), &kept);
    }
    open(bit(0) | bit(1), 2000);
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    EXPECT_EQ(other_ring_->read().size(), 1u);
    ASSERT_TRUE(ended(2000));
}

TEST_F(FlowEnd, WithoutRoomToRememberNothingEnds) {
    for (std::uint64_t id = 100; id < 100 + ended_max; ++id)
        set(skeleton_->maps.ended, id, dp_ended{.contexts = 1, .ended_ns = 1});
    open(bit(1));
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_OTHER);
    ASSERT_TRUE(flow());
    EXPECT_EQ(flow()->contexts, bit(1));
    EXPECT_EQ(flow()->gone, 0u) << "it takes contexts as before";
    EXPECT_EQ(count(DP_REASON_ENDS_FULL), 1u);
    EXPECT_TRUE(ring_->read().empty());
    const std::uint64_t one = 100;
    bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.ended), &one);
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    expect_end(*ring_);
}

TEST_F(FlowEnd, TheSocketsRecordGoesWithItsLastFlow) {
    const std::uint64_t cookie = 99;
    set(skeleton_->maps.endpoints, cookie,
        dp_endpoint_flows{.last = key(), .id = flow_id, .flows = 2, .pad = 0});
    open(bit(1));
    order(DP_JUDGE_END);
    ASSERT_TRUE(get<dp_endpoint_flows>(skeleton_->maps.endpoints, cookie));
    EXPECT_EQ(get<dp_endpoint_flows>(skeleton_->maps.endpoints, cookie)->flows, 1u);
    open(bit(1));
    order(DP_JUDGE_END);
    EXPECT_FALSE(get<dp_endpoint_flows>(skeleton_->maps.endpoints, cookie));
}

TEST_F(FlowEnd, AHostHearsOfItsOpenQuestion) {
    for (const std::uint32_t state : {DP_FLOW_ASKED, DP_FLOW_HELD, DP_FLOW_DRAINING}) {
        for (const std::uint32_t flags : {0u, std::uint32_t{DP_FLOW_ESTABLISHING}}) {
            open(0);
            dp_flow f = *flow();
            f.state = state;
            f.flags = flags;
            f.host = host;
            f.eval.asked_id = 11;
            f.hop.asked_id = 12;
            set(skeleton_->maps.flows, key(), f);
            EXPECT_EQ(order(DP_JUDGE_END, flow_id), DP_JUDGE_ENDED);
            const auto told = ring_->read();
            ASSERT_EQ(told.size(), state == DP_FLOW_DRAINING ? 0u : 1u) << state;
            if (told.empty()) continue;
            EXPECT_EQ(told[0].kind, DP_UPCALL_OVER);
            EXPECT_EQ(told[0].ticket, flow_id);
            EXPECT_EQ(told[0].filter_id, flags ? 12u : 11u);
            EXPECT_EQ(told[0].action, std::uint32_t{DP_ACTION_BLOCK});
            EXPECT_EQ(told[0].flags, 0u);
            EXPECT_EQ(told[0].key.local_port, key().local_port);
        }
    }
    EXPECT_TRUE(other_ring_->read().empty());
    set(skeleton_->maps.hosts, host, a_host(false));
    open(0);
    dp_flow f = *flow();
    f.state = DP_FLOW_HELD;
    f.host = host;
    set(skeleton_->maps.flows, key(), f);
    EXPECT_EQ(order(DP_JUDGE_END), DP_JUDGE_ENDED);
    EXPECT_TRUE(ring_->read().empty()) << "its host has ended";
}

TEST_F(FlowEnd, ContextsOfHostsThatEndedAreForgotten) {
    open(bit(0) | bit(5) | bit(63));
    EXPECT_EQ(order(DP_JUDGE_FORGET, bit(5) | bit(6)), DP_JUDGE_ENDED);
    EXPECT_EQ(flow()->contexts, bit(0) | bit(63));
    EXPECT_EQ(order(DP_JUDGE_FORGET, 1, key(9)), DP_JUDGE_OTHER);
}

} // namespace
} // namespace sluice::bpf_test
