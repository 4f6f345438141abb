// SPDX-License-Identifier: Apache-2.0
#include "fwp/custody.h"
#include "fwp/instance.h"
#include "runtime/net_buffer_pool.h"
#include "runtime/net_buffer_tags.h"
#include "runtime/packet_header.h"
#include "runtime/reassembly.h"

using namespace sluice;
using runtime::buffer_tags;
using runtime::BufferList;

namespace {

bool is_family(ADDRESS_FAMILY family) {
    return family == SLUICE_AF_INET || family == SLUICE_AF_INET6;
}

// Null, and reported, for one that is not ours.
BufferList *list_of(NET_BUFFER_LIST *list, const char *function, const void *place) {
    BufferList *ours = BufferList::of(list);
    if (!ours) fwp::report(BufferList::slots(), list, function, place, false);
    return ours;
}
#define LIST_OF(list) list_of(list, __func__, SLUICE_CALLER())

NTSTATUS associate(NET_BUFFER_LIST *list, bool ours, const runtime::BufferTags::Value &value,
                   PVOID device, UINT32 flags) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    if (!ours || !buffer_tags().is_tag(value.tag)) return STATUS_INVALID_PARAMETER;
    return fwp::guarded([&] {
        if (!fwp::engine().devices().alive(device)) return STATUS_INVALID_PARAMETER;
        return buffer_tags().add(list, value) ? STATUS_SUCCESS : STATUS_OBJECT_NAME_EXISTS;
    });
}

} // namespace

// ---- packets ----

NTSTATUS FwpsConstructIpHeaderForTransportPacket0(NET_BUFFER_LIST *list, ULONG included,
                                                  ADDRESS_FAMILY family, const UCHAR *source,
                                                  const UCHAR *remote, INT protocol, UINT64,
                                                  const SLUICE_CMSGHDR *control,
                                                  ULONG control_bytes, UINT32 flags, PVOID reserved,
                                                  IF_INDEX, IF_INDEX) {
    if (!list || !source || !remote) return STATUS_FWP_NULL_POINTER;
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    BufferList *ours = LIST_OF(list);
    if (!ours || reserved || !is_family(family) || protocol < 0 || protocol > 255)
        return STATUS_INVALID_PARAMETER;
    return fwp::guarded([&] {
        const runtime::HeaderWanted wanted{
            family,  included,     source, remote, static_cast<std::uint8_t>(protocol),
            control, control_bytes};
        return runtime::construct_ip_header(*ours, wanted);
    });
}

NTSTATUS FwpsReassembleForwardFragmentGroup0(ADDRESS_FAMILY family, NET_BUFFER_LIST *chain,
                                             NDIS_HANDLE pool, ULONG back_fill, ULONG flags,
                                             NET_BUFFER_LIST **out) {
    if (!chain || !out) return STATUS_FWP_NULL_POINTER;
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    if (!LIST_OF(chain) || !is_family(family) || back_fill > UINT16_MAX)
        return STATUS_INVALID_PARAMETER;
    const void *place = SLUICE_CALLER();
    return fwp::guarded([&] {
        const auto from = runtime::buffer_pools().find(pool);
        if (pool && (!from || !from->of_lists)) return STATUS_INVALID_PARAMETER;
        BufferList *made = runtime::reassemble(family, chain, back_fill);
        if (!made) return STATUS_INVALID_PARAMETER;
        made->made_at(place);
        *out = made;
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpsGetPacketListSecurityInformation0(NET_BUFFER_LIST *list, UINT32 query,
                                               FWPS_PACKET_LIST_INFORMATION0 *out) {
    if (!list || !out) return STATUS_FWP_NULL_POINTER;
    const UINT32 direction = query & FWPS_PACKET_LIST_INFORMATION_QUERY_INVALID_MASK;
    const bool one = direction == FWPS_PACKET_LIST_INFORMATION_QUERY_INBOUND ||
                     direction == FWPS_PACKET_LIST_INFORMATION_QUERY_OUTBOUND;
    const BufferList *ours = LIST_OF(list);
    if (!ours || !one) return STATUS_INVALID_PARAMETER;
    if (query & FWPS_PACKET_LIST_INFORMATION_QUERY_IPSEC) out->ipsecInformation.flags = 0;
    if (query & FWPS_PACKET_LIST_INFORMATION_QUERY_FWP) {
        out->fwpInformation = {};
        out->fwpInformation.isReinjected =
            ours->origin() && ours->origin()->injected.host != 0 ? 1 : 0;
    }
    return STATUS_SUCCESS;
}

// ---- values on lists ----

UINT64 FwpsNetBufferListGetTagForContext0(VOID) {
    return buffer_tags().next_tag();
}

NTSTATUS FwpsNetBufferListAssociateContext0(NET_BUFFER_LIST *list, UINT16 layer, UINT64 context,
                                            UINT64 tag, GUID *, PVOID device,
                                            FWPS_NET_BUFFER_LIST_NOTIFY_FN0 notify, UINT32 flags) {
    if (!list || !notify) return STATUS_FWP_NULL_POINTER;
    return associate(list, LIST_OF(list) != nullptr, {tag, context, layer, notify, nullptr}, device,
                     flags);
}

NTSTATUS FwpsNetBufferListAssociateContext1(NET_BUFFER_LIST *list, UINT16 layer, UINT64 context,
                                            UINT64 tag, GUID *, PVOID device,
                                            FWPS_NET_BUFFER_LIST_NOTIFY_FN1 notify, UINT32 flags) {
    if (!list || !notify) return STATUS_FWP_NULL_POINTER;
    return associate(list, LIST_OF(list) != nullptr, {tag, context, layer, nullptr, notify}, device,
                     flags);
}

NTSTATUS FwpsNetBufferListRetrieveContext0(NET_BUFFER_LIST *list, UINT64 tag, BOOLEAN remove,
                                           UINT32 flags, UINT64 *context) {
    if (!list || !context) return STATUS_FWP_NULL_POINTER;
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    if (!LIST_OF(list)) return STATUS_INVALID_PARAMETER;
    return fwp::guarded([&] {
        const auto value = buffer_tags().find(list, tag);
        if (!value) return STATUS_NOT_FOUND;
        *context = *value;
        if (remove) buffer_tags().remove(list, tag);
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpsNetBufferListRemoveContext0(NET_BUFFER_LIST *list, UINT64 tag, UINT32 flags) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    if (list && !LIST_OF(list)) return STATUS_INVALID_PARAMETER;
    return fwp::guarded(
        [&] { return buffer_tags().remove(list, tag) > 0 ? STATUS_SUCCESS : STATUS_NOT_FOUND; });
}
