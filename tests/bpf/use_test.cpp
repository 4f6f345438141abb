// SPDX-License-Identifier: Apache-2.0
// Quotas and outcomes: what may be asked, what stands in place of an answer, and that the counts
// are exact.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <memory>

#include "bpf/kernel.h"
#include "bpf/use_probe.h"
#include "harness/policy_builder.h"
#include "shared/config.h"
#include "use_probe.skel.h" // after the types it names

namespace sluice::bpf_test {
namespace {

using namespace harness;

constexpr std::uint32_t first_host = 1, second_host = 2;

dp_process process(std::uint32_t tgid) {
    dp_process p{};
    p.tgid = tgid;
    p.start_ns = 1000 + tgid;
    return p;
}

class Use : public testing::Test {
protected:
    void SetUp() override {
        SLUICE_NEEDS_BPF();
        probe_.reset(use_probe_bpf::open_and_load());
        ASSERT_TRUE(probe_);
        limit(first_host, 3, 2, 1000, 600);
        limit(second_host, 0, 0, 0, 0);
    }

    void limit(std::uint32_t host, std::uint32_t holds, std::uint32_t process_holds,
               std::uint64_t bytes, std::uint64_t process_bytes,
               dp_outcome outcome = DP_OUTCOME_UNREGISTERED) {
        dp_host h{};
        h.alive = h.port_ifindex = 1;
        h.outcome = outcome;
        h.holds_max = holds;
        h.process_holds_max = process_holds;
        h.hold_bytes_max = bytes;
        h.process_bytes_max = process_bytes;
        set(probe_->maps.hosts, host, h);
    }

    template <typename K, typename V>
    static void set(bpf_map *map, K key, const V &value) {
        ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY), 0)
            << bpf_map__name(map);
    }

    std::uint32_t run(const dp_use_probe &what) {
        set(probe_->maps.probe, 0u, what);
        const char frame[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof frame);
        EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(probe_->progs.dp_use_probe_run), &run), 0);
        return run.retval;
    }
    std::uint32_t take(std::uint32_t host, std::uint32_t tgid, std::uint64_t bytes = 100,
                       std::uint32_t holds = 1) {
        return run(question(DP_USE_PROBE_TAKE, host, tgid, bytes, holds));
    }
    void give(std::uint32_t host, std::uint32_t tgid, std::uint64_t bytes = 100) {
        run(question(DP_USE_PROBE_GIVE, host, tgid, bytes, 1));
    }
    static dp_use_probe question(dp_use_probe_what what, std::uint32_t host, std::uint32_t tgid,
                                 std::uint64_t bytes, std::uint32_t holds) {
        dp_use_probe p{};
        p.what = what;
        p.host = host;
        p.holds = holds;
        p.bytes = bytes;
        p.who = process(tgid);
        return p;
    }

    dp_use use(std::uint64_t id, std::uint64_t start_ns = 0) {
        const dp_use_key key{id, start_ns};
        dp_use u{};
        bpf_map_lookup_elem(bpf_map__fd(probe_->maps.uses), &key, &u);
        return u;
    }
    dp_use of_process(std::uint32_t tgid) { return use(tgid, 1000 + tgid); }

    // Two terminating callouts after each other at connect_v4, of first_host and second_host, and
    // a permit behind them.
    void ask_two(std::uint32_t row_flags) {
        policy::Policy p = policy::initial();
        const Guid first = new_callout(p, connect_v4), second = new_callout(p, connect_v4);
        first_ = add(p, terminating(connect_v4, first).weighing(9));
        second_ = add(p, terminating(connect_v4, second).weighing(8));
        compiler::Plan plan = plan_of(p);
        for (dp_cell &cell : plan.image)
            if (cell.op == DP_OP_MATCH && cell.row.filter_id == first_) cell.row.flags |= row_flags;
        maps_ = std::make_unique<Maps>(
            bpf_map__fd(probe_->maps.policy), bpf_map__fd(probe_->maps.policy_large),
            bpf_map__fd(probe_->maps.callouts), bpf_map__fd(probe_->maps.hosts));
        maps_->publish(plan);
        maps_->answer_for(p.callouts.at(first).id, first_host);
        maps_->answer_for(p.callouts.at(second).id, second_host);
    }
    std::uint32_t admit() {
        dp_use_probe p = question(DP_USE_PROBE_ADMIT, 0, 7, 100, 0);
        p.key.layer = connect_v4;
        const std::uint32_t r = run(p);
        const std::uint32_t zero = 0;
        bpf_map_lookup_elem(bpf_map__fd(probe_->maps.probe), &zero, &p);
        asked_ = p.eval.asked_id;
        return r;
    }

    struct Destroy {
        void operator()(use_probe_bpf *p) const { use_probe_bpf::destroy(p); }
    };
    std::unique_ptr<use_probe_bpf, Destroy> probe_;
    std::unique_ptr<Maps> maps_;
    std::uint64_t first_ = 0, second_ = 0, asked_ = 0;
};

TEST_F(Use, PacketsOfAHostThatAreOutAreLimited) {
    const auto enters = [&](std::uint32_t host) {
        return run(question(DP_USE_PROBE_PACKET_ENTER, host, 1, 0, 0)) == 1;
    };
    const auto leaves = [&](std::uint32_t host) {
        run(question(DP_USE_PROBE_PACKET_LEAVE, host, 1, 0, 0));
    };
    dp_host h{};
    h.alive = h.port_ifindex = 1;
    h.packets_max = 2;
    set(probe_->maps.hosts, first_host, h);
    EXPECT_TRUE(enters(first_host) && enters(first_host));
    EXPECT_FALSE(enters(first_host));
    EXPECT_EQ(use(DP_USE_PACKETS | first_host).holds, 2u);
    EXPECT_EQ(use(DP_USE_PACKETS | first_host).refused_total, 1u);
    EXPECT_EQ(use(first_host).holds, 0u) << "they are no holds";
    leaves(first_host);
    EXPECT_TRUE(enters(first_host));
    for (int i = 0; i < 4; ++i)
        leaves(first_host);
    EXPECT_EQ(use(DP_USE_PACKETS | first_host).holds, 0u) << "never below zero";
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(enters(second_host)) << "it has no limit";
}

TEST_F(Use, OfOneProcessEndsAtItsQuotaAndLeavesRoomForOthers) {
    EXPECT_EQ(take(first_host, 7), DP_REASON_NONE);
    EXPECT_EQ(take(first_host, 7), DP_REASON_NONE);
    EXPECT_EQ(take(first_host, 7), DP_REASON_PROCESS_QUOTA);
    EXPECT_EQ(use(first_host).holds, 2u) << "what was refused is not counted";
    EXPECT_EQ(use(first_host).bytes, 200u);
    EXPECT_EQ(take(first_host, 8), DP_REASON_NONE);
    EXPECT_EQ(take(first_host, 9), DP_REASON_HOST_QUOTA);
    EXPECT_EQ(of_process(7).holds, 2u);
    EXPECT_EQ(of_process(7).refused_total, 1u);
    EXPECT_EQ(use(first_host).refused_total, 1u);
    give(first_host, 7);
    EXPECT_EQ(take(first_host, 9), DP_REASON_NONE);
    EXPECT_EQ(use(first_host).holds, 3u);
    EXPECT_EQ(use(first_host).holds_total, 4u);
}

TEST_F(Use, CountsBytesOfPacketsBehindAHold) {
    ASSERT_EQ(take(first_host, 7, 500), DP_REASON_NONE);
    EXPECT_EQ(take(first_host, 7, 101, 0), DP_REASON_PROCESS_QUOTA);
    EXPECT_EQ(take(first_host, 7, 100, 0), DP_REASON_NONE);
    EXPECT_EQ(take(first_host, 8, 401), DP_REASON_HOST_QUOTA);
    EXPECT_EQ(use(first_host).bytes, 600u);
    EXPECT_EQ(use(first_host).holds, 1u);
    give(first_host, 7, 600);
    EXPECT_EQ(use(first_host).bytes, 0u);
    EXPECT_EQ(of_process(7).bytes, 0u);
}

TEST_F(Use, NeverFallsBelowZero) {
    ASSERT_EQ(take(first_host, 7), DP_REASON_NONE);
    give(first_host, 7, 500);
    give(first_host, 7, 500);
    EXPECT_EQ(use(first_host).holds, 0u);
    EXPECT_EQ(use(first_host).bytes, 0u);
    EXPECT_EQ(of_process(7).holds, 0u);
}

TEST_F(Use, WithoutLimitsIsCountedAllTheSame) {
    for (int i = 0; i < 50; ++i)
        ASSERT_EQ(take(second_host, 7, 100000), DP_REASON_NONE);
    EXPECT_EQ(use(second_host).holds, 50u);
}

TEST_F(Use, PastAQuotaIsAsIfUnregisteredUnlessSomebodyChose) {
    ask_two(0);
    limit(first_host, 1, 1, 0, 0);
    ASSERT_EQ(admit(), DP_CLASSIFY_CALLOUT);
    EXPECT_EQ(asked_, first_);
    EXPECT_EQ(admit(), DP_CLASSIFY_BLOCK);
    limit(first_host, 1, 1, 0, 0, DP_OUTCOME_PERMIT);
    EXPECT_EQ(admit(), DP_CLASSIFY_PERMIT);
    limit(first_host, 1, 1, 0, 0, DP_OUTCOME_NEXT);
    EXPECT_EQ(admit(), DP_CLASSIFY_CALLOUT) << "the next filter's callout is asked";
    EXPECT_EQ(asked_, second_);
    EXPECT_EQ(use(second_host).holds, 1u);
}

TEST_F(Use, AFiltersOutcomeStandsBeforeItsHosts) {
    ask_two(DP_ROW_OUTCOME_BLOCK);
    limit(first_host, 1, 1, 0, 0, DP_OUTCOME_PERMIT);
    ASSERT_EQ(admit(), DP_CLASSIFY_CALLOUT);
    EXPECT_EQ(admit(), DP_CLASSIFY_BLOCK);
    ask_two(DP_ROW_OUTCOME_PERMIT);
    limit(first_host, 1, 1, 0, 0, DP_OUTCOME_BLOCK);
    EXPECT_EQ(admit(), DP_CLASSIFY_PERMIT);
    ask_two(DP_ROW_PERMIT_IF_UNREGISTERED);
    limit(first_host, 1, 1, 0, 0);
    EXPECT_EQ(admit(), DP_CLASSIFY_PERMIT);
    EXPECT_EQ(use(first_host).holds, 1u);
    EXPECT_EQ(use(second_host).holds, 0u);
}

} // namespace
} // namespace sluice::bpf_test
