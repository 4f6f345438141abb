/* SPDX-License-Identifier: Apache-2.0
 * Socket addresses as the engine's structures carry them: family values are Windows'
 * (SLUICE_AF_INET6 is 23), addresses and ports are in network order. The names are our own so
 * that a native program may include <sys/socket.h> as well; the Windows door maps SOCKADDR and
 * its kin onto these very types. */
#pragma once

#include "detail/base.h"

enum { SLUICE_AF_UNSPEC = 0, SLUICE_AF_INET = 2, SLUICE_AF_INET6 = 23 };

typedef USHORT ADDRESS_FAMILY;
typedef ULONG IF_INDEX;
typedef ULONG NDIS_PORT_NUMBER;

typedef struct _SCOPE_ID {
  __extension__ union {
    __extension__ struct {
      ULONG Zone : 28;
      ULONG Level : 4;
    };
    ULONG Value;
  };
} SCOPE_ID, *PSCOPE_ID;

struct sluice_in_addr {
  union {
    struct {
      UCHAR s_b1, s_b2, s_b3, s_b4;
    } S_un_b;
    struct {
      USHORT s_w1, s_w2;
    } S_un_w;
    ULONG S_addr;
  } S_un;
};

struct sluice_in6_addr {
  union {
    UCHAR Byte[16];
    USHORT Word[8];
  } u;
};

struct sluice_sockaddr {
  ADDRESS_FAMILY sa_family;
  CHAR sa_data[14];
};

struct sluice_sockaddr_in {
  ADDRESS_FAMILY sin_family;
  USHORT sin_port;
  struct sluice_in_addr sin_addr;
  CHAR sin_zero[8];
};

struct sluice_sockaddr_in6 {
  ADDRESS_FAMILY sin6_family;
  USHORT sin6_port;
  ULONG sin6_flowinfo;
  struct sluice_in6_addr sin6_addr;
  union {
    ULONG sin6_scope_id;
    SCOPE_ID sin6_scope_struct;
  };
};

struct sluice_sockaddr_storage {
  ADDRESS_FAMILY ss_family;
  CHAR ss_padding[6];
  LONGLONG ss_alignment;
  CHAR ss_rest[112];
};

typedef union sluice_sockaddr_inet {
  struct sluice_sockaddr_in Ipv4;
  struct sluice_sockaddr_in6 Ipv6;
  ADDRESS_FAMILY si_family;
} SLUICE_SOCKADDR_INET;

typedef struct _IP_ADDRESS_PREFIX {
  SLUICE_SOCKADDR_INET Prefix;
  UINT8 PrefixLength;
} IP_ADDRESS_PREFIX, *PIP_ADDRESS_PREFIX;

/* Head of one item of socket control data. */
typedef struct sluice_cmsghdr {
  SIZE_T cmsg_len;
  INT cmsg_level;
  INT cmsg_type;
} SLUICE_CMSGHDR;
