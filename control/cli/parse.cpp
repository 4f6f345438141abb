// SPDX-License-Identifier: Apache-2.0
#include "cli/parse.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <limits>

#include "cli/names.h"
#include "sluice/detail/fwp_tables.hpp"

namespace sluice::cli {

namespace {

template <typename... Parts>
Error wrong(const Parts &...parts) {
    return Error(0, (std::string() + ... + parts));
}

std::optional<std::uint64_t> number_of(const std::string &word) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
}

std::optional<protocol::Value> one_address(const std::string &word, bool v6) {
    protocol::Value value;
    if (!v6) {
        in_addr address{};
        if (::inet_pton(AF_INET, word.c_str(), &address) != 1) return std::nullopt;
        value.set_type(FWP_UINT32);
        value.set_number(ntohl(address.s_addr));
        return value;
    }
    in6_addr address{};
    if (::inet_pton(AF_INET6, word.c_str(), &address) != 1) return std::nullopt;
    value.set_type(FWP_BYTE_ARRAY16_TYPE);
    value.set_data(&address, sizeof address);
    return value;
}

bool above(const protocol::Value &low, const protocol::Value &high) {
    return low.type() == FWP_BYTE_ARRAY16_TYPE ? low.data() > high.data()
                                               : low.number() > high.number();
}

protocol::Value range_of(const protocol::Value &low, const protocol::Value &high) {
    protocol::Value value;
    value.set_type(FWP_RANGE_TYPE);
    *value.mutable_low() = low;
    *value.mutable_high() = high;
    return value;
}

Result<protocol::Value> prefix_of(const std::string &word, std::size_t slash, bool v6) {
    auto value = one_address(word.substr(0, slash), v6);
    const auto length = number_of(word.substr(slash + 1));
    const unsigned longest = v6 ? 128 : 32;
    if (!value)
        return wrong("'", word, "' does not begin with an ", v6 ? "IPv6" : "IPv4", " address");
    if (!length || *length > longest)
        return wrong("prefix length '", word.substr(slash + 1), "' of '", word,
                     "' is not within 0-", std::to_string(longest));
    const auto bits = static_cast<std::uint32_t>(*length);
    value->set_type(v6 ? FWP_V6_ADDR_MASK : FWP_V4_ADDR_MASK);
    value->set_mask(v6 ? bits : bits == 0 ? 0 : ~0u << (32 - bits));
    return *value;
}

void add_condition(protocol::Filter &filter, const char *field, const protocol::Value &value) {
    auto *condition = filter.add_conditions();
    condition->set_field(condition_key(field).bytes());
    condition->set_match(value.type() == FWP_RANGE_TYPE ? FWP_MATCH_RANGE : FWP_MATCH_EQUAL);
    *condition->mutable_value() = value;
}

Result<void> add_addresses(protocol::Filter &filter, const char *field,
                           const std::vector<std::string> &words, bool v6) {
    for (const auto &word : words) {
        auto value = parse_address(word, v6);
        if (!value) return value.error();
        add_condition(filter, field, *value);
    }
    return {};
}

Result<void> add_ports(protocol::Filter &filter, const char *field,
                       const std::vector<std::string> &words) {
    for (const auto &word : words) {
        auto value = parse_port(word);
        if (!value) return value.error();
        add_condition(filter, field, *value);
    }
    return {};
}

Result<void> add_protocols(protocol::Filter &filter, const std::vector<std::string> &words) {
    for (const auto &word : words) {
        auto number = parse_protocol(word);
        if (!number) return number.error();
        protocol::Value value;
        value.set_type(FWP_UINT8);
        value.set_number(*number);
        add_condition(filter, "FWPM_CONDITION_IP_PROTOCOL", value);
    }
    return {};
}

Result<std::string> callout_key(const std::string &word, const Names &names) {
    if (const auto key = Guid::parse(word)) return key->bytes();
    std::string found;
    for (const auto &callout : names.callouts) {
        if (callout.name() != word) continue;
        if (!found.empty()) return wrong("several callouts are named '", word, "': give the GUID");
        found = callout.key();
    }
    if (found.empty())
        return wrong("no callout '", word,
                     "': give the name or GUID of one in `sluice callout list`");
    return found;
}

Result<std::string> sublayer_key(const std::string &word, const Names &names) {
    if (const auto key = Guid::parse(word)) return key->bytes();
    for (const auto &sublayer : names.sublayers)
        if (sublayer.name() == word) return sublayer.key();
    return wrong("no sublayer '", word,
                 "': give the name or GUID of one in `sluice sublayer list`");
}

Result<void> set_action(protocol::Filter &filter, const FilterWords &words, const Names &names) {
    if (words.action != "callout" && !words.callout.empty())
        return wrong("--callout goes with --action callout only");
    if (words.action == "permit") return filter.set_action(FWP_ACTION_PERMIT), Result<void>();
    if (words.action == "block") return filter.set_action(FWP_ACTION_BLOCK), Result<void>();
    if (words.action != "callout")
        return wrong("action '", words.action, "' is none of permit, block, callout");
    if (words.callout.empty()) return wrong("--action callout needs --callout NAME or GUID");
    auto key = callout_key(words.callout, names);
    if (!key) return key.error();
    filter.set_callout(*key);
    if (words.callout_type == "terminating")
        filter.set_action(FWP_ACTION_CALLOUT_TERMINATING);
    else if (words.callout_type == "inspection")
        filter.set_action(FWP_ACTION_CALLOUT_INSPECTION);
    else if (words.callout_type == "unknown")
        filter.set_action(FWP_ACTION_CALLOUT_UNKNOWN);
    else
        return wrong("callout type '", words.callout_type,
                     "' is none of terminating, inspection, unknown");
    return {};
}

Result<void> add_conditions(protocol::Filter &filter, const FilterWords &words, bool v6) {
    if (auto r = add_addresses(filter, "FWPM_CONDITION_IP_REMOTE_ADDRESS", words.remote, v6); !r)
        return r;
    if (auto r = add_addresses(filter, "FWPM_CONDITION_IP_LOCAL_ADDRESS", words.local, v6); !r)
        return r;
    if (auto r = add_ports(filter, "FWPM_CONDITION_IP_REMOTE_PORT", words.remote_port); !r)
        return r;
    if (auto r = add_ports(filter, "FWPM_CONDITION_IP_LOCAL_PORT", words.local_port); !r) return r;
    return add_protocols(filter, words.protocol);
}

} // namespace

Result<std::uint16_t> parse_layer(const std::string &word) {
    if (const auto layer = layer_number(word)) return *layer;
    const auto number = number_of(word);
    if (number && *number <= 0xffff && !layer_name(static_cast<std::uint16_t>(*number)).empty())
        return static_cast<std::uint16_t>(*number);
    return wrong("no layer '", word, "': see `sluice layer list`");
}

Result<protocol::Value> parse_address(const std::string &word, bool v6) {
    if (const auto slash = word.find('/'); slash != std::string::npos)
        return prefix_of(word, slash, v6);
    const auto dash = word.find('-');
    if (dash == std::string::npos) {
        if (auto value = one_address(word, v6)) return *value;
        return wrong("'", word, "' is not an ", v6 ? "IPv6" : "IPv4",
                     " address, ADDRESS/LENGTH or ADDRESS-ADDRESS");
    }
    const auto low = one_address(word.substr(0, dash), v6);
    const auto high = one_address(word.substr(dash + 1), v6);
    if (!low || !high)
        return wrong("'", word, "' is not a range of ", v6 ? "IPv6" : "IPv4", " addresses");
    if (above(*low, *high)) return wrong("range '", word, "' begins above its end");
    return range_of(*low, *high);
}

Result<protocol::Value> parse_port(const std::string &word) {
    const auto dash = word.find('-');
    const auto low = number_of(word.substr(0, dash));
    const auto high = dash == std::string::npos ? low : number_of(word.substr(dash + 1));
    if (!low || !high || *low > 65535 || *high > 65535)
        return wrong("port '", word, "' is not N or N-M within 0-65535");
    if (*low > *high) return wrong("range '", word, "' begins above its end");
    protocol::Value first, last;
    first.set_type(FWP_UINT16);
    first.set_number(*low);
    if (dash == std::string::npos) return first;
    last.set_type(FWP_UINT16);
    last.set_number(*high);
    return range_of(first, last);
}

Result<std::uint8_t> parse_protocol(const std::string &word) {
    constexpr std::pair<const char *, std::uint8_t> known[] = {
        {"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmpv6", 58}};
    for (const auto &[name, number] : known)
        if (word == name) return number;
    const auto number = number_of(word);
    if (!number || *number > 255)
        return wrong("protocol '", word, "' is none of tcp, udp, icmp, icmpv6 or 0-255");
    return static_cast<std::uint8_t>(*number);
}

Result<protocol::Value> parse_weight(const std::string &word) {
    protocol::Value value;
    if (word == "auto") return value; // FWP_EMPTY
    const auto number = number_of(word);
    if (!number)
        return wrong("weight '", word, "' is not auto, 0-15, or a larger number of 64 bits");
    value.set_type(*number <= 15 ? FWP_UINT8 : FWP_UINT64);
    value.set_number(*number);
    return value;
}

namespace {

Result<std::uint32_t> lifetime_flag(const std::string &word) {
    if (word == "static") return 0u;
    if (word == "persistent") return std::uint32_t{FWPM_FILTER_FLAG_PERSISTENT};
    if (word == "boot-time") return std::uint32_t{FWPM_FILTER_FLAG_BOOTTIME};
    return Error(0, "lifetime '" + word + "': one of static, persistent, boot-time");
}

} // namespace

Result<protocol::Filter> parse_filter(const FilterWords &words, const Names &names) {
    protocol::Filter filter;
    auto layer = parse_layer(words.layer);
    if (!layer) return layer.error();
    auto weight = parse_weight(words.weight);
    if (!weight) return weight.error();
    filter.set_layer(*layer);
    *filter.mutable_weight() = *weight;
    filter.set_name(words.name.empty() ? "sluice filter add" : words.name);
    auto lifetime = lifetime_flag(words.lifetime);
    if (!lifetime) return lifetime.error();
    filter.set_flags(
        *lifetime | (words.clear_action_right ? FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0u) |
        (words.permit_if_unregistered ? FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED : 0u));
    if (!words.sublayer.empty()) {
        auto key = sublayer_key(words.sublayer, names);
        if (!key) return key.error();
        filter.set_sublayer(*key);
    }
    if (auto r = set_action(filter, words, names); !r) return r.error();
    const bool v6 = layer_name(*layer).find("_v6") != std::string::npos;
    if (auto r = add_conditions(filter, words, v6); !r) return r.error();
    return filter;
}

} // namespace sluice::cli
