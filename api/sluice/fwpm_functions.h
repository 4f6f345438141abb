/* SPDX-License-Identifier: Apache-2.0
 * Management functions: sessions, transactions, and the objects of the policy. They ask the
 * daemon and wait for its answer, so no call belongs into classifyFn. The result is an NTSTATUS,
 * as in Windows' kernel-mode header. Any thread; calls on one session are taken one at a time.
 *
 * Every function that takes a session may also return
 * STATUS_INVALID_HANDLE       engineHandle is NULL, closed or foreign
 * STATUS_FWP_SESSION_ABORTED  the daemon went and the session could not be resumed; close it
 * STATUS_FWP_TXN_ABORTED      the open transaction was lost with the daemon's connection
 * STATUS_ACCESS_DENIED        the daemon does not let this user change policy
 * and every function that adds or deletes
 * STATUS_FWP_INCOMPATIBLE_TXN the open transaction is read-only
 * STATUS_FWP_TIMEOUT          another session holds the policy past the session's wait time
 * Without an open transaction an add or delete is a transaction of its own. On failure no output
 * is written, and an open transaction stays as it was. */
#pragma once

#include "fwp_status.h"
#include "fwpm_types.h"

/* Opens a session.
 *
 * serverName    NULL: the engine of this machine is the only one.
 * authnService  RPC_C_AUTHN_WINNT or RPC_C_AUTHN_DEFAULT; no effect, the peer's credentials count.
 * authIdentity  NULL.
 * session       optional, copied. FWPM_SESSION_FLAG_DYNAMIC: what the session adds is deleted when
 *               it ends. sessionKey: zero for a generated one.
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

/* Adds a sublayer. `sd` is NULL (access control per object does not exist; otherwise
 * STATUS_NOT_SUPPORTED).
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        subLayer is NULL
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       an unknown flag
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_NOT_SUPPORTED           persistent (not there yet), or sd given
 * Page: FwpmSubLayerAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerAdd0(HANDLE engineHandle, const FWPM_SUBLAYER0 *subLayer,
                                           PSECURITY_DESCRIPTOR sd);

/* Adds the management object of a callout for one layer; filters may name it from then on. Until
 * a process registers the callout its filters act as after unregistering.
 * id  out, optional: the run-time id.
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        callout is NULL
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       a flag that is not FWPM_CALLOUT_FLAG_*, or REGISTERED
 * STATUS_FWP_LAYER_NOT_FOUND     applicableLayer names none
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_NOT_SUPPORTED           persistent (not there yet), or sd given
 * Page: FwpmCalloutAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutAdd0(HANDLE engineHandle, const FWPM_CALLOUT0 *callout,
                                          PSECURITY_DESCRIPTOR sd, UINT32 *id);

/* Adds a filter. A callout that the action names is told first (FWPS_CALLOUT_NOTIFY_ADD_FILTER)
 * and may refuse. IPv4 addresses and ports in conditions are in host byte order, IPv6 addresses
 * in network order.
 * id  out, optional: the run-time id, as in FwpmFilterDeleteById0.
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        filter is NULL, or conditions are counted but absent, or a value
 *                                held by pointer is NULL
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       an unknown flag
 * STATUS_FWP_LAYER_NOT_FOUND, STATUS_FWP_SUBLAYER_NOT_FOUND, STATUS_FWP_PROVIDER_NOT_FOUND
 * STATUS_FWP_CALLOUT_NOT_FOUND   no management object has action.calloutKey
 * STATUS_FWP_INCOMPATIBLE_LAYER  that callout is for another layer
 * STATUS_FWP_INVALID_ACTION_TYPE the action is none of permit, block and the callout actions
 * STATUS_FWP_CONDITION_NOT_FOUND fieldKey is no field of the layer
 * STATUS_FWP_TYPE_MISMATCH       the value's type does not fit the field
 * STATUS_FWP_MATCH_TYPE_MISMATCH the comparison does not fit the type
 * STATUS_FWP_INVALID_ENUMERATOR  matchType or a data type is not one of its enumeration
 * STATUS_FWP_INVALID_RANGE       the low end is above the high end, or their types differ
 * STATUS_FWP_INVALID_NET_MASK    a mask with holes, a prefix above 128
 * STATUS_FWP_INVALID_WEIGHT      the weight is not FWP_EMPTY, FWP_UINT64, or FWP_UINT8 up to 15
 * STATUS_FWP_LIFETIME_MISMATCH   persistent or boot-time, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_FWP_CALLOUT_NOTIFICATION_FAILED  the callout refused, or did not answer in time
 * STATUS_NOT_SUPPORTED           persistent, boot-time or with provider context (not there yet),
 *                                a field that the data path does not read yet, or sd given
 * Page: FwpmFilterAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterAdd0(HANDLE engineHandle, const FWPM_FILTER0 *filter,
                                         PSECURITY_DESCRIPTOR sd, UINT64 *id);

/* Deletes a filter by run-time id; flows that it decided are authorised again on their next
 * packet.
 * STATUS_SUCCESS; STATUS_FWP_FILTER_NOT_FOUND. STATUS_FWP_WRONG_SESSION: it belongs to another
 * session, which is dynamic. Page: FwpmFilterDeleteById0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterDeleteById0(HANDLE engineHandle, UINT64 id);
