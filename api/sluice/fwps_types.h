/* SPDX-License-Identifier: Apache-2.0
 * What a callout is told and what it answers. Every pointer handed to a callback is valid only
 * until the callback returns. */
#pragma once

#include "fwp_address.h"
#include "fwp_buffers.h"
#include "fwp_fields.h"
#include "fwp_layers.h"
#include "fwp_values.h"
#include "fwpm_provider_context.h"

typedef struct FWPS_INCOMING_VALUE0_ {
  FWP_VALUE0 value;
} FWPS_INCOMING_VALUE0;

typedef struct FWPS_INCOMING_VALUES0_ {
  UINT16 layerId;                      /* FWPS_LAYER_* */
  UINT32 valueCount;
  FWPS_INCOMING_VALUE0 *incomingValue; /* by the layer's FWPS_FIELD_* */
} FWPS_INCOMING_VALUES0;

typedef struct FWPS_DISCARD_METADATA0_ {
  FWPS_DISCARD_MODULE0 discardModule;
  UINT32 discardReason;
  UINT64 filterId;
} FWPS_DISCARD_METADATA0;

typedef struct FWPS_INBOUND_FRAGMENT_METADATA0_ {
  UINT32 fragmentIdentification;
  UINT16 fragmentOffset;
  ULONG fragmentLength;
} FWPS_INBOUND_FRAGMENT_METADATA0;

/* A member is valid when its bit in currentMetadataValues (FWPS_METADATA_FIELD_*) is set, or in
 * currentL2MetadataValues for the layer 2 members. */
typedef struct FWPS_INCOMING_METADATA_VALUES0_ {
  UINT32 currentMetadataValues;
  UINT32 flags;
  UINT64 reserved;
  FWPS_DISCARD_METADATA0 discardMetadata;
  UINT64 flowHandle;
  UINT32 ipHeaderSize;        /* bytes */
  UINT32 transportHeaderSize; /* bytes */
  FWP_BYTE_BLOB *processPath; /* UTF-16 text */
  UINT64 token;
  UINT64 processId;
  UINT32 sourceInterfaceIndex;
  UINT32 destinationInterfaceIndex;
  ULONG compartmentId; /* network namespace; 1 is the engine's own */
  FWPS_INBOUND_FRAGMENT_METADATA0 fragmentMetadata;
  ULONG pathMtu;
  HANDLE completionHandle; /* for FwpsPendOperation0 */
  UINT64 transportEndpointHandle;
  SCOPE_ID remoteScopeId;
  /* What the packet's IP header says of hop limit and traffic class (IP_TTL and IP_TOS,
   * IPV6_HOPLIMIT and IPV6_TCLASS), for FwpsInjectTransportSendAsync0. Always these two; of what
   * else the socket said by control data Linux keeps nothing. To be copied to outlive the call. */
  SLUICE_CMSGHDR *controlData;
  ULONG controlDataLength;
  FWP_DIRECTION packetDirection;
  PVOID headerIncludeHeader;
  ULONG headerIncludeHeaderLength;
  IP_ADDRESS_PREFIX destinationPrefix;
  UINT16 frameLength;
  UINT64 parentEndpointHandle;
  UINT32 icmpIdAndSequence; /* of an echo: identifier << 16 | sequence number */
  DWORD localRedirectTargetPID;
  struct sluice_sockaddr *originalDestination;
  HANDLE redirectRecords;
  UINT32 currentL2MetadataValues;
  UINT32 l2Flags;
  UINT32 ethernetMacHeaderSize;
  UINT32 wiFiOperationMode;
  UINT32 vSwitchSourcePortId;
  UINT16 vSwitchSourceNicIndex;
  UINT32 vSwitchDestinationPortId;
  HANDLE vSwitchPacketContext;
  PVOID subProcessTag;
  UINT64 reserved1;
} FWPS_INCOMING_METADATA_VALUES0;

/* True when every bit of `field` is set. */
#define FWPS_IS_METADATA_FIELD_PRESENT(metadataValues, field) \
  ((((metadataValues)->currentMetadataValues) & (field)) == (field))
#define FWPS_IS_L2_METADATA_FIELD_PRESENT(metadataValues, field) \
  ((((metadataValues)->currentL2MetadataValues) & (field)) == (field))

/* In: the decision so far and the rights left. Out: the callout's answer. */
typedef struct FWPS_CLASSIFY_OUT0_ {
  FWP_ACTION_TYPE actionType;
  UINT64 outContext;
  UINT64 filterId;
  UINT32 rights; /* FWPS_RIGHT_ACTION_WRITE while the action may still be changed */
  UINT32 flags;  /* FWPS_CLASSIFY_OUT_FLAG_* */
  UINT32 reserved;
} FWPS_CLASSIFY_OUT0;

typedef struct FWPS_ACTION0_ {
  FWP_ACTION_TYPE type;
  UINT32 calloutId; /* run-time id, 0 if the action is no callout */
} FWPS_ACTION0;

typedef struct FWPS_FILTER_CONDITION0_ {
  UINT16 fieldId;
  UINT16 reserved;
  FWP_MATCH_TYPE matchType;
  FWP_CONDITION_VALUE0 conditionValue;
} FWPS_FILTER_CONDITION0;

typedef struct FWPS_FILTER0_ {
  UINT64 filterId;
  FWP_VALUE0 weight;
  UINT16 subLayerWeight;
  UINT16 flags;
  UINT32 numFilterConditions;
  FWPS_FILTER_CONDITION0 *filterCondition;
  FWPS_ACTION0 action;
  UINT64 context; /* rawContext or the provider context's id, or what notifyFn stored */
  FWPM_PROVIDER_CONTEXT0 *providerContext;
} FWPS_FILTER0;

typedef struct FWPS_FILTER1_ {
  UINT64 filterId;
  FWP_VALUE0 weight;
  UINT16 subLayerWeight;
  UINT16 flags;
  UINT32 numFilterConditions;
  FWPS_FILTER_CONDITION0 *filterCondition;
  FWPS_ACTION0 action;
  UINT64 context; /* rawContext or the provider context's id, or what notifyFn stored */
  FWPM_PROVIDER_CONTEXT1 *providerContext;
} FWPS_FILTER1;

typedef struct FWPS_FILTER2_ {
  UINT64 filterId;
  FWP_VALUE0 weight;
  UINT16 subLayerWeight;
  UINT16 flags;
  UINT32 numFilterConditions;
  FWPS_FILTER_CONDITION0 *filterCondition;
  FWPS_ACTION0 action;
  UINT64 context; /* rawContext or the provider context's id, or what notifyFn stored */
  FWPM_PROVIDER_CONTEXT2 *providerContext;
} FWPS_FILTER2;

typedef struct FWPS_FILTER3_ {
  UINT64 filterId;
  FWP_VALUE0 weight;
  UINT16 subLayerWeight;
  UINT16 flags;
  UINT32 numFilterConditions;
  FWPS_FILTER_CONDITION0 *filterCondition;
  FWPS_ACTION0 action;
  UINT64 context; /* rawContext or the provider context's id, or what notifyFn stored */
  FWPM_PROVIDER_CONTEXT3 *providerContext;
} FWPS_FILTER3;
