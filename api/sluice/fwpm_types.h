/* SPDX-License-Identifier: Apache-2.0
 * Management objects: what a session adds to the engine. Strings are UTF-16 and end in zero. All
 * input is copied; members marked "filled" are ignored on input. A key of all zeros asks for a
 * generated one. */
#pragma once

#include "fwp_values.h"

typedef PVOID PSECURITY_DESCRIPTOR;
typedef struct _SEC_WINNT_AUTH_IDENTITY_W SEC_WINNT_AUTH_IDENTITY_W;

#define RPC_C_AUTHN_WINNT 10
#define RPC_C_AUTHN_DEFAULT ((UINT32)0xFFFFFFFFu)

typedef struct FWPM_SESSION0_ {
  GUID sessionKey;
  FWPM_DISPLAY_DATA0 displayData; /* optional here */
  UINT32 flags;                   /* FWPM_SESSION_FLAG_* */
  UINT32 txnWaitTimeoutInMSec;    /* 0: 15 s; all ones: no limit */
  DWORD processId;                /* filled */
  SID *sid;                       /* filled */
  LPWSTR username;                /* filled */
  BOOL kernelMode;                /* filled */
} FWPM_SESSION0;

typedef struct FWPM_PROVIDER0_ {
  GUID providerKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  FWP_BYTE_BLOB providerData;
  LPWSTR serviceName;
} FWPM_PROVIDER0;

typedef struct FWPM_SUBLAYER0_ {
  GUID subLayerKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  UINT16 weight; /* the higher is evaluated first */
} FWPM_SUBLAYER0;

typedef struct FWPM_CALLOUT0_ {
  GUID calloutKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  GUID applicableLayer; /* FWPM_LAYER_* */
  UINT32 calloutId;     /* filled */
} FWPM_CALLOUT0;

typedef struct FWPM_ACTION0_ {
  FWP_ACTION_TYPE type;
  union {
    GUID filterType;
    GUID calloutKey; /* for the callout actions */
  };
} FWPM_ACTION0;

typedef struct FWPM_FILTER_CONDITION0_ {
  GUID fieldKey; /* FWPM_CONDITION_* */
  FWP_MATCH_TYPE matchType;
  FWP_CONDITION_VALUE0 conditionValue;
} FWPM_FILTER_CONDITION0;

/* Conditions on different fields must all hold; of several on one field, one must. */
typedef struct FWPM_FILTER0_ {
  GUID filterKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  GUID layerKey;
  GUID subLayerKey;  /* zero: FWPM_SUBLAYER_UNIVERSAL */
  FWP_VALUE0 weight; /* FWP_UINT64 exact, FWP_UINT8 a range from 0 to 15, FWP_EMPTY automatic */
  UINT32 numFilterConditions;
  FWPM_FILTER_CONDITION0 *filterCondition;
  FWPM_ACTION0 action;
  union {
    UINT64 rawContext; /* handed to the callout as filter->context */
    GUID providerContextKey;
  };
  GUID *reserved;
  UINT64 filterId;            /* filled */
  FWP_VALUE0 effectiveWeight; /* filled */
} FWPM_FILTER0;

typedef struct FWPM_FIELD0_ {
  GUID *fieldKey;
  FWPM_FIELD_TYPE type;
  FWP_DATA_TYPE dataType;
} FWPM_FIELD0;

typedef struct FWPM_LAYER0_ {
  GUID layerKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  UINT32 numFields;
  FWPM_FIELD0 *field;
  GUID defaultSubLayerKey;
  UINT16 layerId;
} FWPM_LAYER0;
