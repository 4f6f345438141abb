// SPDX-License-Identifier: Apache-2.0
// A host's answers against dp_port_down, run by the kernel's test run: what is accepted, and that
// everything else is counted with its reason and changes nothing.
#include "port_down.h"

namespace {

using namespace sluice::bpf_test;

TEST_F(PortDown, PermitSendsThePacketOnItsInterface) {
    asked();
    const Bytes packet = syn();
    const Outcome r = run(head(DP_DOWNCALL_ANSWER), packet);
    ASSERT_EQ(r.action, XDP_PASS);
    EXPECT_EQ(r.meta().op, static_cast<std::uint32_t>(DP_PORT_SEND));
    EXPECT_EQ(r.meta().ifindex, 5u);
    EXPECT_EQ(r.meta().mark, 3u);
    EXPECT_EQ(Bytes(r.out.begin() + sizeof(dp_port_meta), r.out.end()), packet);
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_DRAINING)) << "until TC has sent it";
    EXPECT_EQ(flow().passing, 1u);
}

TEST_F(PortDown, BlockRejectsToTheLocalSocket) {
    asked(17);
    const Outcome r = run(head(DP_DOWNCALL_ANSWER, DP_ACTION_BLOCK, 17), datagram());
    ASSERT_EQ(r.action, XDP_PASS);
    EXPECT_EQ(r.meta().op, static_cast<std::uint32_t>(DP_PORT_REJECT));
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_BLOCKED));
    dp_refusal_key k{};
    k.cookie = 77;
    k.remote = flow_key().remote;
    k.remote_port = 80;
    dp_refusal refusal{};
    EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.refusals), &k, &refusal), 0);
}

TEST_F(PortDown, BlockWithAbsorbIsSilent) {
    asked();
    dp_downcall d = head(DP_DOWNCALL_ANSWER, DP_ACTION_BLOCK);
    d.flags = DP_DOWNCALL_ABSORB;
    EXPECT_EQ(run(d, syn()).action, XDP_DROP);
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_BLOCKED));
}

TEST_F(PortDown, HoldIsCompletedExactlyOnce) {
    asked();
    EXPECT_EQ(run(head(DP_DOWNCALL_HELD)).action, XDP_DROP);
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_HELD));
    EXPECT_EQ(count(DP_REASON_HOLD_OPENED), 1u);
    refused(head(DP_DOWNCALL_HELD), {}, DP_REASON_DOWNCALL_STATE);
    EXPECT_EQ(run(head(DP_DOWNCALL_COMPLETE), syn()).action, XDP_PASS);
    EXPECT_EQ(count(DP_REASON_HOLD_PERMITTED), 1u);
    refused(head(DP_DOWNCALL_COMPLETE, DP_ACTION_BLOCK), syn(), DP_REASON_DOWNCALL_STATE);
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_DRAINING));
    EXPECT_EQ(flow().passing, 1u) << "the one that was permitted";
}

TEST_F(PortDown, AHoldsEndIsCountedOnceAndGivesItsPlaceBack) {
    const dp_use_key host{our_host, 0}, process{70, 700};
    for (const std::uint16_t flags : {0, int(DP_DOWNCALL_EXPIRED), int(DP_DOWNCALL_ABANDONED)}) {
        asked();
        dp_flow f = flow();
        f.flags = DP_FLOW_COUNTED;
        f.use_bytes = 54;
        f.process.tgid = 70;
        f.process.start_ns = 700;
        set(skeleton_->maps.flows, flow_key(), f);
        dp_use use{};
        use.holds = 1;
        use.bytes = 54;
        set(skeleton_->maps.uses, host, use);
        set(skeleton_->maps.uses, process, use);
        run(head(DP_DOWNCALL_HELD));
        EXPECT_EQ(held(host), 1u);
        dp_downcall d = head(DP_DOWNCALL_COMPLETE);
        d.flags = flags;
        run(d, syn());
        EXPECT_EQ(held(host), 0u);
        EXPECT_EQ(held(process), 0u);
    }
    EXPECT_EQ(count(DP_REASON_HOLD_OPENED), 3u);
    EXPECT_EQ(count(DP_REASON_HOLD_PERMITTED), 1u);
    EXPECT_EQ(count(DP_REASON_HOLD_EXPIRED), 1u);
    EXPECT_EQ(count(DP_REASON_HOLD_ABANDONED), 1u);
    EXPECT_EQ(count(DP_REASON_HOLD_BLOCKED), 0u);
}

TEST_F(PortDown, AnAnswerInAHostsPlaceIsTheFiltersNotTheHeaders) {
    asked();
    dp_downcall d = head(DP_DOWNCALL_ANSWER); // says permit
    d.flags = DP_DOWNCALL_EXPIRED;
    run(d, syn());
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_BLOCKED));
    EXPECT_EQ(count(DP_REASON_ASK_EXPIRED), 1u);
    EXPECT_EQ(count(DP_REASON_HOLD_EXPIRED), 0u) << "it was no hold";
    asked();
    dp_flow f = flow();
    f.eval.row_flags = DP_ROW_OUTCOME_NEXT;
    set(skeleton_->maps.flows, flow_key(), f);
    d.action = DP_ACTION_BLOCK;
    EXPECT_EQ(run(d, syn()).action, XDP_PASS) << "no filter is behind it";
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_DRAINING));
    asked();
    d.flags = 0;
    d.action = DP_ACTION_NEXT;
    run(d, syn());
    EXPECT_EQ(flow().state, static_cast<std::uint32_t>(DP_FLOW_BLOCKED)) << "no host may say so";
}

TEST_F(PortDown, AFiltersDeadlineStandsBeforeItsHosts) {
    asked();
    dp_flow f = flow();
    f.eval.hold_ms = 60'000;
    set(skeleton_->maps.flows, flow_key(), f);
    run(head(DP_DOWNCALL_HELD));
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const auto now_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    EXPECT_NEAR(static_cast<double>(flow().deadline_ns), now_ns + 6e10, 1e9);
    asked();
    f.eval.hold_ms = DP_HOLD_FOREVER;
    set(skeleton_->maps.flows, flow_key(), f);
    run(head(DP_DOWNCALL_HELD));
    EXPECT_EQ(flow().deadline_ns, 0u);
}

TEST_F(PortDown, QueueDrainsBeforeTheFlowIsPermitted) {
    asked(17, DP_FLOW_HELD, 3);
    EXPECT_EQ(run(head(DP_DOWNCALL_RELEASE, 0, 17), datagram()).action, XDP_DROP)
        << "not before the permit";
    EXPECT_EQ(run(head(DP_DOWNCALL_COMPLETE, DP_ACTION_PERMIT, 17), datagram()).action, XDP_PASS);
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_DRAINING));
    EXPECT_EQ(run(head(DP_DOWNCALL_RELEASE, 0, 17), datagram()).action, XDP_PASS);
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_DRAINING));
    EXPECT_EQ(run(head(DP_DOWNCALL_RELEASE, 0, 17), datagram()).action, XDP_PASS);
    EXPECT_EQ(run(head(DP_DOWNCALL_RELEASE, 0, 17), datagram()).action, XDP_DROP)
        << "none is out any more";
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_DRAINING)) << "TC sends them yet";
    EXPECT_EQ(flow(17).passing, 3u);
}

TEST_F(PortDown, TheQueuesLastPacketMayBeGivenUp) {
    asked(17, DP_FLOW_HELD, 2);
    EXPECT_EQ(run(head(DP_DOWNCALL_COMPLETE, DP_ACTION_PERMIT, 17)).action, XDP_DROP)
        << "without its packet";
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_DRAINING));
    dp_downcall d = head(DP_DOWNCALL_DISCARD, 0, 17);
    d.count = 1;
    EXPECT_EQ(run(d).action, XDP_DROP);
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_PERMITTED)) << "none is on its way";
}

TEST_F(PortDown, WhatNeverLeftItsPortIsGivenUpWithTheRest) {
    asked(17, DP_FLOW_HELD, 2);
    EXPECT_EQ(run(head(DP_DOWNCALL_COMPLETE, DP_ACTION_PERMIT, 17), datagram()).action, XDP_PASS);
    dp_downcall d = head(DP_DOWNCALL_DISCARD, 0, 17);
    d.count = 1;
    d.flags = DP_DOWNCALL_ABANDONED; // sluiced, after the watchdog's time
    EXPECT_EQ(run(d).action, XDP_DROP);
    EXPECT_EQ(flow(17).state, static_cast<std::uint32_t>(DP_FLOW_PERMITTED));
    EXPECT_EQ(flow(17).passing, 0u);
}

TEST_F(PortDown, DiscardAccountsForQueuedPackets) {
    asked(17, DP_FLOW_HELD, 3);
    EXPECT_EQ(run(head(DP_DOWNCALL_COMPLETE, DP_ACTION_PERMIT, 17), datagram()).action, XDP_PASS);
    dp_downcall d = head(DP_DOWNCALL_DISCARD, 0, 17);
    d.count = 1000; // more than are out
    EXPECT_EQ(run(d).action, XDP_DROP);
    EXPECT_EQ(flow(17).down, 3u);
    EXPECT_EQ(flow(17).passing, 1u) << "the one that was permitted";
}

TEST_F(PortDown, ReauthorizationCannotPend) {
    asked();
    dp_flow f = flow();
    f.flags |= DP_FLOW_REAUTHORIZE;
    set(skeleton_->maps.flows, flow_key(), f);
    refused(head(DP_DOWNCALL_HELD), {}, DP_REASON_DOWNCALL_STATE);
}

TEST_F(PortDown, RefusesWhatDoesNotFitItsRecord) {
    asked();
    dp_downcall d = head(DP_DOWNCALL_ANSWER);
    d.ticket++;
    refused(d, syn(), DP_REASON_DOWNCALL_STALE);
    d = head(DP_DOWNCALL_ANSWER);
    d.filter_id++;
    refused(d, syn(), DP_REASON_DOWNCALL_STALE);
    d = head(DP_DOWNCALL_ANSWER);
    d.key.local_port++;
    refused(d, {}, DP_REASON_DOWNCALL_UNKNOWN_FLOW);
    d = head(DP_DOWNCALL_ANSWER);
    refused(d, datagram(), DP_REASON_DOWNCALL_MISMATCH);
    refused(d, Bytes(20, 0xff), DP_REASON_DOWNCALL_MISMATCH);
    Bytes elsewhere = syn();
    elsewhere[14 + 19] ^= 1; // another destination
    refused(d, elsewhere, DP_REASON_DOWNCALL_MISMATCH);
    of_host(other_host);
    refused(head(DP_DOWNCALL_ANSWER), syn(), DP_REASON_DOWNCALL_FOREIGN);
}

TEST_F(PortDown, RefusesMalformedHeaders) {
    asked();
    dp_downcall d = head(DP_DOWNCALL_ANSWER);
    d.magic ^= 1;
    refused(d, syn(), DP_REASON_DOWNCALL_MALFORMED);
    d = head(DP_DOWNCALL_ANSWER);
    d.version++;
    refused(d, syn(), DP_REASON_DOWNCALL_MALFORMED);
    for (int kind : {0, DP_DOWNCALL_CONTEXT + 1, 255}) {
        d = head(DP_DOWNCALL_ANSWER);
        d.kind = static_cast<std::uint8_t>(kind);
        refused(d, syn(), DP_REASON_DOWNCALL_MALFORMED);
    }
    const std::uint64_t was = count(DP_REASON_DOWNCALL_MALFORMED);
    EXPECT_EQ(run(Bytes(sizeof d - 1, 0)).action, XDP_DROP);
    EXPECT_EQ(count(DP_REASON_DOWNCALL_MALFORMED), was + 1);
}

TEST_F(PortDown, RefusesFramesOnADeviceThatIsNoPort) {
    asked();
    bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.ports), &port_ifindex);
    refused(head(DP_DOWNCALL_ANSWER), syn(), DP_REASON_PORT_FOREIGN_FRAME);
}

TEST_F(PortDown, RandomFramesChangeNothingButCounters) {
    asked();
    const dp_flow before = flow();
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    const dp_downcall good = head(DP_DOWNCALL_ANSWER);
    for (int i = 0; i < 3000; ++i) {
        Bytes frame(16 + random() % 300);
        for (auto &byte : frame)
            byte = static_cast<std::uint8_t>(random());
        // Half of them begin like a good one with a few bytes changed, never the ticket's own
        // number.
        if (i % 2 && frame.size() >= sizeof good) {
            dp_downcall d = good;
            d.ticket = our_ticket + 1 + random() % 1000;
            std::memcpy(frame.data(), &d, sizeof d);
            frame[8 + random() % (sizeof d - 8)] ^= static_cast<std::uint8_t>(1 + random() % 255);
            std::uint64_t ticket = 0;
            std::memcpy(&ticket, frame.data() + offsetof(dp_downcall, ticket), sizeof ticket);
            if (ticket == our_ticket) continue;
        }
        ASSERT_NE(run(frame).action, XDP_PASS) << "seed " << seed << " frame " << i;
    }
    const dp_flow after = flow();
    EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << "seed " << seed;
}

TEST_F(PortDown, HeldSynLeavesWithItsTimeStampMovedOn) {
    asked();
    dp_flow f = flow();
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    f.created_ns =
        static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec - 5'000'000'000;
    set(skeleton_->maps.flows, flow_key(), f);
    // MSS, SACK permitted, time stamps: as Linux sends them.
    const Bytes packet = syn({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 3, 3, 7});
    const Outcome r = run(head(DP_DOWNCALL_ANSWER), packet);
    ASSERT_EQ(r.action, XDP_PASS);
    const Bytes out(r.out.begin() + sizeof(dp_port_meta), r.out.end());
    ASSERT_EQ(out.size(), packet.size());
    const std::size_t at = 14 + 20 + 20 + 8;
    const std::uint32_t value = out[at] << 24 | out[at + 1] << 16 | out[at + 2] << 8 | out[at + 3];
    EXPECT_GE(value, 0x1000u + 5000);
    EXPECT_LE(value, 0x1000u + 15000);
    // The segment's checksum still holds: over pseudo header and segment the sum is zero.
    const std::size_t tcp_bytes = out.size() - 34;
    std::uint32_t pseudo = 0;
    for (std::size_t i = 26; i < 34; i += 2)
        pseudo += out[i] << 8 | out[i + 1];
    pseudo += 6 + static_cast<std::uint32_t>(tcp_bytes);
    EXPECT_EQ(internet_checksum(out.data() + 34, tcp_bytes, pseudo), 0);
}

TEST_F(PortDown, PacketTicketIsRedeemedOnce) {
    dp_ticket t = packet_ticket(DP_LAYER_INBOUND_IPPACKET_V4);
    t.key.number[DP_SLOT_PROTOCOL] = 6;
    t.key.wide[DP_SLOT_LOCAL_ADDRESS - DP_SLOT_NUMBERS] = {0, 0x0000ffffc0000202};
    t.key.wide[DP_SLOT_REMOTE_ADDRESS - DP_SLOT_NUMBERS] = {0, 0x0000ffffc0000201};
    t.key.number[DP_SLOT_LOCAL_PORT] = 80;
    t.key.number[DP_SLOT_REMOTE_PORT] = 1000;
    set(skeleton_->maps.tickets, our_ticket, t);
    dp_downcall d = packet_answer();
    const std::uint64_t mismatches = count(DP_REASON_DOWNCALL_MISMATCH);
    EXPECT_EQ(run(d, datagram()).action, XDP_DROP);
    EXPECT_EQ(count(DP_REASON_DOWNCALL_MISMATCH), mismatches + 1);
    const Outcome r = run(d, syn());
    ASSERT_EQ(r.action, XDP_PASS);
    EXPECT_EQ(r.meta().op, static_cast<std::uint32_t>(DP_PORT_RECEIVE));
    EXPECT_EQ(r.meta().ifindex, 6u);
    EXPECT_EQ(run(d, syn()).action, XDP_DROP);
    EXPECT_EQ(count(DP_REASON_DOWNCALL_STALE), 1u);
}

} // namespace
