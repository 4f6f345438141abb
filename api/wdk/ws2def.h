/* SPDX-License-Identifier: Apache-2.0
 * Socket addresses under Windows' names and with its family values. The tags are mapped onto the
 * engine's own structures, so a SOCKADDR from a classify is the same type. */
#pragma once

#include "ntdef.h"

#include "detail/winsock_constants.h"

#define sockaddr sluice_sockaddr
#define sockaddr_in sluice_sockaddr_in
#define sockaddr_in6 sluice_sockaddr_in6
#define sockaddr_storage sluice_sockaddr_storage
#define in_addr sluice_in_addr
#define in6_addr sluice_in6_addr
#define cmsghdr sluice_cmsghdr

typedef struct sockaddr SOCKADDR, *PSOCKADDR, *LPSOCKADDR;
typedef struct sockaddr_in SOCKADDR_IN, *PSOCKADDR_IN;
typedef struct sockaddr_in6 SOCKADDR_IN6, *PSOCKADDR_IN6;
typedef struct sockaddr_storage SOCKADDR_STORAGE, *PSOCKADDR_STORAGE;
typedef struct in_addr IN_ADDR, *PIN_ADDR;
typedef struct in6_addr IN6_ADDR, *PIN6_ADDR;
typedef SLUICE_SOCKADDR_INET SOCKADDR_INET, *PSOCKADDR_INET;
typedef struct cmsghdr WSACMSGHDR, *PWSACMSGHDR;

/* The address as one number, whatever the union calls it. */
#define s_addr S_un.S_addr
#define s6_addr u.Byte
