// SPDX-License-Identifier: Apache-2.0
// A frame that a host writes to its port, whatever it is: dp_port_down under the kernel's test run.
// Beside the questions that are open to this host there is one of another host, a flow of nobody's
// and a ticket that was never given. Whatever the bytes: those stay as they are, no record is made
// in another's name, and all else that may change is a counter, or what the host was asked.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>
#include <map>
#include <net/if.h>

#include "fuzz.h"
#include "shared/config.h"
#include "shared/port.h"
#include "dp.skel.h" // after the types it names

namespace {

constexpr std::uint32_t our_host = 7, other_host = 8, port_ifindex = 1; // lo: it must exist
constexpr std::uint64_t our_ticket = 42, other_ticket = 43, question = 9;
constexpr std::size_t frame_max = 3400;

dp_flow_key key_of(std::uint16_t local_port) {
    dp_flow_key k{};
    k.local = {0, 0x0000ffffc0000201};
    k.remote = {0, 0x0000ffffc0000202};
    k.local_port = local_port;
    k.remote_port = 80;
    k.protocol = 17;
    return k;
}

struct Kernel {
    dp_bpf *skeleton = nullptr;
    std::map<std::uint32_t, std::uint64_t> counts;

    Kernel() {
        skeleton = dp_bpf::open();
        bpf_program *each = nullptr;
        bpf_object__for_each_program(each, skeleton->obj)
            bpf_program__set_autoload(each, each == skeleton->progs.dp_port_down);
        if (dp_bpf::load(skeleton)) {
            std::puts("skipped: needs the right to load BPF programs");
            std::exit(0);
        }
        dp_host h{};
        h.alive = 1;
        h.watchdog_ns = 5'000'000'000;
        h.port_ifindex = 99;
        for (const std::uint32_t host : {our_host, other_host})
            set(skeleton->maps.hosts, host, h);
        dp_port p{};
        p.host = our_host;
        set(skeleton->maps.ports, port_ifindex, p);
        dp_nic nic{};
        set(skeleton->maps.nics, port_ifindex, nic);
        dp_callout c{};
        c.host = our_host;
        set(skeleton->maps.callouts, std::uint32_t{1}, c);
        c.host = other_host;
        set(skeleton->maps.callouts, std::uint32_t{2}, c);
    }

    template <typename K, typename V>
    void set(bpf_map *map, K key, const V &value) {
        FUZZ_MUST(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) == 0);
    }
    template <typename V, typename K>
    V get(bpf_map *map, K key) {
        V value{};
        FUZZ_MUST(bpf_map_lookup_elem(bpf_map__fd(map), &key, &value) == 0);
        return value;
    }

    static dp_flow flow(std::uint64_t ticket, std::uint32_t host, dp_flow_state state) {
        dp_flow f{};
        f.state = state;
        f.ticket = ticket;
        f.host = host;
        f.ifindex = 5;
        f.up = state == DP_FLOW_ASKED;
        f.layer = DP_LAYER_ALE_AUTH_CONNECT_V4;
        f.eval.asked_id = question;
        f.eval.callout = host == our_host ? 1 : 2;
        return f;
    }
    static dp_ticket ticket(std::uint32_t host, std::uint16_t layer, dp_stage stage) {
        dp_ticket t{};
        t.host = host;
        t.ifindex = 5;
        t.layer = layer;
        t.stage = stage;
        t.key.layer = layer;
        t.eval.asked_id = question;
        return t;
    }

    // What is open, as it was before the last frame.
    void open() {
        clear<dp_flow_key>(skeleton->maps.flows);
        clear<std::uint64_t>(skeleton->maps.tickets);
        set(skeleton->maps.flows, key_of(1000), flow(our_ticket, our_host, DP_FLOW_ASKED));
        set(skeleton->maps.flows, key_of(1001), flow(other_ticket, other_host, DP_FLOW_ASKED));
        set(skeleton->maps.flows, key_of(1002), flow(5, 0, DP_FLOW_PERMITTED));
        set(skeleton->maps.tickets, our_ticket,
            ticket(our_host, DP_LAYER_INBOUND_MAC_FRAME_ETHERNET, DP_STAGE_MAC_IN));
        set(skeleton->maps.tickets, other_ticket,
            ticket(other_host, DP_LAYER_INBOUND_IPPACKET_V4, DP_STAGE_IP_IN));
    }

    template <typename K>
    void clear(bpf_map *map) {
        K key{};
        while (bpf_map_get_next_key(bpf_map__fd(map), nullptr, &key) == 0)
            bpf_map_delete_elem(bpf_map__fd(map), &key);
    }

    std::uint64_t counted() {
        std::uint64_t all = 0;
        std::vector<dp_reason_count> each(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        for (std::uint32_t reason = 0; reason < DP_REASONS; ++reason) {
            FUZZ_MUST(bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.reasons), &reason,
                                          each.data()) == 0);
            for (const auto &c : each)
                all += c.packets;
        }
        return all;
    }
};

Kernel &kernel() {
    static Kernel it;
    return it;
}

void others_are_as_they_were(Kernel &k) {
    const auto same = [](const auto &a, const auto &b) { return !std::memcmp(&a, &b, sizeof a); };
    FUZZ_MUST(same(k.get<dp_flow>(k.skeleton->maps.flows, key_of(1001)),
                   Kernel::flow(other_ticket, other_host, DP_FLOW_ASKED)));
    FUZZ_MUST(same(k.get<dp_flow>(k.skeleton->maps.flows, key_of(1002)),
                   Kernel::flow(5, 0, DP_FLOW_PERMITTED)));
    FUZZ_MUST(same(k.get<dp_ticket>(k.skeleton->maps.tickets, other_ticket),
                   Kernel::ticket(other_host, DP_LAYER_INBOUND_IPPACKET_V4, DP_STAGE_IP_IN)));
    // No flow is made or lost by a downcall, and what is injected is in this host's name.
    dp_flow_key flow{}, *before = nullptr;
    int flows = 0;
    for (; bpf_map_get_next_key(bpf_map__fd(k.skeleton->maps.flows), before, &flow) == 0; ++flows)
        before = &flow;
    FUZZ_MUST(flows >= 2 && flows <= 3);
    std::uint64_t number = 0, *last = nullptr;
    while (bpf_map_get_next_key(bpf_map__fd(k.skeleton->maps.tickets), last, &number) == 0) {
        const auto t = k.get<dp_ticket>(k.skeleton->maps.tickets, number);
        FUZZ_MUST(t.injected.host == 0 || t.injected.host == our_host);
        FUZZ_MUST(t.injected.host == 0 || t.injected.times <= DP_INJECT_TIMES_MAX);
        last = &number;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Kernel &k = kernel();
    // Shorter than an Ethernet header no device takes a frame.
    if (size < 14 || size > frame_max) return 0;
    k.open();
    std::vector<std::uint8_t> out(8192);
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.data_in = data;
    run.data_size_in = static_cast<__u32>(size);
    run.data_out = out.data();
    run.data_size_out = static_cast<__u32>(out.size());
    xdp_md context{};
    context.data_end = static_cast<__u32>(size);
    context.ingress_ifindex = port_ifindex;
    run.ctx_in = &context;
    run.ctx_size_in = sizeof context;
    const std::uint64_t before = k.counted();
    FUZZ_MUST(bpf_prog_test_run_opts(bpf_program__fd(k.skeleton->progs.dp_port_down), &run) == 0);
    // Back to the host only what it may hear: why it was not forwarded.
    FUZZ_MUST(run.retval == XDP_DROP || run.retval == XDP_PASS || run.retval == XDP_TX);
    FUZZ_MUST(k.counted() > before);
    others_are_as_they_were(k);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    std::vector<std::string> seeds;
    // UDP from 192.0.2.1:1000 to 192.0.2.2:80 in its frame.
    static const unsigned char packet[] = {
        2,  0, 0, 0,   0, 2, 2, 0,   0, 0, 0, 1, 8,   0, 0x45, 0, 0,  32, 0, 1,   0,   0,   64,
        17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 3, 232, 0, 80,   0, 12, 0,  0, 'a', 'b', 'c', 'd'};
    const auto add = [&](dp_downcall d, bool with_packet) {
        d.magic = DP_DOWNCALL_MAGIC;
        d.version = DP_LAYOUT_VERSION;
        std::string s(reinterpret_cast<const char *>(&d), sizeof d);
        if (with_packet) s.append(reinterpret_cast<const char *>(packet), sizeof packet);
        seeds.push_back(s);
    };
    for (unsigned kind = DP_DOWNCALL_ANSWER; kind <= DP_DOWNCALL_INSTEAD; ++kind)
        for (const std::uint64_t ticket : {our_ticket, other_ticket}) {
            dp_downcall d{};
            d.kind = static_cast<__u8>(kind);
            d.ticket = ticket;
            d.filter_id = question;
            d.action = DP_ACTION_PERMIT;
            d.count = 1;
            add(d, true); // at a packet layer
            d.key = key_of(ticket == our_ticket ? 1000 : 1001);
            add(d, false);
            add(d, true);
            d.flags = DP_DOWNCALL_OPERATION;
            add(d, true);
        }
    for (unsigned kind = DP_INJECT_RECEIVE; kind <= DP_INJECT_MAC_RECEIVE; ++kind) {
        dp_downcall d{};
        d.kind = DP_DOWNCALL_INJECT;
        d.count = 1;
        d.inject.kind = static_cast<__u16>(kind);
        d.inject.handle = 11;
        d.inject.ifindex = port_ifindex;
        add(d, true);
        d.kind = DP_DOWNCALL_INSTEAD;
        d.ticket = our_ticket;
        d.filter_id = d.ahead.filter_id = question;
        d.ahead.action = DP_ACTION_PERMIT;
        add(d, true);
    }
    return seeds;
}
