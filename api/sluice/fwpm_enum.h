/* SPDX-License-Identifier: Apache-2.0
 * Templates that limit an enumeration or a subscription, what a change reports, and the callbacks
 * that hear of changes. */
#pragma once

#include "fwpm_types.h"

/* `reserved` of a template is not read: every object is meant. */
typedef struct FWPM_PROVIDER_ENUM_TEMPLATE0_ {
  UINT64 reserved;
} FWPM_PROVIDER_ENUM_TEMPLATE0;

typedef struct FWPM_LAYER_ENUM_TEMPLATE0_ {
  UINT64 reserved;
} FWPM_LAYER_ENUM_TEMPLATE0;

typedef struct FWPM_SESSION_ENUM_TEMPLATE0_ {
  UINT64 reserved;
} FWPM_SESSION_ENUM_TEMPLATE0;

typedef struct FWPM_SUBLAYER_ENUM_TEMPLATE0_ {
  GUID *providerKey; /* NULL: any */
} FWPM_SUBLAYER_ENUM_TEMPLATE0;

typedef struct FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0_ {
  GUID *providerKey; /* NULL: any */
  FWPM_PROVIDER_CONTEXT_TYPE providerContextType;
} FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0;

typedef struct FWPM_CALLOUT_ENUM_TEMPLATE0_ {
  GUID *providerKey; /* NULL: any */
  GUID layerKey;     /* zero: any */
} FWPM_CALLOUT_ENUM_TEMPLATE0;

typedef struct FWPM_FILTER_ENUM_TEMPLATE0_ {
  GUID *providerKey; /* NULL: any */
  GUID layerKey;     /* zero: any, which Windows does not allow */
  FWP_FILTER_ENUM_TYPE enumType;
  UINT32 flags; /* FWP_FILTER_ENUM_FLAG_* */
  FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *providerContextTemplate;
  UINT32 numFilterConditions;
  FWPM_FILTER_CONDITION0 *filterCondition;
  UINT32 actionMask; /* zero or all ones: any action */
  GUID *calloutKey;  /* NULL: any */
} FWPM_FILTER_ENUM_TEMPLATE0;

/* What happened to which object. */
typedef struct FWPM_PROVIDER_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID providerKey;
} FWPM_PROVIDER_CHANGE0;

typedef struct FWPM_PROVIDER_CONTEXT_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID providerContextKey;
  UINT64 providerContextId;
} FWPM_PROVIDER_CONTEXT_CHANGE0;

typedef struct FWPM_SUBLAYER_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID subLayerKey;
} FWPM_SUBLAYER_CHANGE0;

typedef struct FWPM_CALLOUT_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID calloutKey;
  UINT32 calloutId;
} FWPM_CALLOUT_CHANGE0;

typedef struct FWPM_FILTER_CHANGE0_ {
  FWPM_CHANGE_TYPE changeType;
  GUID filterKey;
  UINT64 filterId;
} FWPM_FILTER_CHANGE0;

/* What a subscriber wants to hear of. flags: FWPM_SUBSCRIPTION_FLAG_*; without one nothing is
 * reported. sessionKey is filled where subscriptions are listed and ignored on input. */
typedef struct FWPM_PROVIDER_SUBSCRIPTION0_ {
  FWPM_PROVIDER_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;
  GUID sessionKey;
} FWPM_PROVIDER_SUBSCRIPTION0;

typedef struct FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0_ {
  FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;
  GUID sessionKey;
} FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0;

typedef struct FWPM_SUBLAYER_SUBSCRIPTION0_ {
  FWPM_SUBLAYER_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;
  GUID sessionKey;
} FWPM_SUBLAYER_SUBSCRIPTION0;

typedef struct FWPM_CALLOUT_SUBSCRIPTION0_ {
  FWPM_CALLOUT_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;
  GUID sessionKey;
} FWPM_CALLOUT_SUBSCRIPTION0;

typedef struct FWPM_FILTER_SUBSCRIPTION0_ {
  FWPM_FILTER_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;
  GUID sessionKey;
} FWPM_FILTER_SUBSCRIPTION0;

/* Callbacks run on a thread of the library with no lock held; calls for one subscription come one
 * after the other and in order. `change` is valid until the callback returns. */
typedef VOID(NTAPI *FWPM_PROVIDER_CHANGE_CALLBACK0)(VOID *context,
                                                    const FWPM_PROVIDER_CHANGE0 *change);
typedef VOID(NTAPI *FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0)(
    VOID *context, const FWPM_PROVIDER_CONTEXT_CHANGE0 *change);
typedef VOID(NTAPI *FWPM_SUBLAYER_CHANGE_CALLBACK0)(VOID *context,
                                                    const FWPM_SUBLAYER_CHANGE0 *change);
typedef VOID(NTAPI *FWPM_CALLOUT_CHANGE_CALLBACK0)(VOID *context,
                                                   const FWPM_CALLOUT_CHANGE0 *change);
typedef VOID(NTAPI *FWPM_FILTER_CHANGE_CALLBACK0)(VOID *context, const FWPM_FILTER_CHANGE0 *change);
typedef VOID(NTAPI *FWPM_SERVICE_STATE_CHANGE_CALLBACK0)(VOID *context,
                                                         FWPM_SERVICE_STATE newState);

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
