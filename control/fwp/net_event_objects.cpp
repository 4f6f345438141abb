// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "fwp/objects.h"
#include "runtime/text.h"

namespace sluice::fwp {

using namespace runtime;

namespace {

constexpr std::uint64_t unit_ns = 100, seconds_1601_to_1970 = 11'644'473'600;
constexpr std::uint64_t epoch = seconds_1601_to_1970 * (1'000'000'000 / unit_ns);

template <typename Header>
void fill_addresses(const protocol::NetEvent &from, Header &to) {
    const auto address = [&](const std::string &bytes, UINT32 &v4, FWP_BYTE_ARRAY16 &v6,
                             UINT32 bit) {
        if (bytes.size() == 4) {
            v4 = 0;
            for (const char byte : bytes)
                v4 = v4 << 8 | static_cast<UINT8>(byte);
        } else if (bytes.size() == sizeof v6.byteArray16) {
            std::memcpy(v6.byteArray16, bytes.data(), bytes.size());
        } else {
            return;
        }
        to.flags |= bit | FWPM_NET_EVENT_FLAG_IP_VERSION_SET;
        to.ipVersion = bytes.size() == 4 ? FWP_IP_VERSION_V4 : FWP_IP_VERSION_V6;
    };
    address(from.local(), to.localAddrV4, to.localAddrV6, FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET);
    address(from.remote(), to.remoteAddrV4, to.remoteAddrV6, FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET);
}

template <typename Header>
void fill_header(Arena &arena, const protocol::NetEvent &from, Header &to) {
    to.timeStamp = to_filetime(from.time_ns());
    fill_addresses(from, to);
    if (from.protocol() != 0) {
        to.flags |= FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET;
        to.ipProtocol = static_cast<UINT8>(from.protocol());
    }
    if (from.local_port() != 0 || from.remote_port() != 0) {
        to.flags |= FWPM_NET_EVENT_FLAG_LOCAL_PORT_SET | FWPM_NET_EVENT_FLAG_REMOTE_PORT_SET;
        to.localPort = static_cast<UINT16>(from.local_port());
        to.remotePort = static_cast<UINT16>(from.remote_port());
    }
    if (!from.exe().empty()) {
        const std::u16string wide = to_utf16(from.exe());
        to.flags |= FWPM_NET_EVENT_FLAG_APP_ID_SET;
        to.appId = to_blob(arena, {reinterpret_cast<const char *>(wide.c_str()),
                                   (wide.size() + 1) * sizeof(char16_t)});
    }
    if (from.uid_known()) {
        to.flags |= FWPM_NET_EVENT_FLAG_USER_ID_SET;
        to.userId = user_sid(arena, from.uid());
    }
    if (from.reauthorize_reason() != 0) to.flags |= FWPM_NET_EVENT_FLAG_REAUTH_REASON_SET;
    if constexpr (requires { to.addressFamily; })
        to.addressFamily = to.ipVersion == FWP_IP_VERSION_V6 ? FWP_AF_INET6 : FWP_AF_INET;
}

template <typename Event>
Event *classified(Arena &arena, const protocol::NetEvent &from) {
    auto *to = arena.make<Event>();
    to->filterId = from.filter();
    to->layerId = static_cast<UINT16>(from.layer());
    if constexpr (requires { to->isLoopback; }) {
        to->reauthReason = from.reauthorize_reason();
        to->msFwpDirection = from.direction();
        to->isLoopback = from.loopback();
    }
    return to;
}

template <typename Event>
void fill_event(Arena &arena, const protocol::NetEvent &from, Event &to) {
    fill_header(arena, from, to.header);
    to.type = static_cast<FWPM_NET_EVENT_TYPE>(from.type());
    using Drop = std::remove_pointer_t<decltype(to.classifyDrop)>;
    if (to.type == FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW)
        to.classifyAllow = classified<FWPM_NET_EVENT_CLASSIFY_ALLOW0>(arena, from);
    else if (to.type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP)
        to.classifyDrop = classified<Drop>(arena, from);
}

} // namespace

SID *user_sid(Arena &arena, std::uint32_t uid) {
    constexpr UCHAR unix_users = 22;
    static_assert(offsetof(SID, SubAuthority) + 2 * sizeof(DWORD) <= 2 * sizeof(SID));
    SID *sid = arena.make<SID>(2); // room for a second sub-authority
    sid->Revision = 1;
    sid->SubAuthorityCount = 2;
    sid->IdentifierAuthority.Value[5] = unix_users;
    const DWORD authorities[] = {1, uid};
    std::memcpy(reinterpret_cast<char *>(sid) + offsetof(SID, SubAuthority), authorities,
                sizeof authorities);
    return sid;
}

FILETIME to_filetime(std::uint64_t ns_since_1970) {
    const std::uint64_t time = ns_since_1970 / unit_ns + epoch;
    return {static_cast<DWORD>(time), static_cast<DWORD>(time >> 32)};
}

std::uint64_t from_filetime(const FILETIME &time) {
    const std::uint64_t units = std::uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
    return units <= epoch ? 0 : std::min(units - epoch, ~std::uint64_t{0} / unit_ns) * unit_ns;
}

void fill(Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT0 &to) {
    fill_event(arena, from, to);
}
void fill(Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT1 &to) {
    fill_event(arena, from, to);
}
void fill(Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT2 &to) {
    fill_event(arena, from, to);
}
void fill(Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT3 &to) {
    fill_event(arena, from, to);
}
void fill(Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT4 &to) {
    fill_event(arena, from, to);
}
void fill(Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT5 &to) {
    fill_event(arena, from, to);
}

} // namespace sluice::fwp
