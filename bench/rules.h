// SPDX-License-Identifier: Apache-2.0
// Rule sets and headers at random in the manner of ClassBench: prefixes that nest and overlap, few
// services that many rules share, ranges of ports. The same seed gives the same rules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "shared/policy.h"

namespace sluice::bench {

// acl: hosts and networks towards one service each. firewall: often any address, ranges of ports.
// chain: short prefixes on both sides, a connection's two ports.
enum class Profile { acl, firewall, chain };

struct Rule {
    dp_addr local{}, remote{};                // first address
    unsigned local_bits = 0, remote_bits = 0; // of 128; IPv4: 0 or 96 and more
    std::uint16_t local_port[2] = {0, 0xffff}, remote_port[2] = {0, 0xffff};
    unsigned protocol = 0; // 0: any
};
struct Header {
    dp_addr local{}, remote{};
    std::uint16_t local_port = 0, remote_port = 0;
    std::uint32_t protocol = 0;
};

class Generator {
public:
    Generator(Profile profile, bool v6, std::uint64_t seed)
        : profile_(profile), v6_(v6), state_(seed) {}
    std::vector<Rule> rules(std::size_t count);
    // One that the rule matches, if not a better one does.
    Header inside(const Rule &rule);
    // From networks that no rule has but those for any address.
    Header outside();

private:
    std::uint64_t next();
    std::uint64_t below(std::uint64_t n) { return next() % n; }
    bool chance(unsigned percent) { return below(100) < percent; }
    dp_addr address_within(const dp_addr &prefix, unsigned bits);
    void network(dp_addr &prefix, unsigned &bits, unsigned any_percent, unsigned shorter);
    void ports(std::uint16_t (&range)[2], unsigned exact, unsigned ranges);

    Profile profile_;
    bool v6_;
    std::uint64_t state_;
    std::vector<dp_addr> pools_;
};

bool matches(const Rule &rule, const Header &header);
// Filters of a layer in the order of the rules: rule i has the id i + 1, blocks, and is in sublayer
// i modulo `sublayers`.
policy::Policy policy_of(const std::vector<Rule> &rules, std::uint16_t layer,
                         std::size_t sublayers);

} // namespace sluice::bench
