// SPDX-License-Identifier: Apache-2.0
// One flow, two hosts whose callouts have all slots, and the maps around them; for tests of
// programs under the kernel's test run.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "shared/config.h"
#include "shared/judge.h"
#include "shared/port.h"
#include "dp.skel.h" // after the types it names

namespace sluice::bpf_test {

inline constexpr std::uint32_t host = 7, other_host = 8;
inline constexpr std::uint64_t flow_id = 42;
inline constexpr std::uint32_t ended_max = 2;

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

class OneFlow : public testing::Test {
protected:
    // The others take the verifier seconds.
    virtual bpf_program *program() = 0;

    void SetUp() override {
        skeleton_.reset(dp_bpf::open());
        ASSERT_TRUE(skeleton_);
        ASSERT_EQ(bpf_map__set_max_entries(skeleton_->maps.ended, ended_max), 0);
        bpf_program *each = nullptr;
        bpf_object__for_each_program(each, skeleton_->obj)
            bpf_program__set_autoload(each, each == program());
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

    std::uint64_t count(dp_reason reason) {
        std::vector<dp_reason_count> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        const std::uint32_t at = reason;
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.reasons), &at, cpus.data());
        std::uint64_t sum = 0;
        for (const dp_reason_count &c : cpus)
            sum += c.packets;
        return sum;
    }
    struct Destroy {
        void operator()(dp_bpf *s) const { dp_bpf::destroy(s); }
    };
    std::unique_ptr<dp_bpf, Destroy> skeleton_;
    std::unique_ptr<Ring> ring_, other_ring_;
};

} // namespace sluice::bpf_test
