/* SPDX-License-Identifier: Apache-2.0
 * Flow contexts: a number of its own that a callout attaches to a flow at a layer. It is handed to
 * classifyFn as flowContext, and to flowDeleteFn exactly once. On failure nothing has changed. */
#pragma once

#include "fwp_status.h"
#include "fwps_callout.h"

/* FwpsFlowAssociateContext0: attaches flowContext to (flow, layer, callout). It is in force for
 * every packet that the flow's layers see after this; inside a classify of that flow, from the
 * classify's own packet on: what is associated at ALE_FLOW_ESTABLISHED is handed to the first
 * datagram's classify at DATAGRAM_DATA. Calls nothing back.
 *
 * flowId       flowHandle of the metadata, in host byte order; unique over compartments.
 * layerId      FWPS_LAYER_* at which the context is wanted: ALE_AUTH_CONNECT, ALE_AUTH_RECV_ACCEPT,
 *              ALE_FLOW_ESTABLISHED, DATAGRAM_DATA, transport, stream or stream packet layers; need
 *              not be the layer of the running classify.
 * calloutId    run-time id of any callout of this process that has a flowDeleteFn.
 * flowContext  the callout's, not 0; the engine never follows it. If it points at memory, that is to
 *              be freed by flowDeleteFn.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_PARAMETER       flowContext is 0, the layer has no flows, or the callout was
 *                                registered without a flowDeleteFn
 * STATUS_OBJECT_NAME_EXISTS      the callout has a context there already; not an error by its sign
 * STATUS_FWP_CALLOUT_NOT_FOUND   no such callout in this process, or it is being unregistered
 * STATUS_NOT_FOUND               no such flow: it is over, or it is not among the last 65,536 flows
 *                                without context that callouts of this process were asked about
 * STATUS_INSUFFICIENT_RESOURCES  more than 64 callouts on the machine have a flowDeleteFn and this
 *                                one got no place, or out of memory
 * STATUS_FWP_TCPIP_NOT_READY     the way to the kernel is gone, or it did not answer for a second
 * Any thread, any callback. Outside of classifyFns of that flow it waits for the kernel, normally
 * for microseconds. A flow that ends meanwhile is a success, with flowDeleteFn told.
 * Windows: the same but for the last four; flows there have no such memory.
 * Page: FwpsFlowAssociateContext0. */
SLUICE_API NTSTATUS NTAPI FwpsFlowAssociateContext0(UINT64 flowId, UINT16 layerId, UINT32 calloutId,
                                                    UINT64 flowContext);

/* FwpsFlowRemoveContext0: takes a context back. Never waits for a classify that runs.
 *
 * flowId, layerId, calloutId  as it was associated.
 *
 * STATUS_SUCCESS       flowDeleteFn has run inside this call
 * STATUS_PENDING       a classify of this callout runs on this flow, perhaps the caller's own;
 *                      flowDeleteFn follows it, in its thread. Later classifies find no context
 * STATUS_UNSUCCESSFUL  there is no such context
 * Any thread, any callback. Windows: the same. Page: FwpsFlowRemoveContext0. */
SLUICE_API NTSTATUS NTAPI FwpsFlowRemoveContext0(UINT64 flowId, UINT16 layerId, UINT32 calloutId);

/* FwpsFlowAbort0: ends a flow, held ones too: its TCP connection is cut on both sides, what waits of
 * it is dropped, and flowDeleteFn runs for each of its contexts, in this thread before the call
 * returns or, where a classify of the callout runs on the flow, after that.
 *
 * flowId  as above; also a flow that has no contexts.
 *
 * STATUS_SUCCESS
 * STATUS_NOT_FOUND            no such flow, or it is over
 * STATUS_FWP_TCPIP_NOT_READY  sluiced is not there
 * Any thread, any callback; waits for sluiced. Windows: returns at once. Page: FwpsFlowAbort0. */
SLUICE_API NTSTATUS NTAPI FwpsFlowAbort0(UINT64 flowId);
