/* SPDX-License-Identifier: Apache-2.0
 * Providers, who only group objects for management, and provider contexts, the data that a filter
 * carries to its callout. What holds for all functions stands in fwpm_functions.h. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"
#include "fwpm_provider_context.h"

/* Adds a provider.
 * provider  copied. A key of zeros is replaced by a generated one. serviceName is kept and handed out
 *           again, nothing else.
 * sd        NULL.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER       provider is NULL, or providerData counts bytes that are not there
 * STATUS_FWP_NULL_DISPLAY_NAME  no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS      a flag other than FWPM_PROVIDER_FLAG_PERSISTENT
 * STATUS_FWP_LIFETIME_MISMATCH  persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS     the key is taken
 * STATUS_NOT_SUPPORTED          sd given
 * Windows: a persistent provider's objects wait for its service. Page: FwpmProviderAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderAdd0(HANDLE engineHandle, const FWPM_PROVIDER0 *provider,
                                           PSECURITY_DESCRIPTOR sd);

/* Deletes a provider by its key.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                 key is NULL
 * STATUS_FWP_PROVIDER_NOT_FOUND           there is none
 * STATUS_FWP_IN_USE                       another object names it
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmProviderDeleteByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderDeleteByKey0(HANDLE engineHandle, const GUID *key);

/* Gives the provider with this key.
 * provider  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        key or provider is NULL
 * STATUS_FWP_PROVIDER_NOT_FOUND  there is none
 * Page: FwpmProviderGetByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderGetByKey0(HANDLE engineHandle, const GUID *key,
                                                FWPM_PROVIDER0 **provider);

/* Starts an enumeration of providers.
 * enumTemplate  optional, copied; not read.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  enumHandle is NULL
 * Page: FwpmProviderCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_PROVIDER_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);

/* The next providers.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of providers of this session
 * Page: FwpmProviderEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_PROVIDER0 ***entries,
                                            UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of providers of this session
 * Page: FwpmProviderDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);

/* Adds a provider context. FWPM_GENERAL_CONTEXT is the type that has a meaning
 * here: a callout sees dataBuffer in filter->providerContext if its management object has
 * FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT.
 * providerContext  copied. A key of zeros is replaced by a generated one.
 * sd               NULL.
 * id               out, optional: the run-time id.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        providerContext or its dataBuffer is NULL, or a blob counts bytes that
 *                                are not there
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       a flag other than FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT
 * STATUS_FWP_INVALID_ENUMERATOR  type is none of FWPM_PROVIDER_CONTEXT_TYPE
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_NOT_SUPPORTED           another type (IPsec policies, classify options), or sd given
 * Page: FwpmProviderContextAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextAdd0(HANDLE engineHandle,
                                                  const FWPM_PROVIDER_CONTEXT0 *providerContext,
                                                  PSECURITY_DESCRIPTOR sd, UINT64 *id);

/* Adds a provider context from version 1 of the structure. FWPM_GENERAL_CONTEXT is the type that has a meaning
 * here: a callout sees dataBuffer in filter->providerContext if its management object has
 * FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT.
 * providerContext  copied. A key of zeros is replaced by a generated one.
 * sd               NULL.
 * id               out, optional: the run-time id.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        providerContext or its dataBuffer is NULL, or a blob counts bytes that
 *                                are not there
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       a flag other than FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT
 * STATUS_FWP_INVALID_ENUMERATOR  type is none of FWPM_PROVIDER_CONTEXT_TYPE
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_NOT_SUPPORTED           another type (IPsec policies, classify options), or sd given
 * Page: FwpmProviderContextAdd1. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextAdd1(HANDLE engineHandle,
                                                  const FWPM_PROVIDER_CONTEXT1 *providerContext,
                                                  PSECURITY_DESCRIPTOR sd, UINT64 *id);

/* Adds a provider context from version 2 of the structure. FWPM_GENERAL_CONTEXT is the type that has a meaning
 * here: a callout sees dataBuffer in filter->providerContext if its management object has
 * FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT.
 * providerContext  copied. A key of zeros is replaced by a generated one.
 * sd               NULL.
 * id               out, optional: the run-time id.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        providerContext or its dataBuffer is NULL, or a blob counts bytes that
 *                                are not there
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       a flag other than FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT
 * STATUS_FWP_INVALID_ENUMERATOR  type is none of FWPM_PROVIDER_CONTEXT_TYPE
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_NOT_SUPPORTED           another type (IPsec policies, classify options), or sd given
 * Page: FwpmProviderContextAdd2. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextAdd2(HANDLE engineHandle,
                                                  const FWPM_PROVIDER_CONTEXT2 *providerContext,
                                                  PSECURITY_DESCRIPTOR sd, UINT64 *id);

/* Adds a provider context from version 3 of the structure. FWPM_GENERAL_CONTEXT is the type that has a meaning
 * here: a callout sees dataBuffer in filter->providerContext if its management object has
 * FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT.
 * providerContext  copied. A key of zeros is replaced by a generated one.
 * sd               NULL.
 * id               out, optional: the run-time id.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        providerContext or its dataBuffer is NULL, or a blob counts bytes that
 *                                are not there
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       a flag other than FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT
 * STATUS_FWP_INVALID_ENUMERATOR  type is none of FWPM_PROVIDER_CONTEXT_TYPE
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_NOT_SUPPORTED           another type (IPsec policies, classify options), or sd given
 * Page: FwpmProviderContextAdd3. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextAdd3(HANDLE engineHandle,
                                                  const FWPM_PROVIDER_CONTEXT3 *providerContext,
                                                  PSECURITY_DESCRIPTOR sd, UINT64 *id);

/* Deletes a provider context by its run-time id.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND   there is none
 * STATUS_FWP_IN_USE                       a filter names it
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmProviderContextDeleteById0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextDeleteById0(HANDLE engineHandle, UINT64 id);

/* Deletes a provider context by its key.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                 key is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND   there is none
 * STATUS_FWP_IN_USE                       a filter names it
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmProviderContextDeleteByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextDeleteByKey0(HANDLE engineHandle, const GUID *key);

/* Gives the provider context with this run-time id.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetById0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetById0(HANDLE engineHandle, UINT64 id,
                                                      FWPM_PROVIDER_CONTEXT0 **providerContext);

/* Gives the provider context with this run-time id.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetById1. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetById1(HANDLE engineHandle, UINT64 id,
                                                      FWPM_PROVIDER_CONTEXT1 **providerContext);

/* Gives the provider context with this run-time id.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetById2. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetById2(HANDLE engineHandle, UINT64 id,
                                                      FWPM_PROVIDER_CONTEXT2 **providerContext);

/* Gives the provider context with this run-time id.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetById3. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetById3(HANDLE engineHandle, UINT64 id,
                                                      FWPM_PROVIDER_CONTEXT3 **providerContext);

/* Gives the provider context with this key.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                key or providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetByKey0(HANDLE engineHandle, const GUID *key,
                                                       FWPM_PROVIDER_CONTEXT0 **providerContext);

/* Gives the provider context with this key.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                key or providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetByKey1. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetByKey1(HANDLE engineHandle, const GUID *key,
                                                       FWPM_PROVIDER_CONTEXT1 **providerContext);

/* Gives the provider context with this key.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                key or providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetByKey2. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetByKey2(HANDLE engineHandle, const GUID *key,
                                                       FWPM_PROVIDER_CONTEXT2 **providerContext);

/* Gives the provider context with this key.
 * providerContext  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                key or providerContext is NULL
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  there is none
 * Page: FwpmProviderContextGetByKey3. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextGetByKey3(HANDLE engineHandle, const GUID *key,
                                                       FWPM_PROVIDER_CONTEXT3 **providerContext);

/* Starts an enumeration of provider contexts.
 * enumTemplate  optional, copied; limits to a provider's contexts and to a type; only
 *               FWPM_GENERAL_CONTEXT gives any.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        enumHandle is NULL
 * STATUS_FWP_INVALID_ENUMERATOR  providerContextType is none of FWPM_PROVIDER_CONTEXT_TYPE
 * Page: FwpmProviderContextCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *enumTemplate,
    HANDLE *enumHandle);

/* The next provider contexts.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of provider contexts of this session
 * Page: FwpmProviderContextEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                                   UINT32 numEntriesRequested,
                                                   FWPM_PROVIDER_CONTEXT0 ***entries,
                                                   UINT32 *numEntriesReturned);

/* The next provider contexts, in version 1 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of provider contexts of this session
 * Page: FwpmProviderContextEnum1. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextEnum1(HANDLE engineHandle, HANDLE enumHandle,
                                                   UINT32 numEntriesRequested,
                                                   FWPM_PROVIDER_CONTEXT1 ***entries,
                                                   UINT32 *numEntriesReturned);

/* The next provider contexts, in version 2 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of provider contexts of this session
 * Page: FwpmProviderContextEnum2. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextEnum2(HANDLE engineHandle, HANDLE enumHandle,
                                                   UINT32 numEntriesRequested,
                                                   FWPM_PROVIDER_CONTEXT2 ***entries,
                                                   UINT32 *numEntriesReturned);

/* The next provider contexts, in version 3 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of provider contexts of this session
 * Page: FwpmProviderContextEnum3. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextEnum3(HANDLE engineHandle, HANDLE enumHandle,
                                                   UINT32 numEntriesRequested,
                                                   FWPM_PROVIDER_CONTEXT3 ***entries,
                                                   UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of provider contexts of this session
 * Page: FwpmProviderContextDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextDestroyEnumHandle0(HANDLE engineHandle,
                                                                HANDLE enumHandle);
