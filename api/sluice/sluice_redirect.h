/* SPDX-License-Identifier: Apache-2.0
 * Our own: redirections that need no callout. Windows has neither; there every connection is handed to
 * its callout. */
#pragma once

#include "fwp_address.h"
#include "fwp_status.h"

#define SLUICE_REDIRECT_FLAG_PROXY_V2 0x00000001u /* the target reads PROXY protocol v2 */

#define SLUICE_REDIRECT_CONTEXT_MAX 4096u       /* bytes that a callout may attach to a redirection */
#define SLUICE_REDIRECT_TARGET_CONTEXT_MAX 512u /* bytes of context of a fixed target */

/* A fixed target: the data of a provider context (FWPM_GENERAL_CONTEXT) that a permit filter at
 * ALE_CONNECT_REDIRECT or ALE_BIND_REDIRECT names. The kernel itself redirects what the filter matches, in the
 * name of the provider context's provider; no callout is asked.
 * Addresses and ports are in network order, families are Windows'; all other numbers in host order.
 *   family  SLUICE_AF_UNSPEC: connections of this family are not redirected
 *   address zero: the same address
 *   port    zero: the same port */
typedef struct SLUICE_REDIRECT_TARGET0_ {
  UINT32 size;  /* bytes of this structure with its context: offsetof(.., context) + contextSize */
  UINT32 flags; /* SLUICE_REDIRECT_FLAG_* */
  struct sluice_sockaddr_storage v4; /* SLUICE_AF_INET, for connections over IPv4 */
  struct sluice_sockaddr_storage v6; /* SLUICE_AF_INET6, for connections over IPv6 */
  UINT32 targetProcessId;            /* that must own the socket which accepts; 0: whoever does */
  UINT32 contextSize;                /* bytes; at most SLUICE_REDIRECT_TARGET_CONTEXT_MAX */
  UINT8 context[1];                  /* what SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT tells the target */
} SLUICE_REDIRECT_TARGET0;

/* Lets the kernel decide by itself as the next FwpsApplyModifiedLayerData0 of this classify does, for
 * connections of the same executable, user, destination and filter: they are redirected as they
 * connect, with no packet held and without asking the callout. At ALE_BIND_REDIRECT it is the local end
 * that bind() asks for in the destination's place, and bind() itself takes the new one. Executables are told apart by their
 * file, never by pid or path. It ends with the time, with a change of policy, or with the redirect
 * handle. The context is attached to each of them.
 *
 * classifyHandle  from FwpsAcquireClassifyHandle0.
 * milliseconds    for how long; 0: not at all, as if this had not been called.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE          no such classify handle
 * STATUS_FWP_INCOMPATIBLE_LAYER  the layer is neither ALE_CONNECT_REDIRECT nor ALE_BIND_REDIRECT
 * Any thread, inside classifyFn or while pended. Windows: has no such function. */
SLUICE_API NTSTATUS NTAPI SluiceLearnRedirect0(UINT64 classifyHandle, UINT32 milliseconds);
