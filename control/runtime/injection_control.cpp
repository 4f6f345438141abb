// SPDX-License-Identifier: Apache-2.0
#include "runtime/injection_control.h"

#include <cstring>

namespace sluice::runtime {

namespace {

// Levels and types with Windows' values, which are not this system's.
constexpr INT level_ip = 0, level_ipv6 = 41;
constexpr INT ip_tos = 3, ip_ttl = 4, hop_limit = 21, traffic_class = 39; // 21, 39: of both levels

constexpr std::size_t aligned(std::size_t bytes) {
    return (bytes + sizeof(SIZE_T) - 1) & ~(sizeof(SIZE_T) - 1);
}

void apply(const SLUICE_CMSGHDR &item, INT value, IpHeader &header) {
    if (item.cmsg_level != (header.v6 ? level_ipv6 : level_ip) || value < 0 || value > 255) return;
    const auto octet = static_cast<std::uint8_t>(value);
    if (item.cmsg_type == hop_limit || (!header.v6 && item.cmsg_type == ip_ttl))
        header.hop_limit = octet;
    if (item.cmsg_type == traffic_class || (!header.v6 && item.cmsg_type == ip_tos))
        header.traffic_class = octet;
}

} // namespace

std::array<ControlItem, 2> control_of(const IpHeader &header) {
    const INT level = header.v6 ? level_ipv6 : level_ip;
    constexpr SIZE_T bytes = sizeof(SLUICE_CMSGHDR) + sizeof(INT);
    return {{{{bytes, level, header.v6 ? hop_limit : ip_ttl}, header.hop_limit, 0},
             {{bytes, level, header.v6 ? traffic_class : ip_tos}, header.traffic_class, 0}}};
}

bool read_control(const SLUICE_CMSGHDR *items, std::size_t bytes, IpHeader &header) {
    if (!items) return bytes == 0;
    const auto *at = reinterpret_cast<const std::byte *>(items);
    while (bytes > 0) {
        SLUICE_CMSGHDR item;
        if (bytes < sizeof item) return false;
        std::memcpy(&item, at, sizeof item);
        if (item.cmsg_len < sizeof item || item.cmsg_len > bytes) return false;
        INT value = -1;
        if (item.cmsg_len >= sizeof item + sizeof value)
            std::memcpy(&value, at + sizeof item, sizeof value);
        apply(item, value, header);
        const std::size_t step = aligned(item.cmsg_len) < bytes ? aligned(item.cmsg_len) : bytes;
        at += step;
        bytes -= step;
    }
    return true;
}

} // namespace sluice::runtime
