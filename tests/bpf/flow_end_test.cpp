// SPDX-License-Identifier: Apache-2.0
// The ends of flows, ordered by dp_judge under the kernel's test run: who is told, what is
// remembered, and what happens where there is no room.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "shared/config.h"
#include "shared/judge.h"
#include "shared/port.h"
#include "dp.skel.h" // after the types it names

namespace {

constexpr std::uint32_t host = 7, other_host = 8;
constexpr std::uint64_t flow_id = 42;
constexpr std::uint32_t ended_max = 2;

// A host's ring of notices and what was read from it.
class Ring {
public:
    explicit Ring(std::uint32_t bytes)
        : map_(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, bytes, nullptr)),
          ring_(ring_buffer__new(map_, &Ring::take, this, nullptr)) {}
    ~Ring() {
        ring_buffer__free(ring_);
        close(map_);
    }
    [[nodiscard]] int fd() const { return map_; }
    std::vector<dp_upcall> read() {
        seen_.clear();
        ring_buffer__consume(ring_);
        return seen_;
    }

private:
    static int take(void *self, void *data, std::size_t bytes) {
        dp_upcall up{};
        if (bytes >= sizeof up) std::memcpy(&up, data, sizeof up);
        static_cast<Ring *>(self)->seen_.push_back(up);
        return 0;
    }
    int map_;
    ring_buffer *ring_;
    std::vector<dp_upcall> seen_;
};

class FlowEnd : public testing::Test {
protected:
    void SetUp() override {
        skeleton_.reset(dp_bpf::open());
        ASSERT_TRUE(skeleton_);
        ASSERT_EQ(bpf_map__set_max_entries(skeleton_->maps.ended, ended_max), 0);
        bpf_program *program = nullptr; // the others take the verifier seconds
        bpf_object__for_each_program(program, skeleton_->obj)
            bpf_program__set_autoload(program, program == skeleton_->progs.dp_judge);
        if (const int error = dp_bpf::load(skeleton_.get()); error == -EPERM)
            GTEST_SKIP() << "skipped: needs CAP_BPF to load programs";
        else
            ASSERT_EQ(error, 0);
        for (const std::uint32_t id : {host, other_host})
            set(skeleton_->maps.hosts, id, a_host(true));
        ring_ = std::make_unique<Ring>(1 << 12);
        other_ring_ = std::make_unique<Ring>(1 << 12);
        set(skeleton_->maps.notices, host, ring_->fd());
        set(skeleton_->maps.notices, other_host, other_ring_->fd());
        // Every third slot is the other host's.
        std::uint64_t theirs = 0;
        for (std::uint32_t slot = 0; slot < DP_CONTEXT_SLOTS; slot += 3)
            theirs |= bit(slot);
        for (std::uint32_t slot = 0; slot < DP_CONTEXT_SLOTS; ++slot) {
            const bool other = (theirs & bit(slot)) != 0;
            set(skeleton_->maps.context_slots, slot,
                dp_context_slot{.host = other ? other_host : host,
                                .callout = slot + 1,
                                .slots = other ? theirs : ~theirs});
        }
    }

    static dp_host a_host(bool alive) {
        dp_host h{};
        h.port_ifindex = 1;
        h.alive = alive ? 1 : 0;
        return h;
    }
    static std::uint64_t bit(std::uint32_t slot) { return std::uint64_t{1} << slot; }
    static dp_flow_key key(std::uint16_t port = 1000, std::uint8_t protocol = 17) {
        dp_flow_key k{};
        k.local = {0, 0x0000ffffc0000201};
        k.remote = {0, 0x0000ffffc0000202};
        k.local_port = port;
        k.remote_port = 80;
        k.protocol = protocol;
        return k;
    }
    template <typename K, typename V>
    void set(bpf_map *map, K key, const V &value) {
        ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY), 0)
            << bpf_map__name(map);
    }
    template <typename V, typename K>
    std::optional<V> get(bpf_map *map, const K &key) {
        V value{};
        if (bpf_map_lookup_elem(bpf_map__fd(map), &key, &value) != 0) return std::nullopt;
        return value;
    }
    void open(std::uint64_t contexts, std::uint64_t id = flow_id, const dp_flow_key &k = key()) {
        dp_flow f{};
        f.state = DP_FLOW_PERMITTED;
        f.ticket = id;
        f.contexts = contexts;
        f.cookie = 99;
        set(skeleton_->maps.flows, k, f);
    }
    std::optional<dp_flow> flow(const dp_flow_key &k = key()) {
        return get<dp_flow>(skeleton_->maps.flows, k);
    }
    std::optional<dp_ended> ended(std::uint64_t id = flow_id) {
        return get<dp_ended>(skeleton_->maps.ended, id);
    }

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
    std::uint64_t count(dp_reason reason) {
        std::vector<dp_reason_count> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        const std::uint32_t at = reason;
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.reasons), &at, cpus.data());
        std::uint64_t sum = 0;
        for (const dp_reason_count &c : cpus)
            sum += c.packets;
        return sum;
    }
    void expect_end(Ring &ring, std::uint64_t id = flow_id) {
        const auto told = ring.read();
        ASSERT_EQ(told.size(), 1u);
        EXPECT_EQ(told[0].magic, DP_UPCALL_MAGIC);
        EXPECT_EQ(told[0].kind, DP_UPCALL_END);
        EXPECT_EQ(told[0].flow, id);
        EXPECT_EQ(told[0].key.local_port, key().local_port);
    }

    struct Destroy {
        void operator()(dp_bpf *s) const { dp_bpf::destroy(s); }
    };
    std::unique_ptr<dp_bpf, Destroy> skeleton_;
    std::unique_ptr<Ring> ring_, other_ring_;
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

TEST_F(FlowEnd, ContextsOfHostsThatEndedAreForgotten) {
    open(bit(0) | bit(5) | bit(63));
    EXPECT_EQ(order(DP_JUDGE_FORGET, bit(5) | bit(6)), DP_JUDGE_ENDED);
    EXPECT_EQ(flow()->contexts, bit(0) | bit(63));
    EXPECT_EQ(order(DP_JUDGE_FORGET, 1, key(9)), DP_JUDGE_OTHER);
}

} // namespace
