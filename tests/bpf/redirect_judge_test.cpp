// SPDX-License-Identifier: Apache-2.0
// dp_redirect_judge by itself: what the kernel answers for fixed targets and for what was learned,
// and when it does not.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "bpf/kernel.h"
#include "bpf/redirect_probe.h"
#include "harness/policy_builder.h"
#include "policy/redirect.h"
#include "shared/config.h"
#include "shared/event.h"
#include "redirect_probe.skel.h" // after the types it names

namespace sluice::bpf_test {
namespace {

using namespace harness;

constexpr std::uint16_t layer = DP_LAYER_ALE_CONNECT_REDIRECT_V4;
constexpr std::uint32_t permits = DP_CLASSIFY_PERMIT, blocks = DP_CLASSIFY_BLOCK,
                        asks = DP_CLASSIFY_CALLOUT;
constexpr std::uint32_t host = 9;
constexpr dp_addr original{0, 0xffff0a000001}, proxy{0, 0xffff7f000001};
const dp_process who{.start_ns = 77, .exe_inode = 5, .exe_dev = 6, .tgid = 42, .uid = 1000};

dp_redirect_goal goal(std::uint8_t provider, std::uint16_t port, dp_addr address = proxy) {
    dp_redirect_goal made{};
    made.v4 = {address, port, 1, 0};
    made.provider[0] = provider;
    return made;
}

class RedirectJudge : public testing::Test {
protected:
    void SetUp() override {
        SLUICE_NEEDS_BPF();
        skeleton_ = redirect_probe_bpf__open_and_load();
        ASSERT_TRUE(skeleton_);
        maps_ = std::make_unique<Maps>(
            bpf_map__fd(skeleton_->maps.policy), bpf_map__fd(skeleton_->maps.policy_large),
            bpf_map__fd(skeleton_->maps.callouts), bpf_map__fd(skeleton_->maps.hosts));
        set(skeleton_->maps.exes, dp_exe_key{who.exe_inode, who.exe_dev, 0}, exe_of(3));
    }
    void TearDown() override { redirect_probe_bpf__destroy(skeleton_); }

    static dp_exe exe_of(std::uint32_t generation) {
        dp_exe exe{};
        exe.generation = generation;
        return exe;
    }
    template <typename K, typename V>
    void set(bpf_map *map, const K &key, const V &value) {
        ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY), 0);
    }

    // A filter for each goal, the first evaluated first, each in a sublayer of its own.
    void redirect_to(const std::vector<dp_redirect_goal> &goals) {
        policy::Policy policy = policy::initial();
        std::uint16_t weight = 900;
        for (const dp_redirect_goal &to : goals) {
            const Guid callout = new_callout(policy, layer);
            filters_.push_back(
                add(policy, unknown(layer, callout).in(new_sublayer(policy, weight--))));
            set(skeleton_->maps.targets, std::uint32_t(filters_.size()), to);
        }
        compiler::Plan plan = plan_of(policy, 4);
        for (dp_cell &cell : plan.image) {
            if (cell.op != DP_OP_MATCH) continue;
            cell.row.flags |= DP_ROW_REDIRECT;
            const auto at = std::find(filters_.begin(), filters_.end(), cell.row.filter_id);
            cell.row.callout = std::uint32_t(at - filters_.begin() + 1);
        }
        maps_->publish(plan);
    }

    dp_redirect_probe run(const dp_redirect_probe &question) {
        dp_redirect_probe probe = question;
        set(skeleton_->maps.probe, std::uint32_t{0}, probe);
        const harness::Bytes frame(64, 0);
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                    .data_size_in = std::uint32_t(frame.size()));
        EXPECT_EQ(
            bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.dp_redirect_probe), &opts), 0);
        const std::uint32_t zero = 0;
        EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.probe), &zero, &probe), 0);
        return probe;
    }
    static dp_redirect_probe question() {
        dp_redirect_probe probe{};
        probe.key.layer = layer;
        probe.question.app.remote = original;
        probe.question.app.remote_port = 443;
        probe.question.app.protocol = 6;
        probe.question.process = who;
        return probe;
    }
    dp_redirect draft(const dp_redirect_probe &probe) {
        dp_redirect made{};
        EXPECT_NE(probe.question.draft, 0u);
        EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.redirects), &probe.question.draft,
                                      &made),
                  0);
        return made;
    }
    // What `contexts_of` has of it; empty: nothing.
    std::string beside(std::uint64_t id, std::size_t bytes) {
        dp_redirect_context c{};
        if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.contexts_of), &id, &c) != 0) return {};
        return std::string(reinterpret_cast<const char *>(c.bytes), bytes);
    }
    std::uint64_t counted(std::uint32_t reason) {
        std::vector<dp_reason_count> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.reasons), &reason, cpus.data());
        std::uint64_t sum = 0;
        for (const auto &cpu : cpus)
            sum += cpu.packets;
        return sum;
    }
    static dp_redirect_record carrying(std::uint8_t provider, std::uint16_t hops = 1) {
        dp_redirect_record record{};
        record.id = 7;
        record.hops = hops;
        for (int i = 0; i < hops; i++)
            record.hop[i].provider[0] = provider;
        return record;
    }
    // Nothing redirects, and nothing was refused.
    void expect_as_asked(const dp_redirect_probe &question) {
        const dp_redirect_probe probe = run(question);
        EXPECT_EQ(probe.result, permits);
        EXPECT_EQ(probe.question.draft, 0u);
    }

    redirect_probe_bpf *skeleton_ = nullptr;
    std::unique_ptr<Maps> maps_;
    std::vector<std::uint64_t> filters_;
};

TEST_F(RedirectJudge, AFixedTargetIsAVersionOfTheRequest) {
    redirect_to({goal(1, 3128)});
    const dp_redirect made = draft(run(question()));
    EXPECT_EQ(made.state, std::uint32_t(DP_REDIRECT_DRAFT));
    ASSERT_EQ(made.versions, 2u);
    EXPECT_EQ(made.version[0].remote.lo, original.lo);
    EXPECT_EQ(made.version[0].remote_port, 443);
    EXPECT_EQ(made.version[1].remote.lo, proxy.lo);
    EXPECT_EQ(made.version[1].remote_port, 3128);
    EXPECT_EQ(made.version[1].filter_id, filters_[0]);
    EXPECT_EQ(made.version[1].flags, DP_REDIRECT_LOCAL);
    EXPECT_EQ(made.record.hops, 0) << "its own hop counts once it is live";
    EXPECT_EQ(made.record.hop[0].provider[0], 1);
    EXPECT_EQ(made.record.hop[0].process.tgid, who.tgid);
}

TEST_F(RedirectJudge, AShortContextStandsInTheEntryAndALongOneBesideIt) {
    dp_redirect_goal brief = goal(1, 3128), longer = goal(2, 80, {0, 0xffff0a000002});
    brief.context_bytes = DP_REDIRECT_BRIEF_MAX;
    std::memset(brief.context, 'b', brief.context_bytes);
    longer.context_bytes = DP_REDIRECT_BRIEF_MAX + 1;
    std::memset(longer.context, 'l', longer.context_bytes);
    for (const bool replaced : {false, true}) {
        SCOPED_TRACE(replaced);
        redirect_to(replaced ? std::vector{longer, brief} : std::vector{longer});
        const dp_redirect_probe probe = run(question());
        const dp_redirect made = draft(probe);
        EXPECT_EQ(made.context_bytes, replaced ? brief.context_bytes : longer.context_bytes);
        EXPECT_EQ(std::string(std::begin(made.brief), std::end(made.brief)),
                  std::string(DP_REDIRECT_BRIEF_MAX, replaced ? 'b' : '\0'));
        EXPECT_EQ(beside(probe.question.draft, longer.context_bytes),
                  replaced ? "" : std::string(longer.context_bytes, 'l'));
    }
}

TEST_F(RedirectJudge, ALearnedContextIsCopied) {
    policy::Policy policy = policy::initial();
    const Guid callout = new_callout(policy, layer);
    const std::uint64_t filter = add(policy, unknown(layer, callout));
    maps_->publish(plan_of(policy, 4));
    maps_->set_alive(host, true);
    maps_->answer_for(policy.callouts.at(callout).id, host);
    const dp_learned_key key{original, who.exe_inode, filter, who.exe_dev, 3, who.uid, 443, 6, 0};
    dp_learned value{};
    value.until_ns = ~0ull;
    value.generation = 4;
    value.version.remote = proxy;
    value.context_id = 5;
    dp_redirect_context context{};
    std::memset(context.bytes, 'c', DP_REDIRECT_BRIEF_MAX + 1);
    set(skeleton_->maps.contexts_of, value.context_id, context);
    for (const std::uint32_t bytes : {DP_REDIRECT_BRIEF_MAX, DP_REDIRECT_BRIEF_MAX + 1}) {
        value.context_bytes = bytes;
        set(skeleton_->maps.learned, key, value);
        const dp_redirect_probe probe = run(question());
        const dp_redirect made = draft(probe);
        EXPECT_EQ(made.context_bytes, bytes);
        const bool brief = bytes <= DP_REDIRECT_BRIEF_MAX;
        EXPECT_EQ(made.brief[DP_REDIRECT_BRIEF_MAX - 1], brief ? 'c' : 0);
        EXPECT_EQ(beside(probe.question.draft, bytes), brief ? "" : std::string(bytes, 'c'));
    }
}

TEST_F(RedirectJudge, AnotherFamilyAndTheTargetItselfArePassedOver) {
    dp_redirect_goal v6_only{};
    v6_only.v6 = {{0, 1}, 3128, 1, 0};
    redirect_to({v6_only, goal(1, 443, original)});
    expect_as_asked(question());
}

TEST_F(RedirectJudge, WhatIsInTheChainIsPassedOver) {
    redirect_to({goal(1, 3128)});
    dp_redirect_probe asked = question();
    asked.record = carrying(1);
    expect_as_asked(asked);
    EXPECT_EQ(counted(DP_REASON_REDIRECT_LOOP), 0u) << "it carries its record";
    asked.record = carrying(2);
    EXPECT_EQ(draft(run(asked)).record.hops, 1);

    asked.record = carrying(1);
    asked.record.id = 0; // inferred of a process that sets none
    expect_as_asked(asked);
    EXPECT_EQ(counted(DP_REASON_REDIRECT_LOOP), 1u);
}

TEST_F(RedirectJudge, OneLocalRedirectionAnEvaluationAndOthersBefore) {
    redirect_to({goal(1, 80, {0, 0xffff0a000002}), goal(2, 3128), goal(3, 3129)});
    const dp_redirect made = draft(run(question()));
    ASSERT_EQ(made.versions, 3u);
    EXPECT_EQ(made.version[1].remote.lo, 0xffff0a000002u);
    EXPECT_EQ(made.version[2].remote_port, 3128);
    EXPECT_EQ(made.record.hop[0].provider[0], 2);
}

TEST_F(RedirectJudge, TooManyVersionsAndTooLongAChainAreRefused) {
    redirect_to(
        {goal(1, 1, original), goal(2, 2, original), goal(3, 3, original), goal(4, 4, original)});
    dp_redirect_probe probe = run(question());
    EXPECT_EQ(probe.result, blocks);
    EXPECT_EQ(probe.question.reason, std::uint32_t(DP_REASON_REDIRECT_CHAIN));
    probe = question();
    probe.record = carrying(9, DP_RECORD_HOPS_MAX);
    probe = run(probe);
    EXPECT_EQ(probe.result, blocks);
    EXPECT_EQ(probe.question.reason, std::uint32_t(DP_REASON_REDIRECT_CHAIN));
}

TEST_F(RedirectJudge, ADryRunOnlyFindsOut) {
    redirect_to({goal(1, 3128)});
    dp_redirect_probe asked = question();
    asked.question.dry = 1;
    asked = run(asked);
    EXPECT_EQ(asked.result, asks);
    EXPECT_EQ(asked.question.draft, 0u);
}

TEST_F(RedirectJudge, WhatWasLearnedIsForThisExecutableUserAndDestinationOnly) {
    policy::Policy policy = policy::initial();
    const Guid callout = new_callout(policy, layer);
    const std::uint64_t filter = add(policy, unknown(layer, callout));
    maps_->publish(plan_of(policy, 4));
    maps_->set_alive(host, true);
    maps_->answer_for(policy.callouts.at(callout).id, host);
    EXPECT_EQ(run(question()).result, asks);

    const dp_learned_key key{original, who.exe_inode, filter, who.exe_dev, 3, who.uid, 443, 6, 0};
    dp_learned value{};
    value.until_ns = ~0ull;
    value.generation = 4;
    value.version.remote = proxy;
    value.version.remote_port = 3128;
    value.version.handle = std::uint64_t{host} << 32 | 7;
    set(skeleton_->maps.learned, key, value);
    EXPECT_EQ(run(question()).result, asks) << "its handle was destroyed";
    set(skeleton_->maps.handles, dp_handle_key{host, 7}, dp_handle{{8}});
    const dp_redirect made = draft(run(question()));
    EXPECT_EQ(made.version[1].remote_port, 3128);
    EXPECT_EQ(made.version[1].filter_id, filter);
    EXPECT_EQ(made.record.hop[0].provider[0], 8);
    EXPECT_EQ(counted(DP_REASON_REDIRECT_LEARNED), 1u);

    const auto differs = [&](const char *what, auto change) {
        dp_redirect_probe asked = question();
        change(asked);
        EXPECT_EQ(run(asked).result, asks) << what;
    };
    differs("uid", [](auto &q) { q.question.process.uid++; });
    differs("inode", [](auto &q) { q.question.process.exe_inode++; });
    differs("device", [](auto &q) { q.question.process.exe_dev++; });
    differs("port", [](auto &q) { q.question.app.remote_port++; });
    differs("address", [](auto &q) { q.question.app.remote.lo++; });
    differs("protocol", [](auto &q) { q.question.app.protocol = 17; });
    set(skeleton_->maps.exes, dp_exe_key{who.exe_inode, who.exe_dev, 0}, exe_of(4));
    EXPECT_EQ(run(question()).result, asks) << "another file has the inode's number";
    set(skeleton_->maps.exes, dp_exe_key{who.exe_inode, who.exe_dev, 0}, exe_of(3));
    EXPECT_EQ(run(question()).result, permits);
    value.until_ns = 1;
    set(skeleton_->maps.learned, key, value);
    EXPECT_EQ(run(question()).result, asks) << "its time is over";
    value.until_ns = ~0ull;
    value.generation = 3;
    set(skeleton_->maps.learned, key, value);
    EXPECT_EQ(run(question()).result, asks) << "under an older policy";
}

TEST_F(RedirectJudge, WhoWishesToSeeNewerVersionsIsAskedOnceMore) {
    policy::Policy policy = policy::initial();
    const Guid asked = new_callout(policy, layer), fixed = new_callout(policy, layer);
    const std::uint64_t first = add(policy, unknown(layer, asked).in(new_sublayer(policy, 900)));
    const std::uint64_t later = add(policy, unknown(layer, fixed).in(new_sublayer(policy, 899)));
    compiler::Plan plan = plan_of(policy, 4);
    for (dp_cell &cell : plan.image)
        if (cell.op == DP_OP_MATCH && cell.row.filter_id == later) {
            cell.row.flags |= DP_ROW_REDIRECT;
            cell.row.callout = 1;
        }
    set(skeleton_->maps.targets, std::uint32_t{1}, goal(2, 3128));
    maps_->publish(plan);
    maps_->set_alive(host, true);
    maps_->answer_for(policy.callouts.at(asked).id, host);
    const dp_learned_key key{original, who.exe_inode, first, who.exe_dev, 3, who.uid, 443, 6, 0};
    dp_learned value{};
    value.until_ns = ~0ull;
    value.generation = 4;
    value.version.remote = {0, 0xffff0a000002};
    value.version.remote_port = 444;
    for (const bool wishes : {false, true}) {
        SCOPED_TRACE(wishes);
        value.version.flags = wishes ? DP_REDIRECT_REAUTHORIZE : 0;
        set(skeleton_->maps.learned, key, value);
        dp_redirect_probe probe = run(question());
        ASSERT_EQ(draft(probe).versions, 3u);
        ASSERT_EQ(probe.result, wishes ? asks : permits);
        if (!wishes) continue;
        EXPECT_EQ(probe.eval.asked_id, first);
        EXPECT_EQ(probe.eval.asked[0], policy.callouts.at(asked).id) << "as one that knows it";
        EXPECT_EQ(draft(probe).version[1].flags, DP_REDIRECT_SHOWN);
        dp_answer &answer = probe.eval.answer[probe.eval.answers++ & (DP_ANSWERS_MAX - 1)];
        answer.filter_id = first;
        answer.action = DP_ACTION_PERMIT;
        answer.rights = DP_RIGHT_ACTION_WRITE;
        answer.running_action_low = std::uint16_t(probe.eval.action);
        probe = run(probe);
        EXPECT_EQ(probe.result, permits) << "and no third time";
        EXPECT_EQ(draft(probe).versions, 3u);
    }
}

// Lengths 8 and 16 of the reference implementation's vectors: key 00..0f, message 00, 01, ...
TEST_F(RedirectJudge, TheHashIsSipHash) {
    dp_redirect_probe probe{};
    for (int i = 0; i < 16; i++)
        reinterpret_cast<std::uint8_t *>(probe.hash_key)[i] = std::uint8_t(i);
    for (int i = 0; i < 64; i++)
        reinterpret_cast<std::uint8_t *>(probe.word)[i] = std::uint8_t(i);
    probe.words = 1;
    EXPECT_EQ(run(probe).hash, 0x93f5f5799a932462u);
    probe.words = 2;
    EXPECT_EQ(run(probe).hash, 0x3f2acc7f57c29bdbu);
}

} // namespace
} // namespace sluice::bpf_test
