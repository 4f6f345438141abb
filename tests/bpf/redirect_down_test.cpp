// SPDX-License-Identifier: Apache-2.0
// What callouts make of a connect request, against dp_port_down: what is accepted waits for the
// permit of the same question; everything else is counted with its reason and changes nothing.
#include <cstddef>

#include "port_down.h"

namespace {

using namespace sluice::bpf_test;

constexpr std::uint64_t draft_id = 90, handle = std::uint64_t{our_host} << 32 | 5;

class RedirectDown : public PortDown {
protected:
    void SetUp() override {
        PortDown::SetUp();
        if (IsSkipped()) return;
        set(skeleton_->maps.handles, dp_handle_key{our_host, 5}, dp_handle{{1, 2, 3}});
        question();
    }
    // The flow is asked at CONNECT_REDIRECT, of which the policy has no filter behind this one.
    void question() {
        asked();
        dp_flow f = flow();
        f.layer = DP_LAYER_ALE_CONNECT_REDIRECT_V4;
        f.redirect = draft_id;
        set(skeleton_->maps.flows, flow_key(), f);
        dp_redirect r{};
        r.state = DP_REDIRECT_DRAFT;
        r.app = flow_key();
        r.versions = 1;
        r.version[0].remote = r.app.remote;
        r.version[0].remote_port = r.app.remote_port;
        set(skeleton_->maps.redirects, draft_id, r);
    }
    dp_redirect draft() {
        dp_redirect r{};
        const std::uint64_t id = draft_id;
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.redirects), &id, &r);
        return r;
    }
    std::string context() {
        dp_redirect_context c{};
        const std::uint64_t id = draft_id;
        if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.contexts_of), &id, &c) != 0) return {};
        return {reinterpret_cast<const char *>(c.bytes), sizeof c.bytes};
    }
    static dp_redirect_request to_loopback() {
        dp_redirect_request q{};
        q.version.remote = {0, 0x0000ffff7f000001};
        q.version.remote_port = 8080;
        q.version.handle = handle;
        return q;
    }
    static Bytes with(const dp_redirect_request &q, const Bytes &piece = {}) {
        Bytes bytes(sizeof q);
        std::memcpy(bytes.data(), &q, sizeof q);
        bytes.insert(bytes.end(), piece.begin(), piece.end());
        return bytes;
    }
    dp_downcall redirect() { return head(DP_DOWNCALL_REDIRECT, 0); }
    // Neither flow nor context has changed, nor the draft but for the note that something was
    // refused.
    void refuses(const dp_downcall &d, const Bytes &behind, dp_reason reason) {
        const dp_redirect before = draft();
        const std::string had = context();
        refused(d, behind, reason);
        dp_redirect after = draft();
        after.refused = before.refused;
        EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << reason;
        EXPECT_EQ(context(), had) << reason;
    }
    void refuses(const dp_redirect_request &q, dp_reason reason) {
        refuses(redirect(), with(q), reason);
    }
};

TEST_F(RedirectDown, APermitMakesItStand) {
    EXPECT_EQ(run(redirect(), with(to_loopback())).action, XDP_DROP);
    EXPECT_EQ(draft().versions, 1u) << "it waits";
    EXPECT_EQ(run(head(DP_DOWNCALL_ANSWER), syn()).action, XDP_PASS);
    const dp_redirect r = draft();
    EXPECT_EQ(r.versions, 2u);
    EXPECT_EQ(r.version[1].filter_id, filter_);
    EXPECT_EQ(r.version[1].flags, DP_REDIRECT_LOCAL);
    EXPECT_EQ(r.wire.remote_port, 8080);
    EXPECT_EQ(r.record.hop[0].provider[2], 3) << "in the name of its handle";
    EXPECT_EQ(r.record.hop[0].from_port, 80);
    const dp_flow f = flow();
    EXPECT_EQ(f.redirect, draft_id);
    EXPECT_EQ(f.layer, DP_LAYER_ALE_AUTH_CONNECT_V4);
    EXPECT_EQ(f.round, 1) << "AUTH_CONNECT's callout is a new question";
    EXPECT_NE(f.flags & DP_FLOW_TRANSLATE, 0u);
}

TEST_F(RedirectDown, WhatPassesThisMachineMeetsNoOtherLayer) {
    for (const bool redirects : {true, false}) {
        SCOPED_TRACE(redirects);
        question();
        dp_flow f = flow();
        f.flags = DP_FLOW_PASSES;
        set(skeleton_->maps.flows, flow_key(), f);
        if (redirects) run(redirect(), with(to_loopback()));
        const Outcome r = run(head(DP_DOWNCALL_ANSWER), syn());
        ASSERT_EQ(r.action, XDP_PASS);
        EXPECT_EQ(r.meta().op, DP_PORT_PASS);
        EXPECT_EQ(r.meta().ifindex, 5u) << "the NIC that it came in by";
        EXPECT_EQ(flow().state, std::uint32_t{DP_FLOW_DRAINING})
            << "AUTH_CONNECT's callout is not asked";
        EXPECT_EQ((flow().flags & DP_FLOW_TRANSLATE) != 0, redirects);
        EXPECT_EQ(flow().redirect, redirects ? draft_id : 0);
    }
    question();
    dp_flow f = flow();
    f.flags = DP_FLOW_PASSES;
    set(skeleton_->maps.flows, flow_key(), f);
    dp_redirect_request foreign = to_loopback();
    foreign.version.handle = 0;
    run(redirect(), with(foreign));
    EXPECT_EQ(run(head(DP_DOWNCALL_ANSWER), syn()).action, XDP_DROP)
        << "no socket of this machine is to be told";
    EXPECT_EQ(flow().state, std::uint32_t{DP_FLOW_BLOCKED});
}

TEST_F(RedirectDown, NothingStandsWithoutItsPermit) {
    run(redirect(), with(to_loopback()));
    run(head(DP_DOWNCALL_ANSWER, DP_ACTION_CONTINUE), syn());
    EXPECT_EQ(draft().versions, 0u) << "gone";
    EXPECT_EQ(flow().redirect, 0u);
    EXPECT_EQ(flow().layer, DP_LAYER_ALE_AUTH_CONNECT_V4);
    question();
    run(redirect(), with(to_loopback()));
    dp_downcall late = head(DP_DOWNCALL_ANSWER);
    late.flags = DP_DOWNCALL_EXPIRED;
    dp_flow f = flow();
    f.eval.row_flags = DP_ROW_OUTCOME_PERMIT;
    set(skeleton_->maps.flows, flow_key(), f);
    run(late, syn());
    EXPECT_EQ(flow().layer, DP_LAYER_ALE_AUTH_CONNECT_V4);
    EXPECT_EQ(flow().redirect, 0u) << "the permit was the filter's, not its callout's";
}

TEST_F(RedirectDown, WhatIsRefusedIsNotPermittedAsItWas) {
    dp_redirect_request q = to_loopback();
    q.version.handle = 0;
    refuses(q, DP_REASON_REDIRECT_HANDLE);
    run(head(DP_DOWNCALL_ANSWER), syn());
    EXPECT_EQ(flow().state, std::uint32_t{DP_FLOW_BLOCKED});
    question();
    refuses(q, DP_REASON_REDIRECT_HANDLE);
    run(redirect(), with(to_loopback())); // once more, and right
    EXPECT_EQ(run(head(DP_DOWNCALL_ANSWER), syn()).action, XDP_PASS);
    EXPECT_EQ(draft().versions, 2u);
}

TEST_F(RedirectDown, ContextComesInPieces) {
    dp_redirect_request q = to_loopback();
    q.context_bytes = 2 * DP_REDIRECT_PIECE + 7;
    for (std::uint32_t at = 0; at < q.context_bytes; at += DP_REDIRECT_PIECE) {
        q.context_offset = at;
        q.piece = std::min<std::uint32_t>(DP_REDIRECT_PIECE, q.context_bytes - at);
        run(redirect(), with(q, Bytes(q.piece, std::uint8_t('a' + at / DP_REDIRECT_PIECE))));
    }
    run(head(DP_DOWNCALL_ANSWER), syn());
    EXPECT_EQ(draft().versions, 2u) << "one, of three frames";
    EXPECT_EQ(draft().context_bytes, q.context_bytes);
    EXPECT_EQ(context().substr(0, q.context_bytes),
              std::string(1024, 'a') + std::string(1024, 'b') + std::string(7, 'c'));
}

TEST_F(RedirectDown, LengthsThatContradictEachOtherAreMalformed) {
    refuses(redirect(), {}, DP_REASON_DOWNCALL_MALFORMED);
    refuses(redirect(), with(to_loopback(), {1}), DP_REASON_DOWNCALL_MALFORMED);
    for (const auto &[bytes, offset, piece] :
         {std::array{4097u, 0u, 0u}, std::array{10u, 0u, 11u}, std::array{2000u, 0u, 1025u},
          std::array{2000u, 1000u, 10u}, std::array{2000u, 2048u, 0u},
          std::array{4096u, 0xfffffc00u, 1024u}}) {
        dp_redirect_request q = to_loopback();
        q.context_bytes = bytes;
        q.context_offset = offset;
        q.piece = piece;
        refuses(redirect(), with(q, Bytes(piece)), DP_REASON_DOWNCALL_MALFORMED);
    }
}

TEST_F(RedirectDown, OnlyTheOpenQuestionTakesOne) {
    dp_downcall d = redirect();
    d.ticket++;
    refuses(d, with(to_loopback()), DP_REASON_DOWNCALL_STALE);
    d = redirect();
    d.filter_id++;
    refuses(d, with(to_loopback()), DP_REASON_DOWNCALL_STALE);
    d = redirect();
    d.generation = generation + 1;
    refuses(d, with(to_loopback()), DP_REASON_DOWNCALL_STALE);
    d = redirect();
    d.key.local_port++;
    refuses(d, with(to_loopback()), DP_REASON_DOWNCALL_UNKNOWN_FLOW);
    of_host(other_host);
    refuses(to_loopback(), DP_REASON_DOWNCALL_FOREIGN);
    of_host(our_host);
    for (const auto state : {DP_FLOW_DRAINING, DP_FLOW_PERMITTED, DP_FLOW_BLOCKED}) {
        dp_flow f = flow();
        f.state = state;
        set(skeleton_->maps.flows, flow_key(), f);
        refuses(to_loopback(), DP_REASON_DOWNCALL_STATE);
    }
    asked(); // at AUTH_CONNECT
    refuses(to_loopback(), DP_REASON_DOWNCALL_STATE);
}

TEST_F(RedirectDown, ALocalTargetNeedsAHandleOfThisVeryHost) {
    dp_redirect_request q = to_loopback();
    q.version.handle = 0;
    refuses(q, DP_REASON_REDIRECT_HANDLE);
    q.version.handle = handle + 1;
    refuses(q, DP_REASON_REDIRECT_HANDLE);
    set(skeleton_->maps.handles, dp_handle_key{other_host, 5}, dp_handle{});
    q.version.handle = std::uint64_t{other_host} << 32 | 5;
    refuses(q, DP_REASON_REDIRECT_HANDLE);
}

TEST_F(RedirectDown, ATargetIsOneAddressOfTheSameFamily) {
    for (const dp_addr &to : {dp_addr{0, 1}, dp_addr{}, dp_addr{0, 0x0000ffff00000000},
                              dp_addr{0, 0x0000ffffe0000001}, dp_addr{0, 0x0000ffffffffffff}}) {
        dp_redirect_request q = to_loopback();
        q.version.remote = to;
        refuses(q, DP_REASON_REDIRECT_TARGET);
    }
    dp_redirect_request q = to_loopback();
    q.version.remote_port = 0;
    refuses(q, DP_REASON_REDIRECT_TARGET);
}

TEST_F(RedirectDown, OneFilterRedirectsLocallyAndFourVersionsAreTheMost) {
    dp_redirect r = draft();
    r.versions = 2;
    r.version[1] = to_loopback().version;
    r.version[1].filter_id = filter_ + 1;
    r.version[1].flags = DP_REDIRECT_LOCAL;
    set(skeleton_->maps.redirects, draft_id, r);
    refuses(to_loopback(), DP_REASON_REDIRECT_AGAIN);
    r.version[1].flags = 0;
    r.versions = DP_REDIRECT_VERSIONS_MAX;
    set(skeleton_->maps.redirects, draft_id, r);
    refuses(to_loopback(), DP_REASON_REDIRECT_CHAIN);
    r.versions = 2;
    r.record.hops = DP_RECORD_HOPS_MAX;
    set(skeleton_->maps.redirects, draft_id, r);
    refuses(to_loopback(), DP_REASON_REDIRECT_CHAIN);
}

TEST_F(RedirectDown, WhatMayBeLearnedIsOfThisExecutableAndDestination) {
    dp_exe exe{};
    exe.generation = 6;
    set(skeleton_->maps.exes, dp_exe_key{.inode = 11, .dev = 12}, exe);
    const auto learns = [&](const Bytes &context) {
        dp_flow f = flow();
        f.process = {.start_ns = 1, .exe_inode = 11, .exe_dev = 12, .tgid = 70, .uid = 1000};
        set(skeleton_->maps.flows, flow_key(), f);
        dp_redirect_request q = to_loopback();
        q.learn_ms = 60'000;
        q.context_bytes = q.piece = 3;
        run(redirect(), with(q, context));
        run(head(DP_DOWNCALL_ANSWER), syn());
    };
    learns({'c', 't', 'x'});
    dp_learned_key key{};
    key.remote = flow_key().remote;
    key.remote_port = 80;
    key.protocol = 6;
    key.exe_inode = 11;
    key.exe_dev = 12;
    key.exe_generation = 6;
    key.uid = 1000;
    key.filter_id = filter_;
    dp_learned l{};
    ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.learned), &key, &l), 0);
    EXPECT_EQ(l.generation, generation);
    EXPECT_EQ(l.version.remote_port, 8080);
    EXPECT_EQ(l.context_bytes, 3u);
    dp_redirect_context c{};
    ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.contexts_of), &l.context_id, &c), 0);
    EXPECT_EQ(std::memcmp(c.bytes, "ctx", 3), 0);
    EXPECT_NE(l.context_id, draft_id) << "it outlives the redirection's";
    const std::uint64_t first = l.context_id;
    question();
    learns({'n', 'e', 'w'});
    ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.learned), &key, &l), 0);
    EXPECT_NE(l.context_id, first);
    ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.contexts_of), &l.context_id, &c), 0);
    EXPECT_EQ(std::memcmp(c.bytes, "new", 3), 0);
    EXPECT_NE(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.contexts_of), &first, &c), 0)
        << "what it replaces has left nothing behind";
}

} // namespace
