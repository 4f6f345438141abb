// SPDX-License-Identifier: Apache-2.0
// Answers to ALE_FLOW_ESTABLISHED against dp_port_down: the flow's second question, which is asked
// of a flow that goes on and may belong to another host than the first.
#include "port_down.h"

namespace {

using namespace sluice::bpf_test;

class Established : public PortDown {
protected:
    // The flow was permitted, and its packet has come to the layer's callout.
    void establishing(std::uint8_t protocol = 6, std::uint32_t flags = 0, std::uint32_t up = 1) {
        asked(protocol, DP_FLOW_ASKED, up);
        dp_flow f = flow(protocol);
        f.flags = DP_FLOW_ESTABLISHING | DP_FLOW_REPLIED | flags;
        f.hop = f.eval;
        f.hop.asked_id = established_filter_;
        f.eval.asked_id = 0;
        set(skeleton_->maps.flows, flow_key(protocol), f);
    }
    dp_downcall answer(std::uint32_t action = DP_ACTION_PERMIT, std::uint8_t protocol = 6) {
        dp_downcall d = head(DP_DOWNCALL_ANSWER, action, protocol);
        d.filter_id = established_filter_;
        return d;
    }
    // Of the peer's side: it runs against the flow's direction.
    static Bytes syn_ack() {
        return (Eth() / IPv4{.source = "192.0.2.2", .destination = "192.0.2.1"} /
                TCP{.source_port = 80, .destination_port = 1000, .flags = 0x12})
            .bytes();
    }
    static constexpr std::uint32_t both = DP_FLOW_ESTABLISHING | DP_FLOW_ESTABLISHED;
};

TEST_F(Established, APermitLetsThePacketGoOnBehindTheLayer) {
    establishing();
    const Outcome in = run(answer(), syn_ack());
    ASSERT_EQ(in.action, XDP_PASS);
    EXPECT_EQ(in.meta().op, static_cast<std::uint32_t>(DP_PORT_RECEIVE));
    EXPECT_EQ(in.meta().stage, static_cast<std::uint32_t>(DP_STAGE_ESTABLISHED_IN));
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_DRAINING));
    EXPECT_EQ(flow().passing, 1u);
    EXPECT_EQ(flow().flags & both, static_cast<std::uint32_t>(DP_FLOW_ESTABLISHED));
    establishing(17);
    const Outcome out = run(answer(DP_ACTION_PERMIT, 17), datagram());
    ASSERT_EQ(out.action, XDP_PASS);
    EXPECT_EQ(out.meta().op, static_cast<std::uint32_t>(DP_PORT_SEND));
    EXPECT_EQ(out.meta().stage, static_cast<std::uint32_t>(DP_STAGE_ESTABLISHED_OUT));
}

TEST_F(Established, OfASegmentThatDidNotFitTheRestIsSentAgain) {
    establishing(6, DP_FLOW_SHORT);
    EXPECT_EQ(run(answer(), syn()).action, XDP_DROP);
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_PERMITTED));
    EXPECT_EQ(flow().flags & both, static_cast<std::uint32_t>(DP_FLOW_ESTABLISHED));
}

TEST_F(Established, ABlockOfAConnectionIsToBeCut) {
    establishing();
    EXPECT_EQ(run(answer(DP_ACTION_BLOCK), syn_ack()).action, XDP_DROP);
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_BLOCKED));
    const std::uint32_t wanted = DP_FLOW_ESTABLISHED | DP_FLOW_REVOKED | DP_FLOW_TO_CUT;
    EXPECT_EQ(flow().flags & (wanted | DP_FLOW_ESTABLISHING), wanted);
    establishing(17);
    const Outcome r = run(answer(DP_ACTION_BLOCK, 17), datagram());
    ASSERT_EQ(r.action, XDP_PASS);
    EXPECT_EQ(r.meta().op, static_cast<std::uint32_t>(DP_PORT_REJECT));
}

TEST_F(Established, ItCannotPendAndTheFlowsOtherFilterCannotAnswer) {
    establishing();
    refused(head(DP_DOWNCALL_HELD), {}, DP_REASON_DOWNCALL_STATE);
    refused(head(DP_DOWNCALL_ANSWER), syn(), DP_REASON_DOWNCALL_STALE);
    dp_downcall close = answer();
    close.kind = DP_DOWNCALL_COMPLETE;
    close.flags = DP_DOWNCALL_CLOSE;
    refused(close, {}, DP_REASON_DOWNCALL_STATE);
}

TEST_F(Established, WhatAnotherHostHadQueuedComesBackAndWaitsOnceMore) {
    establishing(17, 0, 3);
    dp_flow f = flow(17);
    f.host = other_host;
    f.host_before = our_host;
    set(skeleton_->maps.flows, flow_key(17), f);
    const Outcome r = run(head(DP_DOWNCALL_RELEASE, 0, 17), datagram());
    ASSERT_EQ(r.action, XDP_PASS);
    EXPECT_EQ(r.meta().stage, static_cast<std::uint32_t>(DP_STAGE_ALE_OUT)) << "on to the layer";
    EXPECT_EQ(flow(17).down, 1u);
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_ASKED));
    dp_downcall discard = head(DP_DOWNCALL_DISCARD, 0, 17);
    discard.count = 1;
    EXPECT_EQ(run(discard).action, XDP_DROP);
    EXPECT_EQ(flow(17).down, 2u);
    const std::uint64_t foreign = count(DP_REASON_DOWNCALL_FOREIGN);
    EXPECT_EQ(run(answer(DP_ACTION_PERMIT, 17), datagram()).action, XDP_DROP) << "not its question";
    EXPECT_EQ(count(DP_REASON_DOWNCALL_FOREIGN), foreign + 1);
}

TEST_F(Established, ASuperPacketsTicketIsRedeemedOnceASegment) {
    dp_ticket t = packet_ticket(DP_LAYER_DATAGRAM_DATA_V4);
    t.stage = DP_STAGE_DATAGRAM_OUT;
    t.flow = flow_key(17);
    t.more = 2;
    set(skeleton_->maps.tickets, our_ticket, t);
    const dp_downcall d = packet_answer();
    for (int segment = 0; segment < 3; ++segment) {
        const Outcome r = run(d, datagram());
        ASSERT_EQ(r.action, XDP_PASS) << segment;
        EXPECT_EQ(r.meta().stage, static_cast<std::uint32_t>(DP_STAGE_DATAGRAM_OUT));
    }
    EXPECT_EQ(run(d, datagram()).action, XDP_DROP);
    EXPECT_EQ(count(DP_REASON_DOWNCALL_STALE), 1u);
}

} // namespace
