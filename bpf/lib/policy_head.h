/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the published policy's image says about all of itself. */
#ifndef SLUICE_BPF_LIB_POLICY_HEAD_H
#define SLUICE_BPF_LIB_POLICY_HEAD_H

#include "lib/base.h"

/* In dp_image_head.present[0]. */
#define DP_BIT(layer) (1ULL << (layer))
/* What XDP judges on a NIC. */
#define DP_LAYERS_XDP_V4                                                                           \
    (DP_BIT(DP_LAYER_INBOUND_MAC_FRAME_ETHERNET) | DP_BIT(DP_LAYER_INBOUND_IPPACKET_V4))
#define DP_LAYERS_XDP_V6                                                                           \
    (DP_BIT(DP_LAYER_INBOUND_MAC_FRAME_ETHERNET) | DP_BIT(DP_LAYER_INBOUND_IPPACKET_V6))

/* 0: no policy. */
DP_INLINE struct dp_image_head *dp_policy_head(void)
{
    __u32 zero = 0;
    void *image = bpf_map_lookup_elem(&policy_large, &zero);

    /* Each with a look-up of its own, which the verifier can inline. */
    if (image) return bpf_map_lookup_elem(image, &zero);
    image = bpf_map_lookup_elem(&policy, &zero);
    return image ? bpf_map_lookup_elem(image, &zero) : 0;
}

DP_INLINE __u64 dp_generation(void)
{
    struct dp_image_head *head = dp_policy_head();

    return head ? head->generation : 0;
}

/* Whether the layer must be classified at all. Without a policy: yes, which blocks. */
DP_INLINE int dp_layer_has_rows(__u32 layer)
{
    struct dp_image_head *head = dp_policy_head();

    if (!head) return 1;
    return (head->present[(layer >> 6) & 1] >> (layer & 63)) & 1;
}

#endif
