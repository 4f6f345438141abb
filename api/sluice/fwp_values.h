/* SPDX-License-Identifier: Apache-2.0
 * Typed values: what a data field holds at classify time and what a filter compares it with.
 * IPv4 addresses and ports are in host byte order, IPv6 and MAC addresses in network order. */
#pragma once

#include "fwp_constants.h"

typedef UINT32 FWP_ACTION_TYPE;

typedef struct FWP_BYTE_BLOB_ {
  UINT32 size; /* bytes */
  UINT8 *data;
} FWP_BYTE_BLOB;

typedef struct FWP_BYTE_ARRAY16_ {
  UINT8 byteArray16[16];
} FWP_BYTE_ARRAY16;

typedef struct FWP_BYTE_ARRAY6_ {
  UINT8 byteArray6[6];
} FWP_BYTE_ARRAY6;

typedef struct _SID_IDENTIFIER_AUTHORITY {
  UCHAR Value[6];
} SID_IDENTIFIER_AUTHORITY;

typedef struct _SID {
  UCHAR Revision;
  UCHAR SubAuthorityCount;
  SID_IDENTIFIER_AUTHORITY IdentifierAuthority;
  DWORD SubAuthority[1]; /* SubAuthorityCount of them */
} SID, *PSID;

typedef struct _SID_AND_ATTRIBUTES {
  PSID Sid;
  DWORD Attributes;
} SID_AND_ATTRIBUTES, *PSID_AND_ATTRIBUTES;

typedef struct FWP_TOKEN_INFORMATION_ {
  ULONG sidCount;
  PSID_AND_ATTRIBUTES sids;
  ULONG restrictedSidCount;
  PSID_AND_ATTRIBUTES restrictedSids;
} FWP_TOKEN_INFORMATION;

/* `type` selects the member. 64-bit numbers and everything larger are held by pointer. */
typedef struct FWP_VALUE0_ {
  FWP_DATA_TYPE type;
  union {
    UINT8 uint8;
    UINT16 uint16;
    UINT32 uint32;
    UINT64 *uint64;
    INT8 int8;
    INT16 int16;
    INT32 int32;
    INT64 *int64;
    float float32;
    double *double64;
    FWP_BYTE_ARRAY16 *byteArray16;
    FWP_BYTE_BLOB *byteBlob;
    SID *sid;
    FWP_BYTE_BLOB *sd;
    FWP_TOKEN_INFORMATION *tokenInformation;
    FWP_BYTE_BLOB *tokenAccessInformation;
    LPWSTR unicodeString;
    FWP_BYTE_ARRAY6 *byteArray6;
  };
} FWP_VALUE0;

typedef struct FWP_V4_ADDR_AND_MASK_ {
  UINT32 addr; /* host order */
  UINT32 mask; /* host order */
} FWP_V4_ADDR_AND_MASK;

typedef struct FWP_V6_ADDR_AND_MASK_ {
  UINT8 addr[16];     /* network order */
  UINT8 prefixLength; /* 0 to 128 */
} FWP_V6_ADDR_AND_MASK;

/* Both ends belong to the range and have the same type. */
typedef struct FWP_RANGE0_ {
  FWP_VALUE0 valueLow;
  FWP_VALUE0 valueHigh;
} FWP_RANGE0;

typedef struct FWP_CONDITION_VALUE0_ {
  FWP_DATA_TYPE type;
  union {
    UINT8 uint8;
    UINT16 uint16;
    UINT32 uint32;
    UINT64 *uint64;
    INT8 int8;
    INT16 int16;
    INT32 int32;
    INT64 *int64;
    float float32;
    double *double64;
    FWP_BYTE_ARRAY16 *byteArray16;
    FWP_BYTE_BLOB *byteBlob;
    SID *sid;
    FWP_BYTE_BLOB *sd;
    FWP_TOKEN_INFORMATION *tokenInformation;
    FWP_BYTE_BLOB *tokenAccessInformation;
    LPWSTR unicodeString;
    FWP_BYTE_ARRAY6 *byteArray6;
    FWP_V4_ADDR_AND_MASK *v4AddrMask;
    FWP_V6_ADDR_AND_MASK *v6AddrMask;
    FWP_RANGE0 *rangeValue;
  };
} FWP_CONDITION_VALUE0;

typedef struct FWPM_DISPLAY_DATA0_ {
  LPWSTR name;        /* required, UTF-16 */
  LPWSTR description; /* optional */
} FWPM_DISPLAY_DATA0;
