// SPDX-License-Identifier: Apache-2.0
#include "harness/policy_builder.h"

#include <arpa/inet.h>

namespace sluice::harness {

using policy::Filter;
using policy::Policy;

namespace {

template <typename T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text());
    return std::move(result).value();
}

} // namespace

std::uint32_t v4(const char *text) {
    in_addr a{};
    if (inet_pton(AF_INET, text, &a) != 1) throw std::invalid_argument(text);
    return ntohl(a.s_addr);
}

policy::Bytes16 v6(const char *text) {
    policy::Bytes16 out{};
    if (inet_pton(AF_INET6, text, out.data()) != 1) throw std::invalid_argument(text);
    return out;
}

policy::Condition condition(const char *field, std::uint32_t match, policy::Value value) {
    return {policy::table_key(field), match, std::move(value)};
}

policy::Condition equal(const char *field, policy::Scalar value) {
    return condition(field, FWP_MATCH_EQUAL, std::move(value));
}

policy::Condition between(const char *field, policy::Scalar low, policy::Scalar high) {
    return condition(field, FWP_MATCH_RANGE, policy::Range{std::move(low), std::move(high)});
}

FilterOf::FilterOf(std::uint16_t layer, std::uint32_t action) {
    filter_.name = "test";
    filter_.layer = layer;
    filter_.action = action;
}

FilterOf FilterOf::in(const Guid &sublayer) && {
    filter_.sublayer = sublayer;
    return std::move(*this);
}
FilterOf FilterOf::weighing(std::uint64_t weight) && {
    filter_.weight = policy::Scalar{weight};
    return std::move(*this);
}
FilterOf FilterOf::when(policy::Condition condition) && {
    filter_.conditions.push_back(std::move(condition));
    return std::move(*this);
}
FilterOf FilterOf::flagged(std::uint32_t flags) && {
    filter_.flags |= flags;
    return std::move(*this);
}
FilterOf FilterOf::owned_by(policy::SessionId session) && {
    filter_.owner = session;
    return std::move(*this);
}
FilterOf FilterOf::asking(const Guid &callout) && {
    filter_.callout = callout;
    return std::move(*this);
}

FilterOf permit(std::uint16_t layer) {
    return {layer, FWP_ACTION_PERMIT};
}
FilterOf block(std::uint16_t layer) {
    return {layer, FWP_ACTION_BLOCK};
}
FilterOf terminating(std::uint16_t layer, const Guid &callout) {
    return FilterOf(layer, FWP_ACTION_CALLOUT_TERMINATING).asking(callout);
}
FilterOf inspecting(std::uint16_t layer, const Guid &callout) {
    return FilterOf(layer, FWP_ACTION_CALLOUT_INSPECTION).asking(callout);
}
FilterOf unknown(std::uint16_t layer, const Guid &callout) {
    return FilterOf(layer, FWP_ACTION_CALLOUT_UNKNOWN).asking(callout);
}

std::uint64_t add(Policy &policy, Filter filter) {
    return must(policy::add_filter(policy, std::move(filter)));
}

Guid new_sublayer(Policy &policy, std::uint16_t weight, policy::SessionId owner) {
    policy::SubLayer sublayer;
    sublayer.key = Guid::random();
    sublayer.name = "sublayer " + std::to_string(weight);
    sublayer.weight = weight;
    sublayer.owner = owner;
    const Guid key = sublayer.key;
    if (const Result<void> r = policy::add_sublayer(policy, std::move(sublayer)); !r)
        throw std::runtime_error(r.error().text());
    return key;
}

Guid new_callout(Policy &policy, std::uint16_t layer, policy::SessionId owner) {
    policy::Callout callout;
    callout.key = Guid::random();
    callout.name = "callout";
    callout.layer = layer;
    callout.owner = owner;
    const Guid key = callout.key;
    must(policy::add_callout(policy, std::move(callout)));
    return key;
}

policy::Packet packet_at(std::uint16_t layer) {
    const bool is_v6 = policy::layer_is_v6(layer);
    policy::Packet p;
    p.layer = layer;
    show(p, remote_address, is_v6 ? policy::Scalar{v6("2001:db8::1")} : v4("192.0.2.1"));
    show(p, local_address, is_v6 ? policy::Scalar{v6("2001:db8::2")} : v4("192.0.2.2"));
    show(p, protocol, std::uint8_t{6});
    show(p, remote_port, std::uint16_t{1000});
    show(p, local_port, std::uint16_t{80});
    return p;
}

policy::Packet &show(policy::Packet &packet, const char *field, policy::Scalar value) {
    packet.values[policy::table_key(field)] = std::move(value);
    return packet;
}

policy::Packet &hide(policy::Packet &packet, const char *field) {
    packet.unknown.insert(policy::table_key(field));
    return packet;
}

} // namespace sluice::harness
