/* SPDX-License-Identifier: Apache-2.0
 * Parameters of injection, whose functions stand in fwps_inject_functions.h, and of the stream
 * layers, whose functions are not there yet. */
#pragma once

#include "fwp_address.h"
#include "fwp_buffers.h"
#include "fwp_constants.h"

/* Told once when an injection that was accepted is over, on any thread; the outcome stands in
 * NET_BUFFER_LIST_STATUS. */
typedef VOID(NTAPI *FWPS_INJECT_COMPLETE0)(VOID *context, NET_BUFFER_LIST *netBufferList,
                                           BOOLEAN dispatchLevel);

/* The pointers must stay valid until the injection completes. */
typedef struct FWPS_TRANSPORT_SEND_PARAMS0_ {
  UCHAR *remoteAddress; /* 4 or 16 bytes, network order */
  SCOPE_ID remoteScopeId;
  SLUICE_CMSGHDR *controlData;
  ULONG controlDataLength;
} FWPS_TRANSPORT_SEND_PARAMS0;

typedef struct FWPS_TRANSPORT_SEND_PARAMS1_ {
  UCHAR *remoteAddress;
  SCOPE_ID remoteScopeId;
  SLUICE_CMSGHDR *controlData;
  ULONG controlDataLength;
  UCHAR *headerIncludeHeader;
  ULONG headerIncludeHeaderLength;
} FWPS_TRANSPORT_SEND_PARAMS1;

typedef struct FWPS_PACKET_LIST_INBOUND_IPSEC_INFORMATION0_ {
  UINT32 isSecure : 1;
  UINT32 isTransportMode : 1;
  UINT32 isTunnelMode : 1;
  UINT32 isTransportModeVerified : 1;
  UINT32 isTunnelModeVerified : 1;
  UINT32 isDeTunneled : 1;
} FWPS_PACKET_LIST_INBOUND_IPSEC_INFORMATION0;

typedef struct FWPS_PACKET_LIST_OUTBOUND_IPSEC_INFORMATION0_ {
  UINT32 isIPsecPolicyMatch : 1;
  UINT32 isTransportPolicyMatch : 1;
  UINT32 isTunnelPolicyMatch : 1;
  UINT32 isTunnelIPinIP : 1;
} FWPS_PACKET_LIST_OUTBOUND_IPSEC_INFORMATION0;

typedef struct FWPS_PACKET_LIST_IPSEC_INFORMATION0_ {
  union {
    FWPS_PACKET_LIST_INBOUND_IPSEC_INFORMATION0 inbound;
    FWPS_PACKET_LIST_OUTBOUND_IPSEC_INFORMATION0 outbound;
    UINT32 flags;
  };
} FWPS_PACKET_LIST_IPSEC_INFORMATION0;

typedef struct FWPS_PACKET_LIST_FWP_INFORMATION0_ {
  UINT32 isReinjected : 1;
} FWPS_PACKET_LIST_FWP_INFORMATION0;

typedef struct FWPS_PACKET_LIST_INFORMATION0_ {
  FWPS_PACKET_LIST_IPSEC_INFORMATION0 ipsecInformation;
  FWPS_PACKET_LIST_FWP_INFORMATION0 fwpInformation;
} FWPS_PACKET_LIST_INFORMATION0;

typedef struct FWPS_STREAM_DATA_OFFSET0_ {
  NET_BUFFER_LIST *netBufferList;
  NET_BUFFER *netBuffer;
  MDL *mdl;
  UINT32 mdlOffset;
  UINT32 netBufferOffset;
  SIZE_T streamDataOffset;
} FWPS_STREAM_DATA_OFFSET0;

typedef struct FWPS_STREAM_DATA0_ {
  UINT32 flags; /* FWPS_STREAM_FLAG_* */
  FWPS_STREAM_DATA_OFFSET0 dataOffset;
  SIZE_T dataLength; /* bytes; 0 for a bare FIN or RST */
  NET_BUFFER_LIST *netBufferListChain;
} FWPS_STREAM_DATA0;

typedef struct FWPS_STREAM_CALLOUT_IO_PACKET0_ {
  FWPS_STREAM_DATA0 *streamData;
  SIZE_T missedBytes;
  UINT32 countBytesRequired;
  SIZE_T countBytesEnforced;
  FWPS_STREAM_ACTION_TYPE streamAction;
} FWPS_STREAM_CALLOUT_IO_PACKET0;
