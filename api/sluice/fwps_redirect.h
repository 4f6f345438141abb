/* SPDX-License-Identifier: Apache-2.0
 * What a callout changes at the redirection layers. Addresses and ports are in network order,
 * families are Windows'. The functions that hand these out stand in fwps_redirect_functions.h. */
#pragma once

#include "fwp_address.h"

typedef struct _FWPS_CONNECT_REQUEST0 {
  struct sluice_sockaddr_storage localAddressAndPort;
  struct sluice_sockaddr_storage remoteAddressAndPort; /* replace it to redirect, same family */
  UINT64 portReservationToken;
  DWORD localRedirectTargetPID; /* process that will accept */
  struct _FWPS_CONNECT_REQUEST0 *previousVersion; /* read-only, NULL at the oldest */
  UINT64 modifierFilterId;
  HANDLE localRedirectHandle;
  VOID *localRedirectContext; /* becomes the engine's when applied */
  SIZE_T localRedirectContextSize;
} FWPS_CONNECT_REQUEST0;

typedef struct _FWPS_BIND_REQUEST0 {
  struct sluice_sockaddr_storage localAddressAndPort; /* replace it to redirect */
  UINT64 portReservationToken;
  struct _FWPS_BIND_REQUEST0 *previousVersion;
  UINT64 modifierFilterId;
} FWPS_BIND_REQUEST0;
