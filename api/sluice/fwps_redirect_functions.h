/* SPDX-License-Identifier: Apache-2.0
 * Redirection: handles in whose name a callout redirects, classifies that are kept and pended, the
 * request that may be changed, and what was made of a connection before. On failure no output is
 * written and nothing has changed.
 *
 * A redirection counts with a permit only: an answer of continue, or of an inspection filter, leaves
 * the connection as it was. The kernel refuses what it cannot carry out, and blocks: no handle for a
 * local target, one that is destroyed or another host's, a second local target in one evaluation, an
 * address without a way, a local address that is not this machine's. On Windows a block at these
 * layers lets the connection go on unchanged; here it blocks.
 *
 * At ALE_BIND_REDIRECT the request is a FWPS_BIND_REQUEST0. Differences from Windows: bind() has
 * returned as the callout is asked, and it is the socket's traffic that waits; what is chosen is
 * carried out by rewriting its packets, and getsockname() shows it once it is permitted. A loopback
 * address stays, nothing else becomes one, and traffic within the machine keeps the old end. */
#pragma once

#include "fwp_status.h"
#include "fwps_callout.h"
#include "fwps_redirect.h"

/* FwpsRedirectHandleCreate0: makes a handle that stands for the caller's provider in redirections to
 * local processes. Made once and used for any number of connections.
 *
 * providerGuid    copied; the provider need not have been added.
 * flags           0.
 * redirectHandle  out: a number that this process never uses again; ended by
 *                 FwpsRedirectHandleDestroy0 or with the process. Connections that are redirected
 *                 stay so.
 *
 * STATUS_SUCCESS            also while the engine is not there; it is told when it is, and after each
 *                           of its restarts
 * STATUS_INVALID_PARAMETER  providerGuid or redirectHandle is NULL, or flags is not 0
 * STATUS_ACCESS_DENIED      the daemon does not let this user redirect
 * Any thread; waits for the engine, so best at the driver's start.
 * Windows: PASSIVE_LEVEL only. Page: FwpsRedirectHandleCreate0. */
SLUICE_API NTSTATUS NTAPI FwpsRedirectHandleCreate0(const GUID *providerGuid, UINT32 flags,
                                                    HANDLE *redirectHandle);

/* FwpsRedirectHandleDestroy0: ends a handle. New redirections that name it are refused; connections
 * that were redirected by it go on.
 *
 * redirectHandle  from FwpsRedirectHandleCreate0; NULL, used up or another process's: no effect.
 * Any thread; waits for the engine. Page: FwpsRedirectHandleDestroy0. */
SLUICE_API VOID NTAPI FwpsRedirectHandleDestroy0(HANDLE redirectHandle);

/* FwpsAcquireClassifyHandle0: a handle of the classify that runs, which outlives it.
 *
 * classifyContext  that classifyFn was given (callouts of version 1 and later), at any layer.
 * flags            0.
 * classifyHandle   out: the same number for each call of one classify. Each success is balanced by
 *                  one FwpsReleaseClassifyHandle0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER   classifyContext or classifyHandle is NULL
 * STATUS_FWP_INVALID_FLAGS  flags is not 0
 * STATUS_INVALID_PARAMETER  classifyContext is not of a classify that runs in this thread
 * Thread: the one that runs classifyFn. Page: FwpsAcquireClassifyHandle0. */
SLUICE_API NTSTATUS NTAPI FwpsAcquireClassifyHandle0(VOID *classifyContext, UINT32 flags,
                                                     UINT64 *classifyHandle);

/* FwpsReleaseClassifyHandle0: drops one reference. With the last one what the classify handed out is
 * gone: the writable copy, its history, the redirect records. One that is not held: no effect,
 * counted. Any thread. Page: FwpsReleaseClassifyHandle0. */
SLUICE_API VOID NTAPI FwpsReleaseClassifyHandle0(UINT64 classifyHandle);

/* FwpsPendClassify0: suspends the connection that the classify is about, until
 * FwpsCompleteClassify0. It takes a reference of its own on the handle.
 *
 * classifyHandle  from FwpsAcquireClassifyHandle0.
 * filterId        of the filter that classifyFn was given.
 * flags           0.
 * classifyOut     of the classify: it is set to block, without FWPS_RIGHT_ACTION_WRITE, which is what
 *                 classifyFn is to return. Keep a copy of what it was for FwpsCompleteClassify0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        classifyOut is NULL
 * STATUS_FWP_INVALID_FLAGS       flags is not 0
 * STATUS_INVALID_HANDLE          no such classify handle
 * STATUS_FWP_FILTER_NOT_FOUND    filterId is not the classify's
 * STATUS_FWP_CANNOT_PEND         not at a redirect layer; the classify re-authorises; it came
 *                                without FWPS_RIGHT_ACTION_WRITE; it has returned; it is pended already
 * STATUS_FWP_TCPIP_NOT_READY     the way to the kernel is gone, or the question is over
 * STATUS_INSUFFICIENT_RESOURCES  too many connections are held
 * Thread: the one that runs classifyFn.
 * Windows: ALE_ENDPOINT_CLOSURE can be pended too; here it is told without being waited for. The
 * system call returns here, and the first packet is held. Page: FwpsPendClassify0. */
SLUICE_API NTSTATUS NTAPI FwpsPendClassify0(UINT64 classifyHandle, UINT64 filterId, UINT32 flags,
                                            FWPS_CLASSIFY_OUT0 *classifyOut);

/* FwpsCompleteClassify0: ends a suspension, once, and drops the reference that it took.
 *
 * classifyHandle  that was pended. One that is not (any more): no effect, counted
 *                 (stale_completions). The same if the flow or the time of the hold ended before.
 * flags           0; not read.
 * classifyOut     the final decision of the callout: the action, and whether the right is left. With a
 *                 permit what was applied takes effect; a writable copy that was acquired and not
 *                 applied blocks. NULL: classifyFn runs again in the calling thread, before this
 *                 returns, with FWP_CONDITION_FLAG_IS_REAUTHORIZE, and its answer is the decision.
 * Any thread, also before the classifyFn that pended has returned. Page: FwpsCompleteClassify0. */
SLUICE_API VOID NTAPI FwpsCompleteClassify0(UINT64 classifyHandle, UINT32 flags,
                                            const FWPS_CLASSIFY_OUT0 *classifyOut);

/* FwpsAcquireWritableLayerDataPointer0: a copy of the request that may be changed. Each
 * success is followed by one FwpsApplyModifiedLayerData0, also if nothing was changed; where none
 * came before the classify is decided, the connection is blocked and that is counted
 * (layer_data_unapplied).
 *
 * classifyHandle     from FwpsAcquireClassifyHandle0.
 * filterId           of the filter that classifyFn was given.
 * flags              0.
 * writableLayerData  out: a FWPS_CONNECT_REQUEST0, at ALE_BIND_REDIRECT a FWPS_BIND_REQUEST0, the
 *                    engine's; valid until it is applied. Its
 *                    previousVersion is what classifyFn was shown; that one's and older ones'
 *                    modifierFilterId say which filter made them, 0: the application. A
 *                    localRedirectHandle of another host is shown as one that no function takes.
 * classifyOut        optional: it is set to block, without FWPS_RIGHT_ACTION_WRITE. Restore permit and
 *                    the right once the copy is applied.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        writableLayerData is NULL
 * STATUS_FWP_INVALID_FLAGS       flags is not 0
 * STATUS_INVALID_HANDLE          no such classify handle
 * STATUS_FWP_FILTER_NOT_FOUND    filterId is not the classify's
 * STATUS_FWP_INCOMPATIBLE_LAYER  the layer is neither ALE_CONNECT_REDIRECT nor ALE_BIND_REDIRECT
 * STATUS_ACCESS_DENIED           the classify came without FWPS_RIGHT_ACTION_WRITE: it may only veto
 * STATUS_FWP_IN_USE              a copy is handed out and not applied
 * STATUS_FWP_TCPIP_NOT_READY     the classify has returned and is not pended, or the question is over
 * Any thread, inside classifyFn or while pended.
 * Page: FwpsAcquireWritableLayerDataPointer0. */
SLUICE_API NTSTATUS NTAPI FwpsAcquireWritableLayerDataPointer0(UINT64 classifyHandle,
                                                               UINT64 filterId, UINT32 flags,
                                                               PVOID *writableLayerData,
                                                               FWPS_CLASSIFY_OUT0 *classifyOut);

/* FwpsApplyModifiedLayerData0: the copy becomes the request's new version, once the callout permits.
 * What is applied later in the same classify replaces it.
 *
 * classifyHandle     as it was acquired with.
 * modifiedLayerData  the copy. Read: remoteAddressAndPort, localRedirectTargetPID,
 *                    localRedirectHandle, localRedirectContext and its size; of a bind
 *                    localAddressAndPort (port 0: as it is). Another pointer: no
 *                    effect, counted (stale_applies).
 * flags              0 or FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS.
 *
 * localRedirectContext becomes the engine's in any case. It comes from ExAllocatePoolWithTag or
 * ExAllocatePoolZero (malloc) and is freed as ExFreePool does (free): some 30 seconds after the
 * redirected connection has ended, or at once if no redirection came of it.
 *
 * Refused, so that the connection is blocked and counted (redirects_refused): another family, also an
 * IPv4 address in an IPv6 one; of a connect another localAddressAndPort (Windows' pages forbid it
 * too); a context of more than SLUICE_REDIRECT_CONTEXT_MAX (4096) bytes, or a size without one; other
 * flags.
 * portReservationToken is not read.
 * Any thread, inside classifyFn or while pended.
 * Windows: has no bound on the context. Page: FwpsApplyModifiedLayerData0. */
SLUICE_API VOID NTAPI FwpsApplyModifiedLayerData0(UINT64 classifyHandle, PVOID modifiedLayerData,
                                                  UINT32 flags);

/* FwpsQueryConnectionRedirectState0: what the redirect handle has to do with the redirections that a
 * connection has behind it. They are known by the records that a proxy set on its socket before it
 * connected; providers are compared, so that a restarted host knows its own.
 *
 * redirectRecords  redirectRecords of the metadata, where its bit is set; NULL or unknown:
 *                  FWPS_CONNECTION_NOT_REDIRECTED.
 * redirectHandle   the caller's; one that is not there has nothing to do with any.
 * redirectContext  out, optional: in the two self states the context that was applied then, if this
 *                  process still has it, else NULL. The engine's: valid until classifyFn returns, or
 *                  as long as the classify handle is held.
 *
 * FWPS_CONNECTION_NOT_REDIRECTED                 no records
 * FWPS_CONNECTION_REDIRECTED_BY_SELF             its provider made the last redirection
 * FWPS_CONNECTION_REDIRECTED_BY_OTHER            others did
 * FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF  its provider made one, others followed
 * Any thread, while the records are valid. Page: FwpsQueryConnectionRedirectState0. */
SLUICE_API FWPS_CONNECTION_REDIRECT_STATE NTAPI
FwpsQueryConnectionRedirectState0(HANDLE redirectRecords, HANDLE redirectHandle,
                                  VOID **redirectContext);

/* FwpsQueryConnectionSioFormatRedirectRecords0: the records that the connection carries, as
 * SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS takes them. The redirection that is being decided is not in
 * them yet.
 *
 * RedirectRecords     as above.
 * OutputBuffer        out; may be NULL to ask for the size.
 * OutputBufferLength  bytes.
 * BytesTransferred    out, optional: bytes that were copied; with STATUS_BUFFER_TOO_SMALL those needed.
 *
 * STATUS_SUCCESS
 * STATUS_BUFFER_TOO_SMALL  OutputBuffer is NULL, or too small
 * STATUS_NOT_FOUND         RedirectRecords is NULL
 * STATUS_INVALID_HANDLE    the records are not valid any more, or never were
 * Any thread. Page: FwpsQueryConnectionSioFormatRedirectRecords0. */
SLUICE_API NTSTATUS NTAPI FwpsQueryConnectionSioFormatRedirectRecords0(HANDLE RedirectRecords,
                                                                       PVOID OutputBuffer,
                                                                       SIZE_T OutputBufferLength,
                                                                       PSIZE_T BytesTransferred);
