// SPDX-License-Identifier: Apache-2.0
#include "harness/random_policy.h"

#include <rapidcheck.h>

namespace sluice::harness {

using policy::Condition;
using policy::Filter;
using policy::Policy;
using policy::Scalar;

namespace {

// At full size from the first case on: rapidcheck would begin with the smallest numbers only.
int below(int n) {
    return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, n));
}
bool one_in(int n) {
    return below(n) == 0;
}

template <typename T>
T one_of(const std::vector<T> &values) {
    return values[static_cast<std::size_t>(below(static_cast<int>(values.size())))];
}

const std::vector<std::uint32_t> addresses4{0,          0x0a000000, 0x0a000001, 0x0a000002,
                                            0x0a00ffff, 0x0a010000, 0x7fffffff, 0x80000000,
                                            0xc0000201, 0xffffffff};
const std::vector<const char *> addresses6{"::",
                                           "::1",
                                           "::ffff:10.0.0.1",
                                           "2001:db8::",
                                           "2001:db8::1",
                                           "2001:db8::ffff:ffff:ffff:ffff",
                                           "2001:db8:0:1::",
                                           "2001:db8:0:1::1",
                                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
const std::vector<std::uint16_t> ports{0, 1, 22, 79, 80, 81, 443, 32768, 65534, 65535};
const std::vector<std::uint8_t> protocols{6, 17};

Scalar random_address(bool is_v6) {
    if (is_v6) return v6(one_of(addresses6));
    return one_of(addresses4);
}

Scalar random_value(const char *field, bool is_v6) {
    if (field == protocol) return one_in(8) ? std::uint8_t{1} : one_of(protocols);
    if (field == local_port || field == remote_port) return one_of(ports);
    return random_address(is_v6);
}

bool ordered(const Scalar &low, const Scalar &high) {
    return std::visit(
        [&](const auto &a) {
            using T = std::decay_t<decltype(a)>;
            if constexpr (requires { a < a; })
                return !(std::get<T>(high) < a);
            else
                return false;
        },
        low);
}

Condition random_network(const char *field, bool is_v6) {
    if (is_v6)
        return equal(
            field, policy::V6Prefix{v6(one_of(addresses6)), static_cast<std::uint8_t>(below(129))});
    const int bits = below(33);
    const std::uint32_t mask = bits == 0 ? 0 : ~0u << (32 - bits);
    return equal(field, policy::V4Mask{one_of(addresses4), mask});
}

Condition random_condition(const char *field, bool is_v6) {
    const bool address = field == local_address || field == remote_address;
    if (address && one_in(2)) return random_network(field, is_v6);
    const Scalar value = random_value(field, is_v6);
    if (one_in(3)) {
        const Scalar other = random_value(field, is_v6);
        return ordered(value, other) ? between(field, value, other) : between(field, other, value);
    }
    static const std::vector<std::uint32_t> matches{
        FWP_MATCH_EQUAL,         FWP_MATCH_EQUAL,    FWP_MATCH_EQUAL,
        FWP_MATCH_GREATER,       FWP_MATCH_LESS,     FWP_MATCH_GREATER_OR_EQUAL,
        FWP_MATCH_LESS_OR_EQUAL, FWP_MATCH_NOT_EQUAL};
    return condition(field, one_of(matches), value);
}

std::vector<Condition> random_conditions(bool is_v6) {
    static const std::vector<const char *> fields{local_address, remote_address, local_port,
                                                  remote_port, protocol};
    std::vector<Condition> out;
    for (int groups = below(3); groups > 0; --groups) {
        const char *field = one_of(fields);
        for (int alternatives = 1 + below(3); alternatives > 0; --alternatives)
            out.push_back(random_condition(field, is_v6));
    }
    return out;
}

policy::CalloutAnswer random_answer() {
    static const std::vector<std::uint32_t> actions{FWP_ACTION_PERMIT, FWP_ACTION_PERMIT,
                                                    FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE,
                                                    FWP_ACTION_NONE};
    return {one_of(actions), one_in(2)};
}

Filter random_filter(std::uint16_t layer, const std::vector<Guid> &sublayers,
                     const std::vector<Guid> &callouts) {
    static const std::vector<std::uint32_t> actions{FWP_ACTION_PERMIT,
                                                    FWP_ACTION_BLOCK,
                                                    FWP_ACTION_CALLOUT_TERMINATING,
                                                    FWP_ACTION_CALLOUT_UNKNOWN,
                                                    FWP_ACTION_CALLOUT_INSPECTION,
                                                    FWP_ACTION_PERMIT};
    Filter f = FilterOf(layer, one_of(actions));
    f.sublayer = one_of(sublayers);
    if (one_in(2)) f.weight = Scalar{static_cast<std::uint64_t>(below(4))};
    if (one_in(3)) f.flags |= FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    const bool verdict =
        f.action == FWP_ACTION_CALLOUT_TERMINATING || f.action == FWP_ACTION_CALLOUT_UNKNOWN;
    if (verdict && one_in(2)) f.flags |= FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    if ((f.action & FWP_ACTION_FLAG_CALLOUT) != 0) f.callout = one_of(callouts);
    f.conditions = random_conditions(policy::layer_is_v6(layer));
    return f;
}

} // namespace

policy::AskCallout Scene::ask() const {
    return [this](const Filter &f, std::uint32_t, bool) -> policy::CalloutReply {
        const auto answer = answers.find(f.id);
        if (answer == answers.end()) return {};
        return {policy::Asked::answered, answer->second};
    };
}

Scene random_scene(const std::vector<std::uint16_t> &layers, int filters) {
    Scene scene;
    scene.policy = policy::initial();
    std::vector<Guid> sublayers{Guid{}}; // null: the universal one
    for (int i = below(4); i > 0; --i)
        sublayers.push_back(
            new_sublayer(scene.policy, static_cast<std::uint16_t>(0x7fff + below(3))));
    for (const std::uint16_t layer : layers) {
        const std::vector<Guid> callouts{new_callout(scene.policy, layer),
                                         new_callout(scene.policy, layer)};
        scene.registered.insert(scene.policy.callouts.at(callouts[0]).id);
        for (int i = below(filters + 1); i > 0; --i) {
            // Some combinations can never match; those are refused and left out.
            const auto id =
                policy::add_filter(scene.policy, random_filter(layer, sublayers, callouts));
            if (id && scene.policy.filters.at(*id).callout == callouts[0])
                scene.answers[*id] = random_answer();
        }
    }
    return scene;
}

policy::Packet random_packet(std::uint16_t layer) {
    policy::Packet p;
    p.layer = layer;
    p.v6 = policy::layer_is_v6(layer);
    p.local4 = one_of(addresses4);
    p.remote4 = one_of(addresses4);
    p.local6 = v6(one_of(addresses6));
    p.remote6 = v6(one_of(addresses6));
    p.protocol = one_of(protocols);
    p.local_port = one_of(ports);
    p.remote_port = one_of(ports);
    return p;
}

} // namespace sluice::harness
