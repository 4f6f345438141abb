// SPDX-License-Identifier: Apache-2.0
// The program that takes a host's answers, dp_port_down, under the kernel's test run.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "compiler/compile.h"
#include "compiler/layout.h"
#include "datapath/image_map.h"
#include "harness/packet.h"
#include "harness/policy_builder.h"
#include "shared/config.h"
#include "shared/port.h"
#include "dp.skel.h" // after the types it names

namespace sluice::bpf_test {

using namespace harness;

inline constexpr std::uint32_t our_host = 7, other_host = 8;
inline constexpr std::uint32_t port_ifindex = 1; // lo: the test run wants a device that exists
inline constexpr std::uint64_t our_ticket = 42;

struct Outcome {
    int action = -1;
    Bytes out; // data_meta and packet
    [[nodiscard]] dp_port_meta meta() const {
        dp_port_meta m{};
        std::memcpy(&m, out.data(), std::min(sizeof m, out.size()));
        return m;
    }
};

class PortDown : public testing::Test {
protected:
    void SetUp() override {
        skeleton_.reset(dp_bpf::open());
        ASSERT_TRUE(skeleton_);
        // The others take the verifier seconds.
        bpf_program *each = nullptr;
        bpf_object__for_each_program(each, skeleton_->obj)
            bpf_program__set_autoload(each, each == skeleton_->progs.dp_port_down);
        if (const int error = dp_bpf::load(skeleton_.get()); error == -EPERM)
            GTEST_SKIP() << "skipped: needs CAP_BPF to load programs";
        else
            ASSERT_EQ(error, 0);
        publish();
        dp_host h{};
        h.alive = 1;
        h.watchdog_ns = 5'000'000'000;
        h.port_ifindex = 99;
        set(skeleton_->maps.hosts, our_host, h);
        h.port_ifindex = 98;
        set(skeleton_->maps.hosts, other_host, h);
        of_host(our_host);
        dp_callout c{};
        c.host = our_host;
        c.flags = DP_CALLOUT_KEEP_PENDED_DATA;
        set(skeleton_->maps.callouts, callout_id_, c);
    }

    // Whose port it is that the frames come by.
    void of_host(std::uint32_t host) {
        dp_port p{};
        p.host = host;
        set(skeleton_->maps.ports, port_ifindex, p);
    }

    void publish() {
        policy::Policy p = policy::initial();
        const Guid callout = new_callout(p, connect_v4);
        filter_ = add(p, terminating(connect_v4, callout));
        established_filter_ = add(p, terminating(DP_LAYER_ALE_FLOW_ESTABLISHED_V4,
                                                 new_callout(p, DP_LAYER_ALE_FLOW_ESTABLISHED_V4)));
        const Guid packets = new_callout(p, in_v4);
        packet_filter_ = add(p, terminating(in_v4, packets));
        callout_id_ = p.callouts.at(callout).id;
        packet_callout_id_ = p.callouts.at(packets).id;
        auto plan = compiler::compile(p, generation);
        ASSERT_TRUE(plan) << plan.error().text();
        const auto image = datapath::make_image(compiler::lay_out(plan->image));
        ASSERT_TRUE(image) << image.error().text();
        ASSERT_TRUE(datapath::publish_image(bpf_map__fd(skeleton_->maps.policy),
                                            bpf_map__fd(skeleton_->maps.policy_large), *image));
    }

    template <typename K, typename V>
    void set(bpf_map *map, K key, const V &value) {
        ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY), 0)
            << bpf_map__name(map);
    }

    // A connect to 192.0.2.2:80 whose callout has been asked.
    dp_flow_key flow_key(std::uint8_t protocol = 6) {
        dp_flow_key k{};
        k.local = {0, 0x0000ffffc0000201};
        k.remote = {0, 0x0000ffffc0000202};
        k.local_port = 1000;
        k.remote_port = 80;
        k.protocol = protocol;
        return k;
    }
    void asked(std::uint8_t protocol = 6, dp_flow_state state = DP_FLOW_ASKED,
               std::uint32_t up = 1) {
        dp_flow f{};
        f.state = state;
        f.ticket = our_ticket;
        f.generation = generation;
        f.host = our_host;
        f.ifindex = 5;
        f.mark = 3;
        f.cookie = 77;
        f.up = up;
        f.layer = DP_LAYER_ALE_AUTH_CONNECT_V4;
        f.eval.generation = generation;
        f.eval.asked_id = filter_;
        f.eval.action = DP_ACTION_NONE;
        f.eval.rights = DP_RIGHT_ACTION_WRITE;
        f.eval.callout = callout_id_;
        f.eval.callout_action = DP_ACTION_CALLOUT_TERMINATING;
        set(skeleton_->maps.flows, flow_key(protocol), f);
    }
    dp_flow flow(std::uint8_t protocol = 6) {
        dp_flow f{};
        const dp_flow_key k = flow_key(protocol);
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.flows), &k, &f);
        return f;
    }

    // A packet that is out at a packet layer, whose callout has been asked.
    dp_ticket packet_ticket(std::uint32_t layer) const {
        dp_ticket t{};
        t.host = our_host;
        t.ifindex = 6;
        t.layer = layer;
        t.key.layer = layer;
        t.eval.generation = generation;
        t.eval.asked_id = packet_filter_;
        t.eval.action = DP_ACTION_NONE;
        t.eval.rights = DP_RIGHT_ACTION_WRITE;
        return t;
    }
    dp_downcall packet_answer() {
        dp_downcall d = head(DP_DOWNCALL_ANSWER);
        d.filter_id = packet_filter_;
        d.key = {};
        return d;
    }

    dp_downcall head(dp_downcall_kind kind, std::uint32_t action = DP_ACTION_PERMIT,
                     std::uint8_t protocol = 6) {
        dp_downcall d{};
        d.magic = DP_DOWNCALL_MAGIC;
        d.version = DP_LAYOUT_VERSION;
        d.kind = kind;
        d.ticket = our_ticket;
        d.filter_id = filter_;
        d.action = action;
        d.key = flow_key(protocol);
        return d;
    }
    static Bytes syn(Bytes options = {}) {
        return (Eth() / IPv4{} /
                TCP{.source_port = 1000, .destination_port = 80, .options = std::move(options)})
            .bytes();
    }
    static Bytes datagram() {
        return (Eth() / IPv4{} / UDP{.source_port = 1000, .destination_port = 80} /
                Payload("first"))
            .bytes();
    }

    Outcome run(const Bytes &frame, std::uint32_t ifindex = port_ifindex) {
        Outcome r;
        r.out.resize(frame.size() + 512);
        xdp_md context{};
        context.data_end = static_cast<std::uint32_t>(frame.size());
        context.ingress_ifindex = ifindex;
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = r.out.data(),
                    .data_size_in = static_cast<std::uint32_t>(frame.size()),
                    .data_size_out = static_cast<std::uint32_t>(r.out.size()), .ctx_in = &context,
                    .ctx_size_in = sizeof context, .repeat = 1);
        const int error =
            bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.dp_port_down), &options);
        EXPECT_EQ(error, 0) << std::strerror(-error);
        r.action = static_cast<int>(options.retval);
        r.out.resize(options.data_size_out);
        return r;
    }
    Outcome run(const dp_downcall &d, const Bytes &packet = {}) {
        Bytes frame(sizeof d);
        std::memcpy(frame.data(), &d, sizeof d);
        frame.insert(frame.end(), packet.begin(), packet.end());
        return run(frame);
    }

    std::uint64_t count(dp_reason reason) {
        std::vector<dp_reason_count> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        const std::uint32_t key = reason;
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.reasons), &key, cpus.data());
        std::uint64_t sum = 0;
        for (const dp_reason_count &c : cpus)
            sum += c.packets;
        return sum;
    }
    std::uint32_t held(const dp_use_key &key) {
        dp_use use{};
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.uses), &key, &use);
        return use.holds;
    }
    // The downcall is refused for this reason and the flow is as it was.
    void refused(const dp_downcall &d, const Bytes &packet, dp_reason reason) {
        const dp_flow before = flow();
        const std::uint64_t was = count(reason);
        EXPECT_EQ(run(d, packet).action, XDP_DROP);
        EXPECT_EQ(count(reason), was + 1) << reason;
        const dp_flow after = flow();
        EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << reason;
    }

    struct Destroy {
        void operator()(dp_bpf *s) const { dp_bpf::destroy(s); }
    };
    static inline constexpr std::uint64_t generation = 9;
    std::unique_ptr<dp_bpf, Destroy> skeleton_;
    std::uint64_t filter_ = 0, established_filter_ = 0, packet_filter_ = 0;
    std::uint32_t callout_id_ = 0, packet_callout_id_ = 0;
};

} // namespace sluice::bpf_test
