// SPDX-License-Identifier: Apache-2.0
// Random policies and packets: the XDP program's verdict and the filter that it names are the
// oracle's, for what a frame shows. No callout is registered. Repeat a failure with the printed
// seed: SLUICE_SEED=N.
#include <gtest/gtest.h>

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
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

template <typename T>
T shown(const policy::Packet &p, const char *field) {
    return std::get<T>(p.values.at(policy::table_key(field)));
}

harness::Packet network_part(const policy::Packet &p, std::uint64_t dress) {
    harness::Packet frame{Eth()};
    if (dress & 1) frame = std::move(frame) / Vlan{5};
    if (!policy::layer_is_v6(p.layer)) {
        const Bytes options = (dress & 2) != 0 ? Bytes(8, 1) : Bytes{};
        return std::move(frame) / IPv4{.source = text4(shown<std::uint32_t>(p, remote_address)),
                                       .destination = text4(shown<std::uint32_t>(p, local_address)),
                                       .options = options};
    }
    frame = std::move(frame) / IPv6{.source = text6(shown<policy::Bytes16>(p, remote_address)),
                                    .destination = text6(shown<policy::Bytes16>(p, local_address))};
    if (dress & 2) frame = std::move(frame) / HopByHop(1);
    if (dress & 4) frame = std::move(frame) / Fragment6{.more = true};
    return frame;
}

// The packet as a frame, in one of several dresses that must not matter.
Bytes frame_of(policy::Packet &p, Dice &dice) {
    harness::Packet frame = network_part(p, dice.below(8));
    const auto from = shown<std::uint16_t>(p, remote_port),
               to = shown<std::uint16_t>(p, local_port);
    const bool tcp = dice.one_in(2);
    show(p, protocol, static_cast<std::uint8_t>(tcp ? IPPROTO_TCP : IPPROTO_UDP));
    if (tcp)
        frame = std::move(frame) / TCP{from, to};
    else
        frame = std::move(frame) / UDP{from, to};
    return (std::move(frame) / Payload(32)).bytes();
}

struct Seen {
    int pairs = 0, blocked = 0, decided = 0;
};

void compare(Xdp &xdp, const Scene &scene, std::uint16_t layer, Dice &dice, Seen &seen) {
    policy::Packet packet = random_sample(layer, dice, true).packet;
    const Bytes frame = frame_of(packet, dice);
    const policy::Verdict expected = arbitrate(scene.policy, packet, scene.ask());
    const bool block = expected.action == FWP_ACTION_BLOCK;
    ++seen.pairs;
    seen.blocked += block ? 1 : 0;
    seen.decided += expected.filter != 0 ? 1 : 0;
    ASSERT_EQ(xdp.run(frame), static_cast<std::uint32_t>(block ? XDP_DROP : XDP_PASS));
    ASSERT_EQ(xdp.take_hit(), expected.filter);
}

TEST(XdpVerdicts, AreTheOraclesForRandomPolicies) {
    SLUICE_NEEDS_BPF();
    const char *given = std::getenv("SLUICE_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::set<Guid> fields;
    for (const char *name : {local_address, remote_address, local_port, remote_port, protocol})
        fields.insert(policy::table_key(name));
    Xdp xdp;
    Seen seen;
    for (std::uint64_t at = seed; at < seed + 100 && !HasFatalFailure(); ++at) {
        SCOPED_TRACE("SLUICE_SEED=" + std::to_string(at));
        Dice dice(at);
        const std::uint16_t layer = at % 2 != 0 ? in_v4 : in_v6;
        Scene scene = empty_scene(dice);
        SceneMaker(layer, fields).fill(scene, dice, 6, dice.below(100));
        scene.answers.clear(); // nobody is registered
        const compiler::Plan plan = plan_of(scene.policy);
        xdp.maps().publish(plan);
        xdp.watch_filters(plan.filter_ids);
        for (int i = 0; i < 100 && !HasFatalFailure(); ++i)
            compare(xdp, scene, layer, dice, seen);
    }
    std::cout << seen.pairs << " pairs: " << seen.blocked << " blocked, " << seen.decided
              << " decided by a filter\n";
    EXPECT_GE(std::min({seen.blocked, seen.decided, seen.pairs - seen.blocked}), seen.pairs / 10);
}

} // namespace
} // namespace sluice::bpf_test
