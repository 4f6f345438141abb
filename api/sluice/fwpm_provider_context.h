/* SPDX-License-Identifier: Apache-2.0
 * Provider contexts: data that a filter carries to its callout. The versions differ only in the
 * IPsec policies that their union may point to, which mean nothing here. */
#pragma once

#include "fwp_values.h"

typedef struct FWPM_CLASSIFY_OPTION0_ {
  FWP_CLASSIFY_OPTION_TYPE type;
  FWP_VALUE0 value;
} FWPM_CLASSIFY_OPTION0;

typedef struct FWPM_CLASSIFY_OPTIONS0_ {
  UINT32 numOptions;
  FWPM_CLASSIFY_OPTION0 *options;
} FWPM_CLASSIFY_OPTIONS0;

typedef struct FWPM_PROVIDER_CONTEXT0_ {
  GUID providerContextKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  FWPM_PROVIDER_CONTEXT_TYPE type;
  union {
    FWP_BYTE_BLOB *dataBuffer;               /* FWPM_GENERAL_CONTEXT */
    FWPM_CLASSIFY_OPTIONS0 *classifyOptions; /* FWPM_CLASSIFY_OPTIONS_CONTEXT */
    PVOID policy;                            /* the others */
  };
  UINT64 providerContextId;
} FWPM_PROVIDER_CONTEXT0;

typedef struct FWPM_PROVIDER_CONTEXT1_ {
  GUID providerContextKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  FWPM_PROVIDER_CONTEXT_TYPE type;
  union {
    FWP_BYTE_BLOB *dataBuffer;               /* FWPM_GENERAL_CONTEXT */
    FWPM_CLASSIFY_OPTIONS0 *classifyOptions; /* FWPM_CLASSIFY_OPTIONS_CONTEXT */
    PVOID policy;                            /* the others */
  };
  UINT64 providerContextId;
} FWPM_PROVIDER_CONTEXT1;

typedef struct FWPM_PROVIDER_CONTEXT2_ {
  GUID providerContextKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  FWPM_PROVIDER_CONTEXT_TYPE type;
  union {
    FWP_BYTE_BLOB *dataBuffer;               /* FWPM_GENERAL_CONTEXT */
    FWPM_CLASSIFY_OPTIONS0 *classifyOptions; /* FWPM_CLASSIFY_OPTIONS_CONTEXT */
    PVOID policy;                            /* the others */
  };
  UINT64 providerContextId;
} FWPM_PROVIDER_CONTEXT2;

typedef struct FWPM_PROVIDER_CONTEXT3_ {
  GUID providerContextKey;
  FWPM_DISPLAY_DATA0 displayData;
  UINT32 flags;
  GUID *providerKey;
  FWP_BYTE_BLOB providerData;
  FWPM_PROVIDER_CONTEXT_TYPE type;
  union {
    FWP_BYTE_BLOB *dataBuffer;               /* FWPM_GENERAL_CONTEXT */
    FWPM_CLASSIFY_OPTIONS0 *classifyOptions; /* FWPM_CLASSIFY_OPTIONS_CONTEXT */
    PVOID policy;                            /* the others */
  };
  UINT64 providerContextId;
} FWPM_PROVIDER_CONTEXT3;
