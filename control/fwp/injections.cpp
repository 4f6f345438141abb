// SPDX-License-Identifier: Apache-2.0
#include "fwp/custody.h"
#include "fwp/instance.h"

using namespace sluice;

namespace {

NTSTATUS inject(const runtime::Injection &injection) {
    auto &slots = runtime::BufferList::slots();
    if (slots.find(injection.lists) == runtime::Slots::Found::gone)
        fwp::report(slots, injection.lists, "FwpsInject", injection.place, false);
    return fwp::guarded([&] { return fwp::engine().injections().inject(injection); });
}

// What every call has. needs: FWPS_INJECTION_TYPE_*; place: in whose code it is.
runtime::Injection injection(UINT32 needs, dp_inject_kind kind, HANDLE handle, HANDLE context,
                             NET_BUFFER_LIST *lists, FWPS_INJECT_COMPLETE0 done,
                             HANDLE done_context, const void *place) {
    runtime::Injection in;
    in.place = place;
    in.handle = handle;
    in.needs = needs;
    in.context = context;
    in.kind = kind;
    in.lists = lists;
    in.done = done;
    in.done_context = done_context;
    return in;
}

NTSTATUS send(HANDLE handle, HANDLE context, UINT64 endpoint, UINT32 flags,
              const FWPS_TRANSPORT_SEND_PARAMS1 *args, ADDRESS_FAMILY family,
              COMPARTMENT_ID compartment, NET_BUFFER_LIST *lists, FWPS_INJECT_COMPLETE0 done,
              HANDLE done_context, const void *place) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    auto in = injection(FWPS_INJECTION_TYPE_TRANSPORT, DP_INJECT_SEND, handle, context, lists, done,
                        done_context, place);
    in.family = family;
    in.compartment = compartment;
    in.endpoint = endpoint;
    in.send = args;
    return inject(in);
}

// Frames of one direction.
struct Frames {
    dp_inject_kind kind;
    UINT16 layer;
};

NTSTATUS inject_frames(const Frames &frames, HANDLE handle, HANDLE context, UINT32 flags,
                       UINT16 layer, IF_INDEX interface, NET_BUFFER_LIST *lists,
                       FWPS_INJECT_COMPLETE0 done, HANDLE done_context, const void *place) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    if (layer != frames.layer) return STATUS_INVALID_PARAMETER;
    auto in = injection(FWPS_INJECTION_TYPE_L2, frames.kind, handle, context, lists, done,
                        done_context, place);
    in.ifindex = interface;
    return inject(in);
}

} // namespace

NTSTATUS FwpsInjectionHandleCreate0(ADDRESS_FAMILY family, UINT32 flags, HANDLE *handle) {
    return fwp::guarded([&] { return fwp::engine().injections().create(family, flags, handle); });
}

NTSTATUS FwpsInjectionHandleDestroy0(HANDLE handle) {
    return fwp::guarded([&] { return fwp::engine().injections().destroy(handle); });
}

NTSTATUS FwpsInjectTransportReceiveAsync0(HANDLE handle, HANDLE context, PVOID reserved,
                                          UINT32 flags, ADDRESS_FAMILY family,
                                          COMPARTMENT_ID compartment, IF_INDEX interface, IF_INDEX,
                                          NET_BUFFER_LIST *lists, FWPS_INJECT_COMPLETE0 done,
                                          HANDLE done_context) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    if (reserved) return STATUS_INVALID_PARAMETER;
    auto in = injection(FWPS_INJECTION_TYPE_TRANSPORT, DP_INJECT_RECEIVE, handle, context, lists,
                        done, done_context, SLUICE_CALLER());
    in.family = family;
    in.compartment = compartment;
    in.ifindex = interface;
    return inject(in);
}

NTSTATUS FwpsInjectNetworkReceiveAsync0(HANDLE handle, HANDLE context, UINT32 flags,
                                        COMPARTMENT_ID compartment, IF_INDEX interface, IF_INDEX,
                                        NET_BUFFER_LIST *lists, FWPS_INJECT_COMPLETE0 done,
                                        HANDLE done_context) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    auto in = injection(FWPS_INJECTION_TYPE_NETWORK, DP_INJECT_RECEIVE, handle, context, lists,
                        done, done_context, SLUICE_CALLER());
    in.compartment = compartment;
    in.ifindex = interface;
    return inject(in);
}

NTSTATUS FwpsInjectForwardAsync0(HANDLE handle, HANDLE context, UINT32 flags, ADDRESS_FAMILY family,
                                 COMPARTMENT_ID compartment, IF_INDEX interface,
                                 NET_BUFFER_LIST *lists, FWPS_INJECT_COMPLETE0 done,
                                 HANDLE done_context) {
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    auto in = injection(FWPS_INJECTION_TYPE_FORWARD, DP_INJECT_FORWARD, handle, context, lists,
                        done, done_context, SLUICE_CALLER());
    in.family = family;
    in.compartment = compartment;
    in.ifindex = interface;
    return inject(in);
}

NTSTATUS FwpsInjectTransportSendAsync0(HANDLE handle, HANDLE context, UINT64 endpoint, UINT32 flags,
                                       FWPS_TRANSPORT_SEND_PARAMS0 *args, ADDRESS_FAMILY family,
                                       COMPARTMENT_ID compartment, NET_BUFFER_LIST *lists,
                                       FWPS_INJECT_COMPLETE0 done, HANDLE done_context) {
    FWPS_TRANSPORT_SEND_PARAMS1 newer{};
    if (args) {
        newer.remoteAddress = args->remoteAddress;
        newer.remoteScopeId = args->remoteScopeId;
        newer.controlData = args->controlData;
        newer.controlDataLength = args->controlDataLength;
    }
    return send(handle, context, endpoint, flags, args ? &newer : nullptr, family, compartment,
                lists, done, done_context, SLUICE_CALLER());
}

NTSTATUS FwpsInjectTransportSendAsync1(HANDLE handle, HANDLE context, UINT64 endpoint, UINT32 flags,
                                       FWPS_TRANSPORT_SEND_PARAMS1 *args, ADDRESS_FAMILY family,
                                       COMPARTMENT_ID compartment, NET_BUFFER_LIST *lists,
                                       FWPS_INJECT_COMPLETE0 done, HANDLE done_context) {
    return send(handle, context, endpoint, flags, args, family, compartment, lists, done,
                done_context, SLUICE_CALLER());
}

NTSTATUS FwpsInjectNetworkSendAsync0(HANDLE handle, HANDLE context, UINT32 flags,
                                     COMPARTMENT_ID compartment, NET_BUFFER_LIST *lists,
                                     FWPS_INJECT_COMPLETE0 done, HANDLE done_context) {
    if (flags & ~FWPS_SEND_INJECT_PRESERVE_IPID) return STATUS_FWP_INVALID_FLAGS;
    auto in = injection(FWPS_INJECTION_TYPE_NETWORK, DP_INJECT_SEND, handle, context, lists, done,
                        done_context, SLUICE_CALLER());
    in.compartment = compartment;
    return inject(in);
}

NTSTATUS FwpsInjectMacReceiveAsync0(HANDLE handle, HANDLE context, UINT32 flags, UINT16 layer,
                                    IF_INDEX interface, NDIS_PORT_NUMBER, NET_BUFFER_LIST *lists,
                                    FWPS_INJECT_COMPLETE0 done, HANDLE done_context) {
    return inject_frames({DP_INJECT_MAC_RECEIVE, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET}, handle,
                         context, flags, layer, interface, lists, done, done_context,
                         SLUICE_CALLER());
}

NTSTATUS FwpsInjectMacSendAsync0(HANDLE handle, HANDLE context, UINT32 flags, UINT16 layer,
                                 IF_INDEX interface, NDIS_PORT_NUMBER, NET_BUFFER_LIST *lists,
                                 FWPS_INJECT_COMPLETE0 done, HANDLE done_context) {
    return inject_frames({DP_INJECT_MAC_SEND, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET}, handle,
                         context, flags, layer, interface, lists, done, done_context,
                         SLUICE_CALLER());
}

FWPS_PACKET_INJECTION_STATE
FwpsQueryPacketInjectionState0(HANDLE handle, const NET_BUFFER_LIST *list, HANDLE *context) {
    return fwp::engine().injections().state(handle, list, context);
}
