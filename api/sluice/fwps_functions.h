/* SPDX-License-Identifier: Apache-2.0
 * Run-time functions: what a plugin calls to register callouts and to suspend what they are
 * asked about. On failure no output is written and nothing has changed. */
#pragma once

#include "fwp_status.h"
#include "fwps_callout.h"

/* FwpsCalloutRegister0 to 3: makes the callbacks known under the callout's GUID.
 *
 * deviceObject  a live device of this plugin, from IoCreateDevice.
 * callout       copied; the functions must stay loaded until the callout is unregistered.
 * calloutId     out, optional: the run-time id, never 0, the same that FwpmCalloutAdd0 yields and
 *               that stands in filter->action.calloutId.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_PARAMETER      deviceObject is NULL or was deleted
 * STATUS_FWP_NULL_POINTER       callout, its classifyFn or its notifyFn is NULL
 * STATUS_FWP_INVALID_FLAGS      a flag that is neither FWP_CALLOUT_FLAG_* nor SLUICE_CALLOUT_FLAG_*
 * STATUS_FWP_ALREADY_EXISTS     the key is registered
 * STATUS_INSUFFICIENT_RESOURCES out of memory
 * May come before the engine runs, and before or after the management object and its filters
 * exist; filters that exist already are not announced to notifyFn. classifyFn may run before this
 * returns. Any thread, not inside classifyFn (it may wait for the engine).
 * Windows: the key is unique on the machine, here in the process and, once the engine is
 * connected, on the machine. Page: FwpsCalloutRegister0, and its kin. */
SLUICE_API NTSTATUS NTAPI FwpsCalloutRegister0(VOID *deviceObject, const FWPS_CALLOUT0 *callout,
                                               UINT32 *calloutId);
SLUICE_API NTSTATUS NTAPI FwpsCalloutRegister1(VOID *deviceObject, const FWPS_CALLOUT1 *callout,
                                               UINT32 *calloutId);
SLUICE_API NTSTATUS NTAPI FwpsCalloutRegister2(VOID *deviceObject, const FWPS_CALLOUT2 *callout,
                                               UINT32 *calloutId);
SLUICE_API NTSTATUS NTAPI FwpsCalloutRegister3(VOID *deviceObject, const FWPS_CALLOUT3 *callout,
                                               UINT32 *calloutId);

/* Takes a callout back by run-time id or by key. Waits for callbacks that are running in other
 * threads; once it has succeeded none follows. Filters that name the callout stay: terminating
 * and unknown ones then block, or permit where they carry
 * FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED, inspection ones are passed over. What the
 * callout holds ends by the same rule, and its completion contexts become void.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_CALLOUT_NOT_FOUND  no such callout in this process; an id of 0; a NULL key is
 *                               STATUS_FWP_NULL_POINTER
 * STATUS_FWP_NULL_POINTER       ByKey0 only: calloutKey is NULL
 * STATUS_FWP_IN_USE             called from one of the callout's own callbacks, or while another
 *                               thread unregisters it
 * STATUS_DEVICE_BUSY            flow contexts are outstanding, or a flowDeleteFn of the callout runs;
 *                               remove them and call again
 * Any thread. Windows: the same. Pages: FwpsCalloutUnregisterById0, FwpsCalloutUnregisterByKey0. */
SLUICE_API NTSTATUS NTAPI FwpsCalloutUnregisterById0(const UINT32 calloutId);
SLUICE_API NTSTATUS NTAPI FwpsCalloutUnregisterByKey0(const GUID *calloutKey);

/* Suspends the operation that the running classify is about. classifyFn then returns
 * FWP_ACTION_BLOCK with FWPS_CLASSIFY_OUT_FLAG_ABSORB and clears FWPS_RIGHT_ACTION_WRITE; should
 * it return something else the hold stands all the same, and the mismatch is counted.
 *
 * completionHandle   inMetaValues->completionHandle, there at RESOURCE_ASSIGNMENT, AUTH_LISTEN,
 *                    AUTH_CONNECT and AUTH_RECV_ACCEPT, NULL elsewhere; may be used when the bit
 *                    FWPS_METADATA_FIELD_COMPLETION_HANDLE is set, and only during the classify.
 * completionContext  out: owned by the caller until it hands it to FwpsCompleteOperation0, once.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER     completionHandle is NULL or unknown, or completionContext is NULL
 * STATUS_FWP_CANNOT_PEND      this classify re-authorises, or the layer cannot pend, or it is
 *                             pended already
 * STATUS_FWP_TCPIP_NOT_READY  the way to the kernel is gone, or the question is over: the watchdog
 *                             answered it meanwhile, or the flow or socket ended
 * Thread: the one that runs classifyFn.
 * Windows: the system call waits in the kernel. Here connect() and sendto() go on, and what they
 * send is held: an application sees a connect that takes longer. Page: FwpsPendOperation0. */
SLUICE_API NTSTATUS NTAPI FwpsPendOperation0(HANDLE completionHandle, HANDLE *completionContext);

/* Ends a suspension and consumes completionContext. At AUTH_CONNECT, RESOURCE_ASSIGNMENT and
 * AUTH_LISTEN the callout's classifyFn runs again in the calling thread, before this returns, with
 * FWP_CONDITION_FLAG_IS_REAUTHORIZE set, and gives the verdict; the kernel applies it after that. At
 * AUTH_RECV_ACCEPT nobody is asked: the callout injects the clone that it made, with
 * FwpsInjectTransportReceiveAsync0, and permits it when it comes to that layer again; if it does not
 * within ten seconds the flow is forgotten. A callout with SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA is
 * asked again there too, and the engine keeps the packet. May be called from any thread, also
 * before the classify that pended has returned, and from callbacks.
 *
 * completionContext  from FwpsPendOperation0. NULL, another process's, used up or outlived by its
 *                    callout: no effect, counted (stale_completions, told at the process's end
 *                    with SLUICE_LOG=debug).
 *                    The same if the flow, the socket or the hold's time ended before.
 * netBufferList      NULL, except at AUTH_RECV_ACCEPT: the clone that the callout injects. Stays the
 *                    caller's, to be injected or freed.
 *
 * Windows: packet data that was pended is flushed, and so it is here unless the callout carries
 * SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA. Page: FwpsCompleteOperation0. */
SLUICE_API VOID NTAPI FwpsCompleteOperation0(HANDLE completionContext,
                                             PNET_BUFFER_LIST netBufferList);
