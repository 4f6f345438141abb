// SPDX-License-Identifier: Apache-2.0
#include "policy/redirect.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstring>

#include <sluice/fwp.h>
#include <sluice/sluice_redirect.h>

#include "policy/check.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

constexpr std::size_t head_bytes = offsetof(SLUICE_REDIRECT_TARGET0, context);
constexpr std::size_t v4_bytes = 4, v6_bytes = 16;

Error bad(NTSTATUS status, const std::string &what) {
    return refuse(status, "redirection target: " + what);
}

Error bad_address(const TargetEnd &end, const char *why) {
    return bad(STATUS_FWP_INVALID_PARAMETER, end_text(end) + " " + why);
}

Result<void> check_address(const TargetEnd &end) {
    const std::string &bytes = end.address;
    if (end.same_address()) {
        if (end.port == 0)
            return bad(STATUS_FWP_INVALID_PARAMETER, "neither address nor port is another one");
        return {};
    }
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    const bool multicast = bytes.size() == v4_bytes ? byte(0) >= 224 : byte(0) == 0xff;
    if (multicast) return bad_address(end, "is no address of one machine");
    if (bytes.size() == v4_bytes) return {};
    static const std::string mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    if (bytes.starts_with(mapped)) return bad_address(end, "is an IPv4 address in IPv6's place");
    if (byte(0) == 0xfe && (byte(1) & 0xc0) == 0x80)
        return bad_address(end, "is link-local, and a target names no interface");
    return {};
}

template <typename Address>
std::string bytes_of(const Address &address, std::size_t size) {
    return {reinterpret_cast<const char *>(&address), size};
}

// family: of the place. One that holds nothing is none.
Result<std::optional<TargetEnd>> read_end(const sluice_sockaddr_storage &place, int family) {
    if (place.ss_family == SLUICE_AF_UNSPEC) return std::optional<TargetEnd>();
    const char *name = family == SLUICE_AF_INET ? "IPv4" : "IPv6";
    if (place.ss_family != family)
        return bad(STATUS_FWP_INVALID_PARAMETER, "address family " +
                                                     std::to_string(place.ss_family) + " in " +
                                                     name + "'s place");
    TargetEnd end;
    if (family == SLUICE_AF_INET) {
        sluice_sockaddr_in in{};
        std::memcpy(&in, &place, sizeof in);
        end = {bytes_of(in.sin_addr, v4_bytes), ntohs(in.sin_port)};
    } else {
        sluice_sockaddr_in6 in6{};
        std::memcpy(&in6, &place, sizeof in6);
        end = {bytes_of(in6.sin6_addr, v6_bytes), ntohs(in6.sin6_port)};
    }
    if (auto r = check_address(end); !r) return r.error();
    return std::optional(end);
}

Result<void> check_head(const SLUICE_REDIRECT_TARGET0 &head, std::size_t size) {
    if (head.contextSize > SLUICE_REDIRECT_TARGET_CONTEXT_MAX)
        return bad(STATUS_FWP_OUT_OF_BOUNDS,
                   "a context of " + std::to_string(head.contextSize) + " bytes is more than " +
                       std::to_string(SLUICE_REDIRECT_TARGET_CONTEXT_MAX));
    if (head.size != size || head.contextSize != size - head_bytes)
        return bad(STATUS_FWP_INVALID_PARAMETER,
                   "size " + std::to_string(head.size) + " and a context of " +
                       std::to_string(head.contextSize) + " bytes do not fit data of " +
                       std::to_string(size) + " bytes");
    if ((head.flags & ~SLUICE_REDIRECT_FLAG_PROXY_V2) != 0)
        return bad(STATUS_FWP_INVALID_FLAGS, "unknown flags " + std::to_string(head.flags));
    return {};
}

void write_end(sluice_sockaddr_storage &place, const std::optional<TargetEnd> &end) {
    if (!end) return;
    if (end->address.size() == v4_bytes) {
        sluice_sockaddr_in in{};
        in.sin_family = SLUICE_AF_INET;
        in.sin_port = htons(end->port);
        std::memcpy(&in.sin_addr, end->address.data(), v4_bytes);
        std::memcpy(&place, &in, sizeof in);
        return;
    }
    sluice_sockaddr_in6 in6{};
    in6.sin6_family = SLUICE_AF_INET6;
    in6.sin6_port = htons(end->port);
    std::memcpy(&in6.sin6_addr, end->address.data(), v6_bytes);
    std::memcpy(&place, &in6, sizeof in6);
}

std::uint64_t number_of(const std::string &bytes, std::size_t from, std::size_t count) {
    std::uint64_t number = 0;
    for (std::size_t i = from; i < from + count; ++i)
        number = number << 8 | static_cast<std::uint8_t>(bytes[i]);
    return number;
}

dp_target_family family_of(const std::optional<TargetEnd> &end) {
    constexpr std::uint64_t mapped = 0xffff'0000'0000ull;
    dp_target_family family{};
    if (!end) return family;
    family.present = 1;
    family.port = end->port;
    if (end->same_address()) return family;
    family.address = end->address.size() == v4_bytes
                         ? dp_addr{0, mapped | number_of(end->address, 0, 4)}
                         : dp_addr{number_of(end->address, 0, 8), number_of(end->address, 8, 8)};
    return family;
}

const std::optional<TargetEnd> &end_for(const Target &target, std::uint16_t layer) {
    return layer_is_v6(layer) ? target.v6 : target.v4;
}

} // namespace

bool TargetEnd::same_address() const {
    return std::all_of(address.begin(), address.end(), [](char c) { return c == 0; });
}

Result<Target> read_target(const std::string &data) {
    if (data.size() < head_bytes)
        return bad(STATUS_FWP_INVALID_PARAMETER, std::to_string(data.size()) +
                                                     " bytes are no SLUICE_REDIRECT_TARGET0 of " +
                                                     std::to_string(head_bytes) + " bytes or more");
    SLUICE_REDIRECT_TARGET0 head{};
    std::memcpy(&head, data.data(), head_bytes);
    if (auto r = check_head(head, data.size()); !r) return r.error();
    auto v4 = read_end(head.v4, SLUICE_AF_INET);
    if (!v4) return v4.error();
    auto v6 = read_end(head.v6, SLUICE_AF_INET6);
    if (!v6) return v6.error();
    if (!*v4 && !*v6) return bad(STATUS_FWP_INVALID_PARAMETER, "it has no address at all");
    return Target{*v4, *v6, head.flags, head.targetProcessId, data.substr(head_bytes)};
}

std::string write_target(const Target &target) {
    SLUICE_REDIRECT_TARGET0 head{};
    head.size = static_cast<UINT32>(head_bytes + target.context.size());
    head.flags = target.flags;
    write_end(head.v4, target.v4);
    write_end(head.v6, target.v6);
    head.targetProcessId = target.process;
    head.contextSize = static_cast<UINT32>(target.context.size());
    return std::string(reinterpret_cast<const char *>(&head), head_bytes) + target.context;
}

std::string end_text(const TargetEnd &end) {
    const std::string port = end.port != 0 ? ":" + std::to_string(end.port) : "";
    if (end.same_address()) return port;
    const bool v4 = end.address.size() == v4_bytes;
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(v4 ? AF_INET : AF_INET6, end.address.data(), text, sizeof text);
    return v4 || port.empty() ? text + port : "[" + std::string(text) + "]" + port;
}

bool layer_redirects_connects(std::uint16_t layer) {
    return layer_v4(layer) == DP_LAYER_ALE_CONNECT_REDIRECT_V4;
}

bool layer_redirects_binds(std::uint16_t layer) {
    return layer_v4(layer) == DP_LAYER_ALE_BIND_REDIRECT_V4;
}

bool redirects(const Filter &filter) {
    return filter.action == FWP_ACTION_PERMIT && !filter.provider_context.is_null() &&
           (layer_redirects_connects(filter.layer) || layer_redirects_binds(filter.layer));
}

Result<Target> target_of(const Policy &policy, const Filter &filter) {
    const auto context = policy.provider_contexts.find(filter.provider_context);
    if (context == policy.provider_contexts.end())
        return refuse(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND, "no such provider context",
                      filter.provider_context.text());
    auto target = read_target(context->second.data);
    if (!target)
        return Error::status(target.error().ntstatus,
                             target.error().tried + ", of provider context", context->second.name);
    if (target->flags != 0 && layer_redirects_binds(filter.layer))
        return refuse(STATUS_FWP_INVALID_FLAGS,
                      "a bind has no target that reads PROXY protocol, provider context",
                      context->second.name);
    if (!end_for(*target, filter.layer))
        return refuse(STATUS_FWP_INVALID_PARAMETER,
                      "redirection target: none for " + layer_name(filter.layer) +
                          ", of provider context",
                      context->second.name);
    return target;
}

std::string redirection_text(const Policy &policy, const Filter &filter) {
    if (!redirects(filter)) return {};
    const auto target = target_of(policy, filter);
    return target ? "redirects to " + end_text(*end_for(*target, filter.layer)) : std::string();
}

Guid identity_of(const Policy &policy, const Filter &filter) {
    const auto named = [](const Guid &provider) {
        return !provider.is_null() && provider != policy_file_key();
    };
    if (named(filter.provider)) return filter.provider;
    const auto context = policy.provider_contexts.find(filter.provider_context);
    if (context == policy.provider_contexts.end()) return filter.key;
    return named(context->second.provider) ? context->second.provider : context->second.key;
}

dp_redirect_goal goal_of(const Target &target, const Guid &identity) {
    dp_redirect_goal goal{};
    goal.v4 = family_of(target.v4);
    goal.v6 = family_of(target.v6);
    const std::string provider = identity.bytes();
    std::memcpy(goal.provider, provider.data(), sizeof goal.provider);
    goal.flags = (target.flags & SLUICE_REDIRECT_FLAG_PROXY_V2) != 0 ? DP_REDIRECT_PROXY_V2 : 0;
    goal.target_pid = target.process;
    goal.context_bytes = static_cast<std::uint32_t>(target.context.size());
    std::memcpy(goal.context, target.context.data(),
                std::min(target.context.size(), sizeof goal.context));
    return goal;
}

Guid own_context_key(const Guid &filter) {
    // Any fixed pattern will do that no generator of GUIDs follows.
    static const std::string pattern = "redirect-context";
    std::string bytes = filter.bytes();
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>(bytes[i] ^ pattern[i]);
    return *Guid::from_bytes(bytes);
}

} // namespace sluice::policy
