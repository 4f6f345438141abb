/* SPDX-License-Identifier: Apache-2.0
 * What a net event reports: traffic that a filter or the engine dropped, or that a filter allowed.
 * The versions exist side by side; each function hands out the one of its digit. Arms of the unions
 * for events that do not exist here (IPsec, capabilities) are untyped pointers. */
#pragma once

#include "fwpm_enum.h"

typedef struct FWPM_NET_EVENT_HEADER0_ {
  FILETIME timeStamp; /* 100 ns since 1601 */
  UINT32 flags;       /* FWPM_NET_EVENT_FLAG_*: which members are valid */
  FWP_IP_VERSION ipVersion;
  UINT8 ipProtocol;
  union {
    UINT32 localAddrV4; /* host order */
    FWP_BYTE_ARRAY16 localAddrV6;
  };
  union {
    UINT32 remoteAddrV4; /* host order */
    FWP_BYTE_ARRAY16 remoteAddrV6;
  };
  UINT16 localPort;
  UINT16 remotePort;
  UINT32 scopeId;
  FWP_BYTE_BLOB appId; /* the executable's path as FwpmGetAppIdFromFileName0 gives it */
  SID *userId;         /* S-1-22-1-uid */
} FWPM_NET_EVENT_HEADER0;

/* The part of header 1 that has no name of its own in Windows. */
typedef struct FWPM_NET_EVENT_FRAME0_ {
  FWP_BYTE_ARRAY6 dstAddrEth;
  FWP_BYTE_ARRAY6 srcAddrEth;
  UINT32 addrType;
  UINT32 encapMethod;
  UINT16 etherType;
  UINT32 snapControl;
  UINT32 snapOui;
  UINT16 vlanTag;
  UINT64 ifLuid;
} FWPM_NET_EVENT_FRAME0;

typedef struct FWPM_NET_EVENT_HEADER1_ {
  FILETIME timeStamp; /* 100 ns since 1601 */
  UINT32 flags;       /* FWPM_NET_EVENT_FLAG_*: which members are valid */
  FWP_IP_VERSION ipVersion;
  UINT8 ipProtocol;
  union {
    UINT32 localAddrV4; /* host order */
    FWP_BYTE_ARRAY16 localAddrV6;
  };
  union {
    UINT32 remoteAddrV4; /* host order */
    FWP_BYTE_ARRAY16 remoteAddrV6;
  };
  UINT16 localPort;
  UINT16 remotePort;
  UINT32 scopeId;
  FWP_BYTE_BLOB appId; /* the executable's path as FwpmGetAppIdFromFileName0 gives it */
  SID *userId;         /* S-1-22-1-uid */
  FWP_AF addressFamily;
  FWPM_NET_EVENT_FRAME0 frame; /* the flags never say that it is set */
} FWPM_NET_EVENT_HEADER1;

typedef struct FWPM_NET_EVENT_HEADER2_ {
  FILETIME timeStamp; /* 100 ns since 1601 */
  UINT32 flags;       /* FWPM_NET_EVENT_FLAG_*: which members are valid */
  FWP_IP_VERSION ipVersion;
  UINT8 ipProtocol;
  union {
    UINT32 localAddrV4; /* host order */
    FWP_BYTE_ARRAY16 localAddrV6;
  };
  union {
    UINT32 remoteAddrV4; /* host order */
    FWP_BYTE_ARRAY16 remoteAddrV6;
  };
  UINT16 localPort;
  UINT16 remotePort;
  UINT32 scopeId;
  FWP_BYTE_BLOB appId; /* the executable's path as FwpmGetAppIdFromFileName0 gives it */
  SID *userId;         /* S-1-22-1-uid */
  FWP_AF addressFamily;
  SID *packageSid; /* NULL */
} FWPM_NET_EVENT_HEADER2;

typedef struct FWPM_NET_EVENT_HEADER3_ {
  FILETIME timeStamp; /* 100 ns since 1601 */
  UINT32 flags;       /* FWPM_NET_EVENT_FLAG_*: which members are valid */
  FWP_IP_VERSION ipVersion;
  UINT8 ipProtocol;
  union {
    UINT32 localAddrV4; /* host order */
    FWP_BYTE_ARRAY16 localAddrV6;
  };
  union {
    UINT32 remoteAddrV4; /* host order */
    FWP_BYTE_ARRAY16 remoteAddrV6;
  };
  UINT16 localPort;
  UINT16 remotePort;
  UINT32 scopeId;
  FWP_BYTE_BLOB appId; /* the executable's path as FwpmGetAppIdFromFileName0 gives it */
  SID *userId;         /* S-1-22-1-uid */
  FWP_AF addressFamily;
  SID *packageSid;     /* NULL */
  LPWSTR enterpriseId; /* NULL */
  UINT64 policyFlags;
  FWP_BYTE_BLOB effectiveName;
} FWPM_NET_EVENT_HEADER3;

typedef struct FWPM_NET_EVENT_CLASSIFY_DROP0_ {
  UINT64 filterId; /* 0: dropped by the engine itself, not by a filter */
  UINT16 layerId;
} FWPM_NET_EVENT_CLASSIFY_DROP0;

typedef struct FWPM_NET_EVENT_CLASSIFY_DROP1_ {
  UINT64 filterId; /* 0: dropped by the engine itself, not by a filter */
  UINT16 layerId;
  UINT32 reauthReason;
  UINT32 originalProfile;
  UINT32 currentProfile;
  UINT32 msFwpDirection; /* FWP_DIRECTION */
  BOOL isLoopback;
} FWPM_NET_EVENT_CLASSIFY_DROP1;

typedef struct FWPM_NET_EVENT_CLASSIFY_DROP2_ {
  UINT64 filterId; /* 0: dropped by the engine itself, not by a filter */
  UINT16 layerId;
  UINT32 reauthReason;
  UINT32 originalProfile;
  UINT32 currentProfile;
  UINT32 msFwpDirection; /* FWP_DIRECTION */
  BOOL isLoopback;
  FWP_BYTE_BLOB vSwitchId; /* empty, as the two after it are zero */
  UINT32 vSwitchSourcePort;
  UINT32 vSwitchDestinationPort;
} FWPM_NET_EVENT_CLASSIFY_DROP2;

typedef struct FWPM_NET_EVENT_CLASSIFY_ALLOW0_ {
  UINT64 filterId; /* 0: no filter matched */
  UINT16 layerId;
  UINT32 reauthReason;
  UINT32 originalProfile;
  UINT32 currentProfile;
  UINT32 msFwpDirection; /* FWP_DIRECTION */
  BOOL isLoopback;
} FWPM_NET_EVENT_CLASSIFY_ALLOW0;

typedef struct FWPM_NET_EVENT0_ {
  FWPM_NET_EVENT_HEADER0 header;
  FWPM_NET_EVENT_TYPE type; /* selects the member */
  union {
    FWPM_NET_EVENT_CLASSIFY_DROP0 *classifyDrop;
    FWPM_NET_EVENT_CLASSIFY_ALLOW0 *classifyAllow; /* an addition: Windows has none here */
    PVOID ikeMmFailure;
    PVOID ikeQmFailure;
    PVOID ikeEmFailure;
    PVOID ipsecDrop;
    PVOID idpDrop;
  };
} FWPM_NET_EVENT0;

typedef struct FWPM_NET_EVENT1_ {
  FWPM_NET_EVENT_HEADER1 header;
  FWPM_NET_EVENT_TYPE type; /* selects the member */
  union {
    FWPM_NET_EVENT_CLASSIFY_DROP1 *classifyDrop;
    FWPM_NET_EVENT_CLASSIFY_ALLOW0 *classifyAllow; /* an addition: Windows has none here */
    PVOID ikeMmFailure;
    PVOID ikeQmFailure;
    PVOID ikeEmFailure;
    PVOID ipsecDrop;
    PVOID idpDrop;
  };
} FWPM_NET_EVENT1;

typedef struct FWPM_NET_EVENT2_ {
  FWPM_NET_EVENT_HEADER2 header;
  FWPM_NET_EVENT_TYPE type; /* selects the member */
  union {
    FWPM_NET_EVENT_CLASSIFY_DROP2 *classifyDrop;
    FWPM_NET_EVENT_CLASSIFY_ALLOW0 *classifyAllow;
    PVOID ikeMmFailure;
    PVOID ikeQmFailure;
    PVOID ikeEmFailure;
    PVOID ipsecDrop;
    PVOID idpDrop;
    PVOID capabilityDrop;
    PVOID capabilityAllow;
    PVOID classifyDropMac;
  };
} FWPM_NET_EVENT2;

typedef struct FWPM_NET_EVENT3_ {
  FWPM_NET_EVENT_HEADER3 header;
  FWPM_NET_EVENT_TYPE type; /* selects the member */
  union {
    FWPM_NET_EVENT_CLASSIFY_DROP2 *classifyDrop;
    FWPM_NET_EVENT_CLASSIFY_ALLOW0 *classifyAllow;
    PVOID ikeMmFailure;
    PVOID ikeQmFailure;
    PVOID ikeEmFailure;
    PVOID ipsecDrop;
    PVOID idpDrop;
    PVOID capabilityDrop;
    PVOID capabilityAllow;
    PVOID classifyDropMac;
  };
} FWPM_NET_EVENT3;

typedef struct FWPM_NET_EVENT4_ {
  FWPM_NET_EVENT_HEADER3 header;
  FWPM_NET_EVENT_TYPE type; /* selects the member */
  union {
    FWPM_NET_EVENT_CLASSIFY_DROP2 *classifyDrop;
    FWPM_NET_EVENT_CLASSIFY_ALLOW0 *classifyAllow;
    PVOID ikeMmFailure;
    PVOID ikeQmFailure;
    PVOID ikeEmFailure;
    PVOID ipsecDrop;
    PVOID idpDrop;
    PVOID capabilityDrop;
    PVOID capabilityAllow;
    PVOID classifyDropMac;
  };
} FWPM_NET_EVENT4;

typedef struct FWPM_NET_EVENT5_ {
  FWPM_NET_EVENT_HEADER3 header;
  FWPM_NET_EVENT_TYPE type; /* selects the member */
  union {
    FWPM_NET_EVENT_CLASSIFY_DROP2 *classifyDrop;
    FWPM_NET_EVENT_CLASSIFY_ALLOW0 *classifyAllow;
    PVOID ikeMmFailure;
    PVOID ikeQmFailure;
    PVOID ikeEmFailure;
    PVOID ipsecDrop;
    PVOID idpDrop;
    PVOID capabilityDrop;
    PVOID capabilityAllow;
    PVOID classifyDropMac;
    PVOID lpmPacketArrival;
  };
} FWPM_NET_EVENT5;

/* Limits to a span of time (zero: open) and to conditions, of which IP_PROTOCOL, the addresses,
 * ports, ALE_APP_ID, ALE_USER_ID, NET_EVENT_TYPE and DIRECTION can be compared with a net event. */
typedef struct FWPM_NET_EVENT_ENUM_TEMPLATE0_ {
  FILETIME startTime;
  FILETIME endTime;
  UINT32 numFilterConditions;
  FWPM_FILTER_CONDITION0 *filterCondition;
} FWPM_NET_EVENT_ENUM_TEMPLATE0;

typedef struct FWPM_NET_EVENT_SUBSCRIPTION0_ {
  FWPM_NET_EVENT_ENUM_TEMPLATE0 *enumTemplate;
  UINT32 flags;    /* 0 */
  GUID sessionKey; /* filled where subscriptions are listed */
} FWPM_NET_EVENT_SUBSCRIPTION0;

/* As the change callbacks: a thread of the library, no lock held, in order. `event` and all that it
 * points to is valid until the callback returns. */
typedef VOID(NTAPI *FWPM_NET_EVENT_CALLBACK0)(VOID *context, const FWPM_NET_EVENT1 *event);
typedef VOID(NTAPI *FWPM_NET_EVENT_CALLBACK1)(VOID *context, const FWPM_NET_EVENT2 *event);
typedef VOID(NTAPI *FWPM_NET_EVENT_CALLBACK2)(VOID *context, const FWPM_NET_EVENT3 *event);
typedef VOID(NTAPI *FWPM_NET_EVENT_CALLBACK3)(VOID *context, const FWPM_NET_EVENT4 *event);
typedef VOID(NTAPI *FWPM_NET_EVENT_CALLBACK4)(VOID *context, const FWPM_NET_EVENT5 *event);
