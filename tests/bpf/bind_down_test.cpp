// SPDX-License-Identifier: Apache-2.0
// What callouts make of a bind, against dp_port_down: what is accepted stands with the permit of
// the same question, is found by both ends, and is learned; everything else changes nothing.
#include <optional>

#include "port_down.h"

namespace {

using namespace sluice::bpf_test;

constexpr std::uint64_t operation_id = 60;
constexpr dp_addr old_address{0, 0x0000ffffc0000201}, new_address{0, 0x0000ffffc6336401};

class BindDown : public PortDown {
protected:
    void SetUp() override {
        PortDown::SetUp();
        if (IsSkipped()) return;
        set(skeleton_->maps.own_addresses, new_address, std::uint32_t{1});
        dp_exe exe{};
        exe.length = 1;
        exe.generation = 3;
        set(skeleton_->maps.exes, dp_exe_key{11, 12, 0}, exe);
        question();
    }
    // bind() of a TCP socket to 192.0.2.1:5000, whose callout has been asked.
    void question() {
        dp_operation op{};
        op.state = DP_FLOW_ASKED;
        op.host = our_host;
        op.cookie = 77;
        op.layer = DP_LAYER_ALE_BIND_REDIRECT_V4;
        op.address = old_address;
        op.port = 5000;
        op.process.start_ns = 1;
        op.process.exe_inode = 11;
        op.process.exe_dev = 12;
        op.process.uid = 1000;
        op.key.layer = op.layer;
        op.key.number[DP_SLOT_PROTOCOL] = 6;
        op.eval.generation = generation;
        op.eval.asked_id = filter_;
        op.eval.action = DP_ACTION_NONE;
        op.eval.rights = DP_RIGHT_ACTION_WRITE;
        op.eval.callout = callout_id_;
        op.eval.callout_action = DP_ACTION_CALLOUT_TERMINATING;
        set(skeleton_->maps.operations, operation_id, op);
        dp_redirect r{};
        r.state = DP_REDIRECT_DRAFT;
        r.way = DP_WAY_BIND;
        r.cookie = 77;
        r.app.local = old_address;
        r.app.local_port = 5000;
        r.app.protocol = 6;
        r.wire.protocol = 6;
        r.versions = 1;
        r.version[0].remote = old_address;
        r.version[0].remote_port = 5000;
        set(skeleton_->maps.redirects, operation_id, r);
    }
    template <typename V, typename K>
    std::optional<V> find(bpf_map *map, const K &key) {
        V value{};
        if (bpf_map_lookup_elem(bpf_map__fd(map), &key, &value) != 0) return std::nullopt;
        return value;
    }
    dp_operation operation() {
        return find<dp_operation>(skeleton_->maps.operations, operation_id)
            .value_or(dp_operation{});
    }
    std::optional<dp_redirect> binding() {
        return find<dp_redirect>(skeleton_->maps.redirects, operation_id);
    }
    dp_downcall about(dp_downcall_kind kind, std::uint32_t action = DP_ACTION_PERMIT) {
        dp_downcall d = head(kind, action);
        d.ticket = operation_id;
        d.flags = DP_DOWNCALL_OPERATION;
        d.key = {};
        return d;
    }
    static dp_redirect_request to_new(std::uint16_t port = 0) {
        dp_redirect_request q{};
        q.version.remote = new_address;
        q.version.remote_port = port;
        return q;
    }
    static Bytes with(const dp_redirect_request &q) {
        Bytes bytes(sizeof q);
        std::memcpy(bytes.data(), &q, sizeof q);
        return bytes;
    }
    void redirect(const dp_redirect_request &q) {
        EXPECT_EQ(run(about(DP_DOWNCALL_REDIRECT, 0), with(q)).action, XDP_DROP);
    }
    void answer(std::uint32_t action = DP_ACTION_PERMIT) {
        EXPECT_EQ(run(about(DP_DOWNCALL_ANSWER, action)).action, XDP_DROP);
    }
    // Counted, and then the permit of the same question lets nothing go.
    void refuses(const dp_redirect_request &q, dp_reason reason) {
        question();
        const std::uint64_t was = count(reason);
        redirect(q);
        EXPECT_EQ(count(reason), was + 1) << reason;
        EXPECT_EQ(binding()->versions, 1u);
        answer();
        EXPECT_EQ(operation().state, std::uint32_t{DP_FLOW_BLOCKED}) << reason;
    }
    static dp_flow_key incoming(std::uint16_t port) {
        dp_flow_key k{};
        k.local = new_address;
        k.local_port = port;
        k.protocol = 6;
        return k;
    }
    static dp_flow_key outgoing() {
        dp_flow_key k{};
        k.remote = old_address;
        k.remote_port = 5000;
        k.protocol = 6;
        return k;
    }
    std::uint64_t peer(const dp_flow_key &key) {
        return find<std::uint64_t>(skeleton_->maps.redirect_peers, key).value_or(0);
    }
};

TEST_F(BindDown, APermitMakesItStandAndFoundByBothEnds) {
    redirect(to_new());
    EXPECT_EQ(binding()->versions, 1u) << "it waits";
    answer();
    const auto r = binding();
    ASSERT_TRUE(r);
    EXPECT_EQ(r->state, std::uint32_t{DP_REDIRECT_LIVE});
    EXPECT_EQ(r->versions, 2u);
    EXPECT_EQ(r->version[1].filter_id, filter_);
    EXPECT_EQ(r->wire.local.lo, new_address.lo);
    EXPECT_EQ(r->wire.local_port, 5000) << "port 0: as it is";
    EXPECT_EQ(peer(incoming(5000)), operation_id);
    EXPECT_EQ(peer(outgoing()), operation_id);
    EXPECT_EQ(count(DP_REASON_BIND_REDIRECTED), 1u);
    const dp_operation op = operation();
    EXPECT_EQ(op.state, std::uint32_t{DP_FLOW_PERMITTED});
    EXPECT_EQ(op.layer, DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4) << "which saw the new end";
    EXPECT_EQ(op.address.lo, new_address.lo);
}

TEST_F(BindDown, NothingStandsWithoutItsPermit) {
    redirect(to_new());
    answer(DP_ACTION_CONTINUE);
    EXPECT_FALSE(binding()) << "gone";
    EXPECT_EQ(peer(incoming(5000)), 0u);
    EXPECT_EQ(operation().state, std::uint32_t{DP_FLOW_PERMITTED});
}

TEST_F(BindDown, WhatCannotBeIsNotPermittedAsItWas) {
    dp_redirect_request q = to_new();
    q.version.remote = {0, 0x0000ffff08080808};
    refuses(q, DP_REASON_REDIRECT_TARGET); // not of this machine
    q.version.remote = {0, 0x0000ffff7f000001};
    refuses(q, DP_REASON_REDIRECT_TARGET);
    q.version.remote = {0, 1};
    refuses(q, DP_REASON_REDIRECT_TARGET); // IPv6
    q.version.remote = {0, 0x0000ffff00000000};
    refuses(q, DP_REASON_REDIRECT_TARGET);
}

TEST_F(BindDown, ADowncallThatDoesNotFitChangesNothing) {
    const auto refused_for = [this](const dp_downcall &d, const Bytes &body, dp_reason reason) {
        const std::uint64_t was = count(reason);
        run(d, body);
        EXPECT_EQ(count(reason), was + 1) << reason;
        EXPECT_EQ(binding()->version[1].filter_id, 0u) << reason;
    };
    dp_downcall d = about(DP_DOWNCALL_REDIRECT, 0);
    dp_redirect_request q = to_new();
    q.context_bytes = q.piece = 8;
    Bytes body = with(q);
    body.resize(body.size() + 8);
    refused_for(d, body, DP_REASON_DOWNCALL_MALFORMED);
    d.filter_id++;
    refused_for(d, with(to_new()), DP_REASON_DOWNCALL_STALE);
    d = about(DP_DOWNCALL_REDIRECT, 0);
    d.ticket++;
    refused_for(d, with(to_new()), DP_REASON_DOWNCALL_STALE);
    of_host(other_host);
    refused_for(about(DP_DOWNCALL_REDIRECT, 0), with(to_new()), DP_REASON_DOWNCALL_FOREIGN);
}

TEST_F(BindDown, AnEndThatAnotherHasIsNotGivenTwice) {
    dp_redirect other{};
    other.state = DP_REDIRECT_LIVE;
    other.way = DP_WAY_BIND;
    set(skeleton_->maps.redirects, std::uint64_t{61}, other);
    set(skeleton_->maps.redirect_peers, incoming(6000), std::uint64_t{61});
    redirect(to_new(6000));
    answer();
    EXPECT_EQ(operation().state, std::uint32_t{DP_FLOW_BLOCKED});
    EXPECT_EQ(count(DP_REASON_BIND_TAKEN), 1u);
    EXPECT_EQ(peer(incoming(6000)), 61u);
    question();
    other.ended_ns = 1; // its socket is closed
    set(skeleton_->maps.redirects, std::uint64_t{61}, other);
    redirect(to_new(6000));
    answer();
    EXPECT_EQ(operation().state, std::uint32_t{DP_FLOW_PERMITTED});
    EXPECT_EQ(peer(incoming(6000)), operation_id);
}

TEST_F(BindDown, WhatTheCalloutLetsLearnIsLearned) {
    dp_redirect_request q = to_new(6000);
    q.learn_ms = 60000;
    redirect(q);
    dp_learned_key key{};
    key.remote = old_address;
    key.remote_port = 5000;
    key.exe_inode = 11;
    key.exe_dev = 12;
    key.exe_generation = 3;
    key.uid = 1000;
    key.filter_id = filter_;
    key.protocol = 6;
    EXPECT_FALSE(find<dp_learned>(skeleton_->maps.learned, key)) << "not before the permit";
    answer();
    const auto learned = find<dp_learned>(skeleton_->maps.learned, key);
    ASSERT_TRUE(learned);
    EXPECT_EQ(learned->generation, generation);
    EXPECT_EQ(learned->version.remote.lo, new_address.lo);
    EXPECT_EQ(learned->version.remote_port, 6000);
}

} // namespace
