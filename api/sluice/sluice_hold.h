/* SPDX-License-Identifier: Apache-2.0
 * Our own: how long an operation may be held, and what becomes of it then. Windows has neither; a
 * filter without these options behaves as there, but for a host's and the daemon's defaults. */
#pragma once

#include "detail/base.h"
#include "fwp_status.h"

/* What becomes of an operation whose callout does not decide it: its deadline has passed, its
 * classifyFn did not return in time, or a quota of what may wait is full. */
typedef enum SLUICE_HOLD_OUTCOME_ {
  SLUICE_HOLD_OUTCOME_DEFAULT = 0, /* of a filter: its host's; of a host: the daemon's; of the daemon:
                                      as if nobody had registered the callout */
  SLUICE_HOLD_OUTCOME_BLOCK = 1,
  SLUICE_HOLD_OUTCOME_PERMIT = 2,
  SLUICE_HOLD_OUTCOME_NEXT_FILTER = 3 /* on to the next filter, as if this one did not match */
} SLUICE_HOLD_OUTCOME;

#define SLUICE_HOLD_DEADLINE_DEFAULT 0u
#define SLUICE_HOLD_DEADLINE_NONE 0xFFFFFFFFu

typedef struct SLUICE_HOLD_OPTIONS0_ {
  UINT32 deadlineInMSec; /* from FwpsPendOperation0 on, in milliseconds; or one of the two above */
  SLUICE_HOLD_OUTCOME outcome;
} SLUICE_HOLD_OPTIONS0;

/* Sets how operations are held that a filter hands to its callout.
 * filterId  run-time id, of a filter whose action is a callout's. It stays the same filter: its id and
 *           hits stay, its callout is not notified.
 * options   copied; what is DEFAULT in it is the host's again.
 * Inside a transaction it takes part in it, else it is one of its own. It is in force for what is asked
 * from the commit on; holds that are open keep the deadline that they have. The options last as long as
 * the filter, with a persistent one over restarts. Any thread, not from classifyFn.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                 options is NULL
 * STATUS_FWP_INVALID_ENUMERATOR           outcome is not one of its enumeration
 * STATUS_FWP_FILTER_NOT_FOUND             there is none
 * STATUS_FWP_INVALID_PARAMETER            the filter's action is permit or block: nothing is held
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * STATUS_FWP_INCOMPATIBLE_TXN             the open transaction is read-only
 * STATUS_FWP_TIMEOUT                      another session holds the policy past the session's wait time
 * STATUS_ACCESS_DENIED                    the daemon does not let this user change policy
 * On failure the filter keeps the options that it had. Windows: has no such function. */
SLUICE_API NTSTATUS NTAPI SluiceFilterSetHold0(HANDLE engineHandle, UINT64 filterId,
                                               const SLUICE_HOLD_OPTIONS0 *options);

/* Sets the options of the calling process's callouts wherever a filter leaves them DEFAULT.
 * options  copied; what is DEFAULT in it is the daemon's (sluiced --hold-deadline, --hold-outcome).
 * In force for what is asked and pended from the return on, and told to the daemon again whenever it
 * was started anew. While the daemon is away they are kept until it is there. Any thread, not from
 * classifyFn.
 *
 * STATUS_SUCCESS                 also when the daemon is not there just now
 * STATUS_FWP_NULL_POINTER        options is NULL
 * STATUS_FWP_INVALID_ENUMERATOR  outcome is not one of its enumeration
 * On failure the defaults stay as they were. Windows: has no such function. */
SLUICE_API NTSTATUS NTAPI SluiceHostSetHoldDefaults0(const SLUICE_HOLD_OPTIONS0 *options);
