// SPDX-License-Identifier: Apache-2.0
#include "runtime/connect_requests.h"

#include <cstring>

#include "runtime/redirect_handles.h"

namespace sluice::runtime {

namespace {

constexpr std::uint64_t mapped_prefix = 0xFFFF; // of dp_addr.lo, above the IPv4 address

std::uint64_t read_be(const UINT8 *bytes) {
    std::uint64_t v = 0;
    for (int i = 0; i < 8; ++i)
        v = v << 8 | bytes[i];
    return v;
}

void write_be(std::uint64_t v, UINT8 *bytes) {
    for (int i = 0; i < 8; ++i)
        bytes[i] = static_cast<UINT8>(v >> (56 - 8 * i));
}

} // namespace

sluice_sockaddr_storage to_sockaddr(const SocketEnd &endpoint, bool v6) {
    sluice_sockaddr_storage out{};
    if (v6) {
        sluice_sockaddr_in6 in{};
        in.sin6_family = SLUICE_AF_INET6;
        in.sin6_port = __builtin_bswap16(endpoint.port);
        write_be(endpoint.address.hi, in.sin6_addr.u.Byte);
        write_be(endpoint.address.lo, in.sin6_addr.u.Byte + 8);
        std::memcpy(&out, &in, sizeof in);
    } else {
        sluice_sockaddr_in in{};
        in.sin_family = SLUICE_AF_INET;
        in.sin_port = __builtin_bswap16(endpoint.port);
        in.sin_addr.S_un.S_addr = __builtin_bswap32(static_cast<ULONG>(endpoint.address.lo));
        std::memcpy(&out, &in, sizeof in);
    }
    return out;
}

std::optional<SocketEnd> from_sockaddr(const sluice_sockaddr_storage &from, bool v6) {
    SocketEnd out;
    if (v6) {
        sluice_sockaddr_in6 in;
        std::memcpy(&in, &from, sizeof in);
        if (in.sin6_family != SLUICE_AF_INET6) return std::nullopt;
        out.address = {read_be(in.sin6_addr.u.Byte), read_be(in.sin6_addr.u.Byte + 8)};
        out.port = __builtin_bswap16(in.sin6_port);
        if (out.address.hi == 0 && out.address.lo >> 32 == mapped_prefix) return std::nullopt;
        return out;
    }
    sluice_sockaddr_in in;
    std::memcpy(&in, &from, sizeof in);
    if (in.sin_family != SLUICE_AF_INET) return std::nullopt;
    out.address = {0, mapped_prefix << 32 | __builtin_bswap32(in.sin_addr.S_un.S_addr)};
    out.port = __builtin_bswap16(in.sin_port);
    return out;
}

ConnectRequests::ConnectRequests(const Upcall &upcall, std::uint32_t host)
    : v6_(layer_fields(upcall.header.layer).v6), local_{upcall.header.key.local,
                                                        upcall.header.key.local_port} {
    const std::uint32_t count = upcall.redirect ? upcall.redirect->versions : 0;
    for (std::uint32_t i = 0; i < count; ++i)
        add(upcall.redirect->version[i], host);
    if (count == 0) {
        dp_redirect_version asked{};
        asked.remote = upcall.header.key.remote;
        asked.remote_port = upcall.header.key.remote_port;
        add(asked, host);
    }
    shown_ = versions_.size() - 1;
}

void ConnectRequests::add(const dp_redirect_version &version, std::uint32_t host) {
    FWPS_CONNECT_REQUEST0 request{};
    request.localAddressAndPort = to_sockaddr(local_, v6_);
    request.remoteAddressAndPort = to_sockaddr({version.remote, version.remote_port}, v6_);
    request.localRedirectTargetPID = version.target_pid;
    request.localRedirectHandle = RedirectHandles::shown(version.handle, host);
    request.modifierFilterId = version.filter_id;
    request.previousVersion = versions_.empty() ? nullptr : &versions_.back();
    versions_.push_back(request);
}

FWPS_CONNECT_REQUEST0 *ConnectRequests::add_copy() {
    FWPS_CONNECT_REQUEST0 copy = versions_.back();
    copy.previousVersion = &versions_.back();
    copy.modifierFilterId = 0;
    // What an earlier copy attached is the engine's already.
    copy.localRedirectContext = nullptr;
    copy.localRedirectContextSize = 0;
    versions_.push_back(copy);
    return &versions_.back();
}

} // namespace sluice::runtime
