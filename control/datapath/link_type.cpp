// SPDX-License-Identifier: Apache-2.0
#include "datapath/link_type.h"

#include <linux/if_arp.h>

namespace sluice::datapath {

std::uint32_t if_type_of(std::uint16_t arphrd) {
    switch (arphrd) {
    case ARPHRD_ETHER:
        return 6;
    case ARPHRD_LOOPBACK:
        return 24;
    case ARPHRD_PPP:
        return 23;
    case ARPHRD_SLIP:
        return 28;
    case ARPHRD_ATM:
        return 37;
    case ARPHRD_FDDI:
        return 15;
    case ARPHRD_IEEE80211:
    case ARPHRD_IEEE80211_PRISM:
    case ARPHRD_IEEE80211_RADIOTAP:
        return 71;
    case ARPHRD_IEEE1394:
        return 144;
    case ARPHRD_INFINIBAND:
        return 199;
    case ARPHRD_NONE: // tun, WireGuard: as their kin on Windows, propVirtual
        return 53;
    default:
        return tunnel_type_of(arphrd) != 0 ? 131 : 1;
    }
}

std::uint32_t tunnel_type_of(std::uint16_t arphrd) {
    constexpr std::uint32_t other = 1, direct = 2;
    switch (arphrd) {
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
        return direct;
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
        return other;
    default:
        return 0;
    }
}

} // namespace sluice::datapath
