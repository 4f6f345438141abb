/* SPDX-License-Identifier: Apache-2.0
 * Templates that limit an enumeration, and what a change or a net event reports. The functions
 * that use them are not there yet. */
#pragma once

#include "fwpm_types.h"

typedef struct FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0_ FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0;

typedef struct FWPM_FILTER_ENUM_TEMPLATE0_ {
  GUID *providerKey;
  GUID layerKey;
  FWP_FILTER_ENUM_TYPE enumType;
  UINT32 flags; /* FWP_FILTER_ENUM_FLAG_* */
  FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *providerContextTemplate;
  UINT32 numFilterConditions;
  FWPM_FILTER_CONDITION0 *filterCondition;
  UINT32 actionMask; /* all ones: any action */
  GUID *calloutKey;
} FWPM_FILTER_ENUM_TEMPLATE0;

typedef struct FWPM_FILTER_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID filterKey;
  UINT64 filterId;
} FWPM_FILTER_CHANGE0;

typedef struct FWPM_FILTER_SUBSCRIPTION0_ {
  FWPM_FILTER_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags; /* FWPM_SUBSCRIPTION_FLAG_* */
  GUID sessionKey;
} FWPM_FILTER_SUBSCRIPTION0;

typedef struct FWPM_CALLOUT_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID calloutKey;
  UINT32 calloutId;
} FWPM_CALLOUT_CHANGE0;

typedef struct FWPM_NET_EVENT_HEADER3_ {
  FILETIME timeStamp; /* 100 ns since 1601 */
  UINT32 flags;       /* FWPM_NET_EVENT_FLAG_*: which members are valid */
  FWP_IP_VERSION ipVersion;
  UINT8 ipProtocol;
  union {
    UINT32 localAddrV4;
    FWP_BYTE_ARRAY16 localAddrV6;
  };
  union {
    UINT32 remoteAddrV4;
    FWP_BYTE_ARRAY16 remoteAddrV6;
  };
  UINT16 localPort;
  UINT16 remotePort;
  UINT32 scopeId;
  FWP_BYTE_BLOB appId;
  SID *userId;
  FWP_AF addressFamily;
  SID *packageSid;
  LPWSTR enterpriseId;
  UINT64 policyFlags;
  FWP_BYTE_BLOB effectiveName;
} FWPM_NET_EVENT_HEADER3;

typedef struct FWPM_NET_EVENT_CLASSIFY_DROP2_ {
  UINT64 filterId;
  UINT16 layerId;
  UINT32 reauthReason;
  UINT32 originalProfile;
  UINT32 currentProfile;
  UINT32 msFwpDirection;
  BOOL isLoopback;
  FWP_BYTE_BLOB vSwitchId;
  UINT32 vSwitchSourcePort;
  UINT32 vSwitchDestinationPort;
} FWPM_NET_EVENT_CLASSIFY_DROP2;

typedef struct FWPM_NET_EVENT_ENUM_TEMPLATE0_ {
  FILETIME startTime;
  FILETIME endTime;
  UINT32 numFilterConditions;
  FWPM_FILTER_CONDITION0 *filterCondition;
} FWPM_NET_EVENT_ENUM_TEMPLATE0;

typedef struct FWPM_NET_EVENT_SUBSCRIPTION0_ {
  FWPM_NET_EVENT_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;
  GUID sessionKey;
} FWPM_NET_EVENT_SUBSCRIPTION0;

typedef struct FWPS_ALE_ENDPOINT_PROPERTIES0_ {
  UINT64 endpointId;
  FWP_IP_VERSION ipVersion;
  union {
    UINT32 localV4Address;
    UINT8 localV6Address[16];
  };
  union {
    UINT32 remoteV4Address;
    UINT8 remoteV6Address[16];
  };
  UINT8 ipProtocol;
  UINT16 localPort;
  UINT16 remotePort;
  UINT64 localTokenModifiedId;
  UINT64 mmSaId;
  UINT64 qmSaId;
  UINT32 ipsecStatus;
  UINT32 flags;
  FWP_BYTE_BLOB appId;
} FWPS_ALE_ENDPOINT_PROPERTIES0;

typedef struct FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0_ {
  FWP_CONDITION_VALUE0 localSubNet;
  FWP_CONDITION_VALUE0 remoteSubNet;
  FWP_CONDITION_VALUE0 ipProtocol;
  FWP_CONDITION_VALUE0 localPort;
  FWP_CONDITION_VALUE0 remotePort;
} FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0;
