/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The key of a socket's local end, at the layers that know no peer. */
#ifndef SLUICE_BPF_LIB_KEY_ENDPOINT_H
#define SLUICE_BPF_LIB_KEY_ENDPOINT_H

#include "lib/key.h"

/* What binding and listening have in common: a local end, its owner, no peer. */
__noinline int dp_key_endpoint(struct dp_key *key, __u32 layer, const struct dp_endpoint *at,
                               const struct dp_process *who, const struct dp_cgroups *cgroups)
{
    if (!key || !at) return 0;
    dp_key_begin(key, at->v6 ? DP_LAYER_V6_OF(layer) : layer);
    DP_WIDE(key, LOCAL_ADDRESS) = at->address; /* a wildcard is shown, and is no value */
    if (dp_addr_is_any(&at->address)) {
        key->empty |= DP_SLOT_BIT(LOCAL_ADDRESS) | DP_SLOT_BIT(LOCAL_ADDRESS_TYPE);
        DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_WILDCARD_BIND;
    } else {
        DP_NUMBER(key, LOCAL_ADDRESS_TYPE) = dp_address_type(&at->address, 0);
        if (dp_addr_is_loopback(&at->address)) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_LOOPBACK;
    }
    DP_NUMBER(key, LOCAL_PORT) = at->port;
    key->empty |= DP_SLOT_BIT(INTERFACE);
    return dp_key_owner(key, who, cgroups);
}

#endif
