/* SPDX-License-Identifier: Apache-2.0
 * Packets as a whole: IP headers, fragments, what is known of a packet. Any thread may call any of
 * these, also inside classifyFn. On failure nothing has changed. */
#pragma once

#include "fwps_inject.h"

/* Puts an IP header in front of data that begins with its transport header, or replaces the one
 * that is there together with what stands between it and the transport header: extension headers,
 * AH. Options of an IPv4 header stay, as do its hop limit, traffic class and identification; where
 * there was none, hop limit and traffic class are those of the packet that the list was cloned from
 * (else 64 and 0). All checksums are computed, IP's and those of TCP, UDP and ICMP, and the list
 * asks for no offload any more. To be called on a clone: what shares its bytes sees the transport
 * checksum change.
 *
 * netBufferList     every buffer gets a header; with headerIncludeHeaderLength there may be one
 *                   buffer only.
 * headerIncludeHeaderLength  bytes from the start of the data to the transport header; 0: none.
 * addressFamily     Windows' values.
 * sourceAddress, remoteAddress  4 or 16 bytes, network order.
 * nextProtocol      of the transport, an IPPROTO_ value from 0 to 255.
 * endpointHandle, interfaceIndex, subInterfaceIndex  not used.
 * controlData       NULL, or items of which hop limit and traffic class count, as with
 *                   FwpsInjectTransportSendAsync0.
 * flags             0.
 * reserved          NULL.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        the list or an address is NULL
 * STATUS_FWP_INVALID_FLAGS       flags are not 0
 * STATUS_INVALID_PARAMETER       reserved is not NULL; another family or protocol; not a list of
 *                                these functions; fewer bytes than the data or header claims; a
 *                                fragment; more than 65535 bytes; control data that contradicts
 *                                itself
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Windows: removes ESP as well. Page: FwpsConstructIpHeaderForTransportPacket0. */
SLUICE_API NTSTATUS NTAPI FwpsConstructIpHeaderForTransportPacket0(
    NET_BUFFER_LIST *netBufferList, ULONG headerIncludeHeaderLength, ADDRESS_FAMILY addressFamily,
    const UCHAR *sourceAddress, const UCHAR *remoteAddress, INT nextProtocol, UINT64 endpointHandle,
    const SLUICE_CMSGHDR *controlData, ULONG controlDataLength, UINT32 flags, PVOID reserved,
    IF_INDEX interfaceIndex, IF_INDEX subInterfaceIndex);

/* One list over a whole packet, made of all its fragments; their bytes stay where they are, and
 * their lists stay until the new one is freed with FwpsFreeNetBufferList0.
 *
 * addressFamily         of the fragments; Windows' values.
 * fragmentGroupNblChain  lists of one buffer, linked by Next, each beginning with its IP header; in
 *                       any order. It stays the caller's.
 * netBufferAndNetBufferListPoolHandle  NULL, or a pool of lists; not used beyond that.
 * dataBackFill          bytes of room in front of the packet for a retreat; at most 65535.
 * flags                 0.
 * reassembledNbl        out: the caller's. Its IP header is the first fragment's without the
 *                       fragmentation, with length and checksum of the whole.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        a list is NULL
 * STATUS_FWP_INVALID_FLAGS       flags are not 0
 * STATUS_INVALID_PARAMETER       another family; no such pool; dataBackFill too large; not lists of
 *                                these functions; no fragments, or of several packets; one is
 *                                missing, one is there twice, two overlap; more than 65535 bytes
 * STATUS_FWP_TCPIP_NOT_READY     never here: no stack is asked
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Windows: undefined for any other chain than the one that is indicated.
 * Page: FwpsReassembleForwardFragmentGroup0. */
SLUICE_API NTSTATUS NTAPI FwpsReassembleForwardFragmentGroup0(
    ADDRESS_FAMILY addressFamily, NET_BUFFER_LIST *fragmentGroupNblChain,
    NDIS_HANDLE netBufferAndNetBufferListPoolHandle, ULONG dataBackFill, ULONG flags,
    NET_BUFFER_LIST **reassembledNbl);

/* What is known of an indicated packet, or a clone of one.
 *
 * queryFlags         FWPS_PACKET_LIST_INFORMATION_QUERY_*: one of INBOUND and OUTBOUND, not both,
 *                    and what to tell: IPSEC, FWP.
 * packetInformation  out: of it what was asked for. Of IPsec always nothing: this engine sees
 *                    packets outside of it. fwpInformation: whether somebody injected the packet.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER   a pointer is NULL
 * STATUS_INVALID_PARAMETER  INBOUND and OUTBOUND, or neither; not a list of these functions
 * Page: FwpsGetPacketListSecurityInformation0. */
SLUICE_API NTSTATUS NTAPI
FwpsGetPacketListSecurityInformation0(NET_BUFFER_LIST *packetList, UINT32 queryFlags,
                                      FWPS_PACKET_LIST_INFORMATION0 *packetInformation);
