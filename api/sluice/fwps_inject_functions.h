/* SPDX-License-Identifier: Apache-2.0
 * Injection of packets.
 *
 * All functions that inject have this in common. Success means that the engine took the list; it
 * is the engine's until completionFn was called for it, exactly once, with the outcome in
 * NET_BUFFER_LIST_STATUS: STATUS_SUCCESS, or STATUS_INSUFFICIENT_RESOURCES where the way to the
 * kernel filled up behind an earlier list of the same chain. completionFn runs inside the call or on
 * another thread, with dispatchLevel FALSE. On any other status it is never called and the list
 * stays the caller's. Lists of a chain (Next) complete one by one. What is injected meets the
 * layers from the first of its direction on, where FwpsQueryPacketInjectionState0 tells by whom and
 * with which injectionContext; a packet that meets the flow that it belongs to obeys that flow.
 *
 * compartmentId    that of the metadata; UNSPECIFIED_COMPARTMENT_ID: that of the packet that the
 *                  list was cloned from, else the engine's own.
 * netBufferList    a list of the functions of fwps_buffers.h; a packet of at most 3272 bytes with
 *                  its IP header.
 * completionFn     not NULL.
 * Any thread, also inside callbacks. */
#pragma once

#include "fwps_inject.h"

/* Makes a handle: a set of kinds of injection, and the identity that
 * FwpsQueryPacketInjectionState0 knows.
 *
 * addressFamily    Windows' values: AF_UNSPEC (0), AF_INET (2), AF_INET6 (23).
 * flags            FWPS_INJECTION_TYPE_*; 0: transport, stream and forward.
 * injectionHandle  out: the caller's until FwpsInjectionHandleDestroy0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        injectionHandle is NULL
 * STATUS_FWP_INVALID_FLAGS       an unknown bit
 * STATUS_INVALID_PARAMETER       another family; NETWORK without a family; L2 with one or beside it
 * STATUS_NOT_SUPPORTED           VSWITCH_TRANSPORT: there is no virtual switch
 * STATUS_FWP_TCPIP_NOT_READY     never here: a handle is the process's own and needs no engine
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Any thread. Page: FwpsInjectionHandleCreate0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectionHandleCreate0(ADDRESS_FAMILY addressFamily, UINT32 flags,
                                                     HANDLE *injectionHandle);

/* Ends a handle. Waits until each injection made with it has completed.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE               never made by FwpsInjectionHandleCreate0
 * STATUS_FWP_INJECT_HANDLE_CLOSING    ended already, or another thread is at it
 * STATUS_FWP_IN_USE                   called from a completionFn of this handle
 * Thread: not in a completionFn. Page: FwpsInjectionHandleDestroy0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectionHandleDestroy0(HANDLE injectionHandle);

/* Injects packets that begin with their IP header into the receive path of an interface: from
 * INBOUND_IPPACKET on.
 *
 * injectionHandle  of kind TRANSPORT.
 * injectionContext  handed back by FwpsQueryPacketInjectionState0.
 * reserved          NULL.
 * flags             0.
 * addressFamily     of the packets; Windows' values.
 * interfaceIndex    where they arrive; 0: where the packet arrived that the list was cloned from.
 *                   A clone that arrives there has the VLAN tags of its original, and so reaches
 *                   the device that the original was for (Windows: each VLAN is an interface).
 * subInterfaceIndex not used.
 * The IP header's checksum is computed in any case, that of TCP, UDP and ICMP where it is 0 (UDP in
 * IPv4: stays 0, which means none) or the part that a network card would complete.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           netBufferList or completionFn is NULL
 * STATUS_FWP_INVALID_FLAGS          flags are not 0
 * STATUS_INVALID_PARAMETER          reserved is not NULL; a family that is none, or not the
 *                                   handle's, or not the packet's; no interface is known; not a list
 *                                   of these functions; no whole packet, or several buffers; too
 *                                   long
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle without TRANSPORT
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectTransportReceiveAsync0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectTransportReceiveAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, PVOID reserved, UINT32 flags,
    ADDRESS_FAMILY addressFamily, COMPARTMENT_ID compartmentId, IF_INDEX interfaceIndex,
    IF_INDEX subInterfaceIndex, NET_BUFFER_LIST *netBufferList, FWPS_INJECT_COMPLETE0 completionFn,
    HANDLE completionContext);

/* As FwpsInjectTransportReceiveAsync0, for handles of kind NETWORK; the family is the handle's.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           netBufferList or completionFn is NULL
 * STATUS_FWP_INVALID_FLAGS          flags are not 0
 * STATUS_INVALID_PARAMETER          not a packet of the handle's family, else as above
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle without NETWORK
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectNetworkReceiveAsync0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectNetworkReceiveAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags, COMPARTMENT_ID compartmentId,
    IF_INDEX interfaceIndex, IF_INDEX subInterfaceIndex, NET_BUFFER_LIST *netBufferList,
    FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);

/* Injects packets that begin with their IP header into the forward path: out of an interface, as
 * they are, shown to no layer any more, ours included. What this machine itself sends, or would
 * receive, is refused: it goes by FwpsInjectNetworkSendAsync0 or FwpsInjectNetworkReceiveAsync0.
 *
 * injectionHandle  of kind FORWARD.
 * injectionContext  not used: nobody sees the packet who could ask for it.
 * flags             0.
 * addressFamily     AF_INET or AF_INET6, Windows' values; the packets'.
 * interfaceIndex    where they leave, by the route that leads there; 0: the route is looked up. It
 *                   must be loaded.
 * netBufferList     one packet or one fragment, of at most 64 KiB. What the way does not take is
 *                   fragmented, if it is IPv4 without DF. Fragments of one packet are not taken as a
 *                   chain: FwpsReassembleForwardFragmentGroup0 makes one list of them. The IPv4
 *                   header's checksum is computed in any case, that of TCP, UDP and ICMP where it is
 *                   0 (UDP in IPv4: stays 0) or the part that a network card would complete.
 * completionFn      runs later, in a thread of the port, when the kernel has dealt with the packet.
 *                   NET_BUFFER_LIST_STATUS is then
 *                   STATUS_SUCCESS                 it was given to the interface
 *                   STATUS_INVALID_PARAMETER       an end of it is this machine, a group, or none
 *                   STATUS_NETWORK_UNREACHABLE     no route leads there, or not by that interface
 *                   STATUS_BUFFER_OVERFLOW         too big for its way, and IPv6 or with DF. Of a
 *                                                  packet that was indicated at IPFORWARD the sender
 *                                                  was told by ICMP, if the route is its own
 *                   STATUS_FWP_TCPIP_NOT_READY     the interface is not loaded, or the port went
 *                   STATUS_INSUFFICIENT_RESOURCES  no room for all its fragments
 *                   STATUS_IO_TIMEOUT              no word of it for five seconds
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           netBufferList or completionFn is NULL
 * STATUS_FWP_INVALID_FLAGS          flags are not 0
 * STATUS_INVALID_PARAMETER          a family that is none, or not the handle's, or not the packet's;
 *                                   not a list of these functions; no whole packet, or several
 *                                   buffers; a chain with fragments in it
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle without FORWARD
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectForwardAsync0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectForwardAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags, ADDRESS_FAMILY addressFamily,
    COMPARTMENT_ID compartmentId, IF_INDEX interfaceIndex, NET_BUFFER_LIST *netBufferList,
    FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);

/* Injects packets that begin with their transport header into the send path, from ALE on. The IP
 * header is made from sendArgs: source is the endpoint's local address, hop limit and traffic class
 * are those of the packet that the list was cloned from (else 64 and 0) or stand in the control
 * data; of a fragment, or a packet with options or extension headers, the header is kept. The
 * transport checksum is computed in any case, but for fragments. The route is looked up; to a group
 * or a link-local address the interface is that of the packet that was cloned, and to the address
 * of one that left with VLAN tags it is that as well, with these tags.
 *
 * injectionHandle   of kind TRANSPORT.
 * injectionContext  handed back by FwpsQueryPacketInjectionState0.
 * endpointHandle    transportEndpointHandle of the metadata.
 * flags             0.
 * sendArgs          remoteAddress: 4 or 16 bytes, network order, may be another than the socket's;
 *                   remoteScopeId: where that is a group's or link-local, the interface, 0: see above;
 *                   controlData: IP_TTL or IP_HOPLIMIT and IP_TOS or IP_TCLASS (their IPv6 twins)
 *                   count, others do not: that of the metadata makes the packet leave as its
 *                   socket would have sent it; with NULL a clone's leaves as its original, others
 *                   with 64 and 0. Read before the call returns; Windows wants all of it valid until
 *                   completion. NULL: the data begins with an IP header, one buffer to a
 *                   list.
 * headerIncludeHeader  (Async1) NULL, or the whole IP header that goes in front of the data instead
 *                   of one made here; its length, checksum and destination are set.
 * addressFamily     of the packets; Windows' values.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           netBufferList, completionFn or sendArgs->remoteAddress is NULL
 * STATUS_FWP_INVALID_FLAGS          flags are not 0
 * STATUS_INVALID_PARAMETER          a family that is none, or not the handle's; control data that
 *                                   contradicts itself; not a list of these functions; no whole
 *                                   header; too long
 * STATUS_NOT_FOUND                  the endpoint is not known here, and the list is no clone of one
 *                                   of its packets
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle without TRANSPORT
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectTransportSendAsync0, FwpsInjectTransportSendAsync1. */
SLUICE_API NTSTATUS NTAPI FwpsInjectTransportSendAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT64 endpointHandle, UINT32 flags,
    FWPS_TRANSPORT_SEND_PARAMS0 *sendArgs, ADDRESS_FAMILY addressFamily,
    COMPARTMENT_ID compartmentId, NET_BUFFER_LIST *netBufferList,
    FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);
SLUICE_API NTSTATUS NTAPI FwpsInjectTransportSendAsync1(
    HANDLE injectionHandle, HANDLE injectionContext, UINT64 endpointHandle, UINT32 flags,
    FWPS_TRANSPORT_SEND_PARAMS1 *sendArgs, ADDRESS_FAMILY addressFamily,
    COMPARTMENT_ID compartmentId, NET_BUFFER_LIST *netBufferList,
    FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);

/* Injects packets that begin with their IP header into the send path, from ALE on. The IP header's
 * checksum is computed in any case, that of TCP, UDP and ICMP where it is 0.
 *
 * injectionHandle  of kind NETWORK; its family is that of the packets.
 * flags            0 or FWPS_SEND_INJECT_PRESERVE_IPID, which holds in any case.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           netBufferList or completionFn is NULL
 * STATUS_FWP_INVALID_FLAGS          another flag
 * STATUS_INVALID_PARAMETER          not a packet of the handle's family; not a list of these
 *                                   functions; several buffers; too long
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle without NETWORK
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectNetworkSendAsync0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectNetworkSendAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags, COMPARTMENT_ID compartmentId,
    NET_BUFFER_LIST *netBufferList, FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);

/* Injects frames into the receive path of an interface, as if they had come by its wire: from
 * INBOUND_MAC_FRAME_ETHERNET on. Each begins with its MAC header, of which VLAN tags are a part, and
 * is taken as it is, checksums included.
 *
 * injectionHandle   of kind L2.
 * injectionContext  handed back by FwpsQueryPacketInjectionState0.
 * flags             0.
 * layerId           FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET. Windows wants the caller to have a filter
 *                   there; here it need not.
 * interfaceIndex    where they arrive, an interface that Sluice is loaded onto; 0: that of the frame
 *                   that the list was cloned from.
 * NdisPortNumber    not used.
 * netBufferLists    one frame a list, of at most 3286 bytes, in the compartment of the frame that the
 *                   first was cloned from, else in the engine's own. What is more than the
 *                   interface's MTU is dropped and counted, as is what is for no interface.
 * completionFn      may be NULL for lists that were indicated themselves, as FwpsReferenceNetBufferList0
 *                   keeps them.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           netBufferLists is NULL; completionFn is, for other lists
 * STATUS_FWP_INVALID_FLAGS          flags are not 0
 * STATUS_INVALID_PARAMETER          another layer; no interface is known; not a list of these
 *                                   functions; no whole MAC header, or several buffers; too long
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle that is not of kind L2
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectMacReceiveAsync0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectMacReceiveAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags, UINT16 layerId,
    IF_INDEX interfaceIndex, NDIS_PORT_NUMBER NdisPortNumber, NET_BUFFER_LIST *netBufferLists,
    FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);

/* As FwpsInjectMacReceiveAsync0, into the send path of an interface: from
 * OUTBOUND_MAC_FRAME_ETHERNET on, which is the last layer. A list may hold several frames, one a
 * buffer.
 *
 * layerId         FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET.
 * interfaceIndex  where they leave.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER           as above
 * STATUS_FWP_INVALID_FLAGS          flags are not 0
 * STATUS_INVALID_PARAMETER          as above, but for several buffers
 * STATUS_INVALID_HANDLE             no such handle
 * STATUS_FWP_INJECT_HANDLE_CLOSING  the handle was ended
 * STATUS_FWP_INJECT_HANDLE_STALE    a handle that is not of kind L2
 * STATUS_FWP_TCPIP_NOT_READY        the way to the kernel, or to that compartment, is not there
 * STATUS_INSUFFICIENT_RESOURCES     that way is full; try again
 * Page: FwpsInjectMacSendAsync0. */
SLUICE_API NTSTATUS NTAPI FwpsInjectMacSendAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags, UINT16 layerId,
    IF_INDEX interfaceIndex, NDIS_PORT_NUMBER NdisPortNumber, NET_BUFFER_LIST *netBufferLists,
    FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext);

/* How an indicated packet, or a clone of one, relates to a handle.
 *
 * injectionContext  out, optional: as given at injection, in the two states of self. Of an injection
 *                   before the last it is known as long as no other injection of the host had the
 *                   same handle and context as the last; NULL where it is not.
 *
 * FWPS_PACKET_NOT_INJECTED                by nobody, or no packet of ours
 * FWPS_PACKET_INJECTED_BY_SELF            last by this handle
 * FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF by this handle, then by another, of any process
 * FWPS_PACKET_INJECTED_BY_OTHER           by others only, or by more than one other since
 * FWPS_PACKET_INJECTION_STATE_MAX         injectionHandle is no live handle
 * Any thread. Page: FwpsQueryPacketInjectionState0. */
SLUICE_API FWPS_PACKET_INJECTION_STATE NTAPI FwpsQueryPacketInjectionState0(
    HANDLE injectionHandle, const NET_BUFFER_LIST *netBufferList, HANDLE *injectionContext);
