// SPDX-License-Identifier: Apache-2.0
#include "rules.h"

#include <sluice/fwp.h>

#include <algorithm>

#include "policy/edit.h"
#include "policy/wfp.h"

namespace sluice::bench {

namespace {

constexpr std::uint64_t mapped = 0xffff'0000'0000ull;
constexpr std::uint16_t services[] = {80, 443, 53, 22, 25, 123, 8080, 3306, 5432, 6379, 5060, 389};

std::uint64_t first_bits(unsigned bits) {
    return bits == 0 ? 0 : bits >= 64 ? ~0ull : ~(~0ull >> bits);
}
dp_addr mask_of(unsigned bits) {
    return {first_bits(std::min(bits, 64u)), bits > 64 ? first_bits(bits - 64) : 0};
}
bool within(const dp_addr &a, const dp_addr &prefix, unsigned bits) {
    const dp_addr mask = mask_of(bits);
    return ((a.hi ^ prefix.hi) & mask.hi) == 0 && ((a.lo ^ prefix.lo) & mask.lo) == 0;
}

} // namespace

std::uint64_t Generator::next() { // splitmix64
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

dp_addr Generator::address_within(const dp_addr &prefix, unsigned bits) {
    const dp_addr mask = mask_of(std::max(bits, v6_ ? 16u : 96u));
    return {prefix.hi | (next() & ~mask.hi), prefix.lo | (next() & ~mask.lo)};
}

// One of the networks that all rules are about, or a part of it.
void Generator::network(dp_addr &prefix, unsigned &bits, unsigned any_percent, unsigned shorter) {
    static constexpr unsigned v4[] = {112, 116, 120, 120, 120, 124, 126, 128, 128};
    static constexpr unsigned v6[] = {32, 40, 48, 48, 56, 64, 64, 128, 128};
    bits = 0;
    prefix = v6_ ? dp_addr{0, 0} : dp_addr{0, mapped};
    if (chance(any_percent)) return;
    const std::size_t at = below(9);
    bits = v6_ ? v6[at] : v4[at];
    if (chance(shorter)) bits = v6_ ? 32 : 112;
    prefix = address_within(pools_[below(pools_.size())], v6_ ? 32 : 112);
    // Hosts and subnets stand close to each other.
    if (v6_)
        prefix.hi &= 0xffffffff0fff00ff, prefix.lo &= 0xff;
    else
        prefix.lo &= ~0xc0c0ull;
    prefix.hi &= mask_of(bits).hi;
    prefix.lo &= mask_of(bits).lo;
}

void Generator::ports(std::uint16_t (&range)[2], unsigned exact, unsigned ranges) {
    const std::uint64_t dice = below(100);
    if (dice < exact) {
        const bool known = chance(60);
        range[0] = range[1] =
            known ? services[below(std::size(services))] : static_cast<std::uint16_t>(below(65536));
    } else if (dice < exact + ranges) {
        if (chance(40)) {
            range[0] = 1024;
        } else {
            range[0] = static_cast<std::uint16_t>(below(60000));
            range[1] = static_cast<std::uint16_t>(range[0] + below(5000));
        }
    }
}

std::vector<Rule> Generator::rules(std::size_t count) {
    pools_.clear();
    for (std::size_t i = 0; i < std::clamp<std::size_t>(count / 64, 4, 512); ++i)
        pools_.push_back(
            v6_ ? dp_addr{0x2001000000000000 | (next() & 0x0fff) << 32, 0}
                : dp_addr{0, mapped | (0x0a000000 + (next() & 0x7fff0000) % 0xd0000000)});
    struct Mix {
        unsigned any_local, any_remote, shorter, local_exact, local_range, remote_exact,
            remote_range, any_protocol;
    };
    const Mix mix = profile_ == Profile::acl        ? Mix{8, 4, 5, 60, 25, 2, 5, 10}
                    : profile_ == Profile::firewall ? Mix{30, 30, 20, 40, 30, 10, 20, 20}
                                                    : Mix{10, 10, 30, 30, 20, 30, 20, 15};
    std::vector<Rule> out(count);
    for (Rule &rule : out) {
        network(rule.local, rule.local_bits, mix.any_local, mix.shorter);
        // Nothing but a port matches too much of what comes behind.
        network(rule.remote, rule.remote_bits, rule.local_bits == 0 ? 0 : mix.any_remote,
                mix.shorter);
        rule.protocol = chance(mix.any_protocol) ? 0 : chance(75) ? 6 : 17;
        ports(rule.local_port, mix.local_exact, mix.local_range);
        ports(rule.remote_port, mix.remote_exact, mix.remote_range);
    }
    return out;
}

Header Generator::inside(const Rule &rule) {
    Header h;
    h.local = address_within(rule.local, rule.local_bits);
    h.remote = address_within(rule.remote, rule.remote_bits);
    const auto port = [&](const std::uint16_t(&range)[2]) {
        return static_cast<std::uint16_t>(range[0] + below(range[1] - range[0] + 1u));
    };
    h.local_port = port(rule.local_port);
    h.remote_port = port(rule.remote_port);
    h.protocol = rule.protocol != 0 ? rule.protocol : chance(50) ? 6 : 17;
    return h;
}

Header Generator::outside() {
    Header h;
    const std::uint64_t top = v6_ ? 0x3fff'0000'0000'0000 : 0;
    h.local = {top | next() >> 16, v6_ ? next() : mapped | 0xe0000000 | (next() & 0x0fffffff)};
    h.remote = {top | next() >> 16, v6_ ? next() : mapped | 0xe0000000 | (next() & 0x0fffffff)};
    if (!v6_) h.local.hi = h.remote.hi = 0;
    h.local_port = static_cast<std::uint16_t>(next());
    h.remote_port = static_cast<std::uint16_t>(next());
    h.protocol = chance(50) ? 6 : 17;
    return h;
}

bool matches(const Rule &rule, const Header &h) {
    return within(h.local, rule.local, rule.local_bits) &&
           within(h.remote, rule.remote, rule.remote_bits) && h.local_port >= rule.local_port[0] &&
           h.local_port <= rule.local_port[1] && h.remote_port >= rule.remote_port[0] &&
           h.remote_port <= rule.remote_port[1] &&
           (rule.protocol == 0 || rule.protocol == h.protocol);
}

namespace {

policy::Condition on(const char *field, policy::Value value, std::uint32_t match) {
    return {policy::table_key(field), match, std::move(value)};
}

policy::Scalar network_of(const dp_addr &prefix, unsigned bits, bool v6) {
    if (!v6) {
        const auto mask = static_cast<std::uint32_t>(mask_of(bits).lo);
        return policy::V4Mask{static_cast<std::uint32_t>(prefix.lo) & mask, mask};
    }
    policy::Bytes16 bytes{};
    for (int i = 0; i < 8; ++i) {
        bytes[i] = static_cast<std::uint8_t>(prefix.hi >> (56 - 8 * i));
        bytes[8 + i] = static_cast<std::uint8_t>(prefix.lo >> (56 - 8 * i));
    }
    return policy::V6Prefix{bytes, static_cast<std::uint8_t>(bits)};
}

void add_ports(policy::Filter &filter, const char *field, const std::uint16_t (&range)[2]) {
    if (range[0] == 0 && range[1] == 0xffff) return;
    if (range[0] == range[1])
        filter.conditions.push_back(on(field, policy::Scalar{range[0]}, FWP_MATCH_EQUAL));
    else
        filter.conditions.push_back(
            on(field, policy::Range{policy::Scalar{range[0]}, policy::Scalar{range[1]}},
               FWP_MATCH_RANGE));
}

void add_conditions(policy::Filter &filter, const Rule &rule, bool v6) {
    if (rule.local_bits != 0)
        filter.conditions.push_back(on("FWPM_CONDITION_IP_LOCAL_ADDRESS",
                                       network_of(rule.local, rule.local_bits, v6),
                                       FWP_MATCH_EQUAL));
    if (rule.remote_bits != 0)
        filter.conditions.push_back(on("FWPM_CONDITION_IP_REMOTE_ADDRESS",
                                       network_of(rule.remote, rule.remote_bits, v6),
                                       FWP_MATCH_EQUAL));
    add_ports(filter, "FWPM_CONDITION_IP_LOCAL_PORT", rule.local_port);
    add_ports(filter, "FWPM_CONDITION_IP_REMOTE_PORT", rule.remote_port);
    if (rule.protocol != 0)
        filter.conditions.push_back(on("FWPM_CONDITION_IP_PROTOCOL",
                                       policy::Scalar{static_cast<std::uint8_t>(rule.protocol)},
                                       FWP_MATCH_EQUAL));
}

} // namespace

policy::Policy policy_of(const std::vector<Rule> &rules, std::uint16_t layer,
                         std::size_t sublayers) {
    policy::Policy policy = policy::initial();
    std::vector<Guid> keys;
    for (std::size_t i = 0; i < sublayers; ++i) {
        policy::SubLayer sublayer;
        sublayer.key = Guid::random();
        sublayer.weight = static_cast<std::uint16_t>(60000 - i);
        keys.push_back(sublayer.key);
        policy.sublayers.emplace(sublayer.key, sublayer);
    }
    const bool v6 = policy::layer_is_v6(layer);
    for (std::size_t i = 0; i < rules.size(); ++i) {
        policy::Filter filter;
        filter.id = i + 1;
        filter.layer = layer;
        filter.sublayer = keys[i % sublayers];
        filter.action = FWP_ACTION_BLOCK;
        filter.effective_weight = rules.size() - i;
        add_conditions(filter, rules[i], v6);
        const std::uint64_t id = filter.id;
        policy.filters.emplace(id, std::move(filter));
    }
    return policy;
}

} // namespace sluice::bench
