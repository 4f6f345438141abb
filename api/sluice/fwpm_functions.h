/* SPDX-License-Identifier: Apache-2.0
 * Management functions: memory, sessions, transactions, options and the state of the engine. The
 * objects of the policy have headers of their own (fwpm_provider.h, fwpm_sublayer.h, fwpm_callout.h,
 * fwpm_filter.h, fwpm_layer.h), as have changes and net events (fwpm_subscribe.h). What stands here
 * holds for all of them.
 *
 * They ask the daemon and wait for its answer, so no call belongs into classifyFn. The result is an
 * NTSTATUS, as in Windows' kernel-mode header. Any thread; calls on one session are taken one at a
 * time. STATUS_INSUFFICIENT_RESOURCES: out of memory.
 *
 * Every function that takes a session may also return
 * STATUS_INVALID_HANDLE  engineHandle is NULL, closed or foreign
 * and, where it asks the daemon (all but Enum, DestroyEnumHandle, Unsubscribe,
 * SubscriptionsGet, EngineClose and the layers'),
 * STATUS_FWP_SESSION_ABORTED  the daemon went and the session could not be resumed; close it
 * STATUS_FWP_TXN_ABORTED      the open transaction was lost with the daemon's connection
 * and every function that adds or deletes
 * STATUS_FWP_INCOMPATIBLE_TXN  the open transaction is read-only
 * STATUS_FWP_TIMEOUT           another session holds the policy past the session's wait time
 * STATUS_ACCESS_DENIED         the daemon does not let this user change policy
 * Without an open transaction an add or delete is a transaction of its own. On failure no output
 * is written, and an open transaction stays as it was.
 *
 * Enumerations. CreateEnumHandle takes a copy of what the template selects at that moment, inside an
 * open transaction with the transaction's own changes; pages are taken from the copy. The handle is
 * the caller's until DestroyEnumHandle, or until its session is closed. Enum gives the next
 * numEntriesRequested entries; fewer mean the end, and none leave *entries NULL. *entries is one
 * allocation: free the array, not its entries, with FwpmFreeMemory0. Order: by key, filters by layer,
 * then by weight as they are evaluated where the template says SORTED, else by run-time id.
 *
 * `sd` of an add is NULL: access control per object does not exist, otherwise STATUS_NOT_SUPPORTED. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"

/* Frees what a get, an enumeration or FwpmGetAppIdFromFileName0 returned and sets *p to NULL.
 * p  may be NULL or point to NULL: nothing happens. Any thread, also inside callbacks.
 * Page: FwpmFreeMemory0. */
SLUICE_API VOID NTAPI FwpmFreeMemory0(VOID **p);

/* Opens a session.
 *
 * serverName    NULL: the engine of this machine is the only one.
 * authnService  RPC_C_AUTHN_WINNT or RPC_C_AUTHN_DEFAULT; no effect, the peer's credentials count.
 * authIdentity  NULL.
 * session       optional, copied. FWPM_SESSION_FLAG_DYNAMIC: what the session adds is deleted when
 *               it ends. sessionKey: zero for a generated one. txnWaitTimeoutInMSec: how long a
 *               write waits for another session's transaction, 0 for 15 s, all ones without end.
 * engineHandle  out: owned by the caller until FwpmEngineClose0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER    engineHandle is NULL
 * STATUS_INVALID_PARAMETER   serverName or authIdentity is not NULL, unknown authnService
 * STATUS_FWP_INVALID_FLAGS   an unknown session flag
 * STATUS_FWP_ALREADY_EXISTS  sessionKey belongs to another live session
 * STATUS_CONNECTION_REFUSED  no daemon answers
 * STATUS_ACCESS_DENIED       the daemon refuses this user
 * Windows: a remote server can be named. Page: FwpmEngineOpen0. */
SLUICE_API NTSTATUS NTAPI FwpmEngineOpen0(const WCHAR *serverName, UINT32 authnService,
                                          SEC_WINNT_AUTH_IDENTITY_W *authIdentity,
                                          const FWPM_SESSION0 *session, HANDLE *engineHandle);

/* Closes the session: aborts its transaction, deletes its objects if it is dynamic. The handle is
 * void afterwards, also when the session was aborted before.
 * STATUS_SUCCESS; STATUS_INVALID_HANDLE. Page: FwpmEngineClose0. */
SLUICE_API NTSTATUS NTAPI FwpmEngineClose0(HANDLE engineHandle);

/* Begins a transaction; flags is 0 or FWPM_TXN_READ_ONLY. Waits for another session's write
 * transaction up to txnWaitTimeoutInMSec.
 * STATUS_SUCCESS; STATUS_FWP_INVALID_FLAGS; STATUS_FWP_TXN_IN_PROGRESS: this session has one;
 * STATUS_FWP_TIMEOUT. Page: FwpmTransactionBegin0. */
SLUICE_API NTSTATUS NTAPI FwpmTransactionBegin0(HANDLE engineHandle, UINT32 flags);

/* Publishes the transaction whole. It is over when this returns, whatever the result.
 * STATUS_SUCCESS; STATUS_FWP_NO_TXN_IN_PROGRESS; STATUS_FWP_TXN_ABORTED.
 * Page: FwpmTransactionCommit0. */
SLUICE_API NTSTATUS NTAPI FwpmTransactionCommit0(HANDLE engineHandle);

/* Drops the transaction.
 * STATUS_SUCCESS; STATUS_FWP_NO_TXN_IN_PROGRESS. Page: FwpmTransactionAbort0. */
SLUICE_API NTSTATUS NTAPI FwpmTransactionAbort0(HANDLE engineHandle);

/* Reads an option of the engine.
 * option  FWPM_ENGINE_COLLECT_NET_EVENTS (FWP_UINT32: 0 or 1) or
 *         FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC (FWP_UINT32; 0: none). The others steer what does
 *         not exist here.
 * value   out: free with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        value is NULL
 * STATUS_FWP_INVALID_ENUMERATOR  option is none of FWPM_ENGINE_OPTION
 * STATUS_NOT_SUPPORTED           NET_EVENT_MATCH_ANY_KEYWORDS, NAME_CACHE, MONITOR_IPSEC_CONNECTIONS,
 *                                PACKET_QUEUING
 * Page: FwpmEngineGetOption0. */
SLUICE_API NTSTATUS NTAPI FwpmEngineGetOption0(HANDLE engineHandle, FWPM_ENGINE_OPTION option,
                                               FWP_VALUE0 **value);

/* Changes an option of the engine, for every session and until the daemon ends.
 * option    as in FwpmEngineGetOption0; COLLECT_NET_EVENTS 0 ends the collection of net events for
 *           all, TXN_WATCHDOG_TIMEOUT_IN_MSEC is how long a write transaction may stay open.
 * newValue  FWP_UINT32, copied.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        newValue is NULL
 * STATUS_FWP_INVALID_ENUMERATOR  option is none of FWPM_ENGINE_OPTION
 * STATUS_FWP_TYPE_MISMATCH       newValue is not FWP_UINT32
 * STATUS_FWP_OUT_OF_BOUNDS       COLLECT_NET_EVENTS is to be neither 0 nor 1
 * STATUS_NOT_SUPPORTED           an option that FwpmEngineGetOption0 does not support either
 * STATUS_ACCESS_DENIED           the daemon does not let this user change policy
 * Windows: options outlive a restart. Page: FwpmEngineSetOption0. */
SLUICE_API NTSTATUS NTAPI FwpmEngineSetOption0(HANDLE engineHandle, FWPM_ENGINE_OPTION option,
                                               const FWP_VALUE0 *newValue);

/* Whether the engine runs: FWPM_SERVICE_RUNNING while the daemon answers this process, otherwise
 * FWPM_SERVICE_STOPPED. To hear of changes, subscribe first and ask then. Tries to reach the daemon
 * at most 5 s. Page: FwpmBfeStateGet0. */
SLUICE_API FWPM_SERVICE_STATE NTAPI FwpmBfeStateGet0(VOID);

/* Calls back whenever the state that FwpmBfeStateGet0 gives changes.
 * deviceObject  of the driver that subscribes (IoCreateDevice).
 * callback      runs on a thread of the library with no lock held, one call after the other.
 * context       handed to the callback, stays the caller's.
 * changeHandle  out: owned by the caller until FwpmBfeStateUnsubscribeChanges0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER   callback or changeHandle is NULL
 * STATUS_INVALID_PARAMETER  deviceObject is NULL or deleted
 * Page: FwpmBfeStateSubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI
FwpmBfeStateSubscribeChanges0(VOID *deviceObject, FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback,
                              VOID *context, HANDLE *changeHandle);

/* Ends the subscription. When it returns the callback does not run any more and will not again; when
 * called from the callback itself it does not wait for that call, which Windows does (a deadlock).
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  changeHandle names no subscription of this kind
 * Page: FwpmBfeStateUnsubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmBfeStateUnsubscribeChanges0(HANDLE changeHandle);

/* Starts an enumeration of the sessions that are open with the engine, in any process.
 * enumTemplate  optional, not read.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  enumHandle is NULL
 * Page: FwpmSessionCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmSessionCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_SESSION_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);

/* The next sessions. sid is S-1-22-1-uid, username the name of that user or its number, kernelMode
 * FALSE, processId the process' id as the daemon sees it.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of sessions of this session
 * Page: FwpmSessionEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmSessionEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                           UINT32 numEntriesRequested, FWPM_SESSION0 ***entries,
                                           UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of sessions of this session
 * Page: FwpmSessionDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmSessionDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
