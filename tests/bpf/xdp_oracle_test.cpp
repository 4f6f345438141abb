// SPDX-License-Identifier: Apache-2.0
// Random policies and packets: the XDP program's verdict and the filter that it names are the
// oracle's. No callout is registered. Repeat a failure with the printed seed: RC_PARAMS="seed=N";
// RC_PARAMS="max_success=N" for more.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <arpa/inet.h>

#include <algorithm>
#include <iostream>

#include "bpf/kernel.h"
#include "harness/random_policy.h"

namespace sluice::bpf_test {
namespace {

using namespace harness;

std::string text4(std::uint32_t address) {
    char out[INET_ADDRSTRLEN];
    const std::uint32_t network = htonl(address);
    return inet_ntop(AF_INET, &network, out, sizeof out);
}
std::string text6(const policy::Bytes16 &address) {
    char out[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, address.data(), out, sizeof out);
}

harness::Packet network_part(const policy::Packet &p, int dress) {
    harness::Packet frame{Eth()};
    if (dress & 1) frame = std::move(frame) / Vlan{5};
    if (!p.v6) {
        const Bytes options = (dress & 2) != 0 ? Bytes(8, 1) : Bytes{};
        return std::move(frame) /
               IPv4{.source = text4(p.remote4), .destination = text4(p.local4), .options = options};
    }
    frame = std::move(frame) / IPv6{.source = text6(p.remote6), .destination = text6(p.local6)};
    if (dress & 2) frame = std::move(frame) / HopByHop(1);
    if (dress & 4) frame = std::move(frame) / Fragment6{.more = true};
    return frame;
}

// The packet as a frame, in one of several dresses that must not matter.
Bytes frame_of(const policy::Packet &p) {
    harness::Packet frame =
        network_part(p, *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 8)));
    if (p.protocol == IPPROTO_TCP)
        frame = std::move(frame) / TCP{p.remote_port, p.local_port};
    else
        frame = std::move(frame) / UDP{p.remote_port, p.local_port};
    return (std::move(frame) / Payload(32)).bytes();
}

struct Seen {
    int pairs = 0, blocked = 0, decided = 0;
};

void compare(Xdp &xdp, const Scene &scene, std::uint16_t layer, Seen &seen) {
    const policy::Packet packet = random_packet(layer);
    const policy::Verdict expected = arbitrate(scene.policy, packet, scene.ask());
    const bool block = expected.action == FWP_ACTION_BLOCK;
    ++seen.pairs;
    seen.blocked += block ? 1 : 0;
    seen.decided += expected.filter != 0 ? 1 : 0;
    RC_ASSERT(xdp.run(frame_of(packet)) == static_cast<std::uint32_t>(block ? XDP_DROP : XDP_PASS));
    RC_ASSERT(xdp.take_hit() == expected.filter);
}

TEST(XdpVerdicts, AreTheOraclesForRandomPolicies) {
    SLUICE_NEEDS_BPF();
    Xdp xdp;
    Seen seen;
    EXPECT_TRUE(rc::check([&] {
        Scene scene = random_scene({in_v4, in_v6}, 6);
        scene.answers.clear(); // nobody is registered
        const compiler::Plan plan = plan_of(scene.policy);
        xdp.maps().publish(plan);
        xdp.watch_filters(plan.filter_ids);
        for (int i = 0; i < 100; ++i)
            compare(xdp, scene, i % 2 != 0 ? in_v4 : in_v6, seen);
    }));
    std::cout << seen.pairs << " pairs: " << seen.blocked << " blocked, " << seen.decided
              << " decided by a filter\n";
    EXPECT_GE(std::min({seen.blocked, seen.decided, seen.pairs - seen.blocked}), seen.pairs / 10);
}

} // namespace
} // namespace sluice::bpf_test
