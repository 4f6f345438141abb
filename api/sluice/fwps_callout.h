/* SPDX-License-Identifier: Apache-2.0
 * The callbacks of a callout and the structure that registers them, in the four versions that
 * exist side by side. Version 0 has no classifyContext; the others differ in the filter's type.
 *
 * Threads: the engine may call classifyFn from several threads at once, also while another call
 * for the same callout runs, and holds no lock of its own during any callback. */
#pragma once

#include "fwps_types.h"

/* Our own callout flag. Set: the engine keeps the packets of what this callout pended, and what
 * queued up behind them, and sends them in order once the operation completes with a permit.
 * Not set, as in a driver written for Windows: they are flushed at completion, and the callout
 * injects a clone of its own where one is to leave. */
#define SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA 0x80000000u

/* Told once per flow context that was attached, when its flow ends or it is removed. */
typedef VOID(NTAPI *FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0)(UINT16 layerId, UINT32 calloutId,
                                                         UINT64 flowContext);

/* Decides. layerData may be NULL, at TCP connect it always is. */
typedef VOID(NTAPI *FWPS_CALLOUT_CLASSIFY_FN0)(
    const FWPS_INCOMING_VALUES0 *inFixedValues, const FWPS_INCOMING_METADATA_VALUES0 *inMetaValues,
    VOID *layerData, const FWPS_FILTER0 *filter, UINT64 flowContext,
    FWPS_CLASSIFY_OUT0 *classifyOut);
/* A filter that names the callout is added or deleted; a failure of ADD refuses the filter, one of
 * DELETE is ignored. At DELETE filterKey is NULL. Unknown types are answered with success. A callout
 * with FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY hears ADD_FILTER_POST_COMMIT too, once the filter is
 * in force; its status is ignored. filter->providerContext is a copy of the filter's provider context
 * if the callout's management object has FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT, else NULL. */
typedef NTSTATUS(NTAPI *FWPS_CALLOUT_NOTIFY_FN0)(FWPS_CALLOUT_NOTIFY_TYPE notifyType,
                                                 const GUID *filterKey, const FWPS_FILTER0 *filter);
typedef struct FWPS_CALLOUT0_ {
  GUID calloutKey;
  UINT32 flags; /* FWP_CALLOUT_FLAG_*, SLUICE_CALLOUT_FLAG_* */
  FWPS_CALLOUT_CLASSIFY_FN0 classifyFn;
  FWPS_CALLOUT_NOTIFY_FN0 notifyFn;
  FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flowDeleteFn; /* NULL without flow contexts */
} FWPS_CALLOUT0;

typedef VOID(NTAPI *FWPS_CALLOUT_CLASSIFY_FN1)(
    const FWPS_INCOMING_VALUES0 *inFixedValues, const FWPS_INCOMING_METADATA_VALUES0 *inMetaValues,
    VOID *layerData, const void *classifyContext, const FWPS_FILTER1 *filter, UINT64 flowContext,
    FWPS_CLASSIFY_OUT0 *classifyOut);
typedef NTSTATUS(NTAPI *FWPS_CALLOUT_NOTIFY_FN1)(FWPS_CALLOUT_NOTIFY_TYPE notifyType,
                                                 const GUID *filterKey, FWPS_FILTER1 *filter);
typedef struct FWPS_CALLOUT1_ {
  GUID calloutKey;
  UINT32 flags; /* FWP_CALLOUT_FLAG_*, SLUICE_CALLOUT_FLAG_* */
  FWPS_CALLOUT_CLASSIFY_FN1 classifyFn;
  FWPS_CALLOUT_NOTIFY_FN1 notifyFn;
  FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flowDeleteFn; /* NULL without flow contexts */
} FWPS_CALLOUT1;

typedef VOID(NTAPI *FWPS_CALLOUT_CLASSIFY_FN2)(
    const FWPS_INCOMING_VALUES0 *inFixedValues, const FWPS_INCOMING_METADATA_VALUES0 *inMetaValues,
    VOID *layerData, const void *classifyContext, const FWPS_FILTER2 *filter, UINT64 flowContext,
    FWPS_CLASSIFY_OUT0 *classifyOut);
typedef NTSTATUS(NTAPI *FWPS_CALLOUT_NOTIFY_FN2)(FWPS_CALLOUT_NOTIFY_TYPE notifyType,
                                                 const GUID *filterKey, FWPS_FILTER2 *filter);
typedef struct FWPS_CALLOUT2_ {
  GUID calloutKey;
  UINT32 flags; /* FWP_CALLOUT_FLAG_*, SLUICE_CALLOUT_FLAG_* */
  FWPS_CALLOUT_CLASSIFY_FN2 classifyFn;
  FWPS_CALLOUT_NOTIFY_FN2 notifyFn;
  FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flowDeleteFn; /* NULL without flow contexts */
} FWPS_CALLOUT2;

typedef VOID(NTAPI *FWPS_CALLOUT_CLASSIFY_FN3)(
    const FWPS_INCOMING_VALUES0 *inFixedValues, const FWPS_INCOMING_METADATA_VALUES0 *inMetaValues,
    VOID *layerData, const void *classifyContext, const FWPS_FILTER3 *filter, UINT64 flowContext,
    FWPS_CLASSIFY_OUT0 *classifyOut);
typedef NTSTATUS(NTAPI *FWPS_CALLOUT_NOTIFY_FN3)(FWPS_CALLOUT_NOTIFY_TYPE notifyType,
                                                 const GUID *filterKey, FWPS_FILTER3 *filter);
typedef struct FWPS_CALLOUT3_ {
  GUID calloutKey;
  UINT32 flags; /* FWP_CALLOUT_FLAG_*, SLUICE_CALLOUT_FLAG_* */
  FWPS_CALLOUT_CLASSIFY_FN3 classifyFn;
  FWPS_CALLOUT_NOTIFY_FN3 notifyFn;
  FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flowDeleteFn; /* NULL without flow contexts */
} FWPS_CALLOUT3;
