/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Link headers of packets that no device has seen. Where the link address is not known yet a mark
   stands in its place, which also survives the way to another host and back. */
#ifndef SLUICE_BPF_HOOKS_LINK_H
#define SLUICE_BPF_HOOKS_LINK_H

#include "hooks/step.h"

#define DP_IFINDEX_LO 1
#define DP_TC_INDEX_NEW_LINK 0x5343 /* in tc_index: the link header was made behind a port */

/* Locally administered, and no device's. */
DP_INLINE void dp_link_unknown(__u8 *mac)
{
    mac[0] = 0x02;
    mac[1] = 'S';
    mac[2] = 'L';
    mac[3] = 'C';
    mac[4] = 0xff;
    mac[5] = 0xff;
}

DP_INLINE int dp_link_write(struct __sk_buff *skb, const __u8 *to, const __u8 *from)
{
    __u8 mac[2 * ETH_ALEN];

    __builtin_memcpy(mac, to, ETH_ALEN);
    __builtin_memcpy(mac + ETH_ALEN, from, ETH_ALEN);
    return bpf_skb_store_bytes(skb, 0, mac, sizeof mac, 0);
}

DP_INLINE int dp_link_forget(struct __sk_buff *skb)
{
    __u8 mac[ETH_ALEN];

    dp_link_unknown(mac);
    return dp_link_write(skb, mac, mac);
}

/* As on lo. */
DP_INLINE int dp_link_none(struct __sk_buff *skb)
{
    __u8 mac[ETH_ALEN] = {};

    return dp_link_write(skb, mac, mac);
}

DP_INLINE int dp_link_is_unknown(struct __sk_buff *skb)
{
    __u8 unknown[ETH_ALEN], mac[ETH_ALEN];

    dp_link_unknown(unknown);
    return !bpf_skb_load_bytes(skb, 0, mac, sizeof mac) &&
           dp_mac_number(mac) == dp_mac_number(unknown);
}

#endif
