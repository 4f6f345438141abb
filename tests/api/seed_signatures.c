/* SPDX-License-Identifier: Apache-2.0
 * Each function that old documentation describes, assigned to a pointer of the type it describes.
 * Compiling is the test; a row is added with each function that comes into existence. */
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

NTSTATUS(NTAPI *pend)(IN HANDLE completionHandle, OUT HANDLE *completionContext) = FwpsPendOperation0;
VOID(NTAPI *complete)(IN HANDLE completionContext, IN PNET_BUFFER_LIST netBufferList) = FwpsCompleteOperation0;
NTSTATUS(NTAPI *registering)(IN OUT VOID *deviceObject, IN const FWPS_CALLOUT0 *callout,
                             OUT OPTIONAL UINT32 *calloutId) = FwpsCalloutRegister0;
NTSTATUS(NTAPI *unregister_by_id)(IN const UINT32 calloutId) = FwpsCalloutUnregisterById0;
NTSTATUS(NTAPI *unregister_by_key)(IN const GUID *calloutKey) = FwpsCalloutUnregisterByKey0;
NTSTATUS(NTAPI *engine_open)(IN OPTIONAL const WCHAR *serverName, IN UINT32 authnService,
                             IN OPTIONAL SEC_WINNT_AUTH_IDENTITY_W *authIdentity,
                             IN OPTIONAL const FWPM_SESSION0 *session, OUT HANDLE *engineHandle) = FwpmEngineOpen0;
NTSTATUS(NTAPI *filter_add)(IN HANDLE engineHandle, IN const FWPM_FILTER0 *filter,
                            IN OPTIONAL PSECURITY_DESCRIPTOR sd, OUT OPTIONAL UINT64 *id) = FwpmFilterAdd0;
ADDRESS_FAMILY family = AF_INET6;
SOCKADDR *(*original)(const FWPS_INCOMING_METADATA_VALUES0 *);
UINT32 set_records = SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
COMPARTMENT_ID unspecified = UNSPECIFIED_COMPARTMENT_ID;
#if !defined(__cplusplus)
_Static_assert(AF_INET6 == 23 && sizeof(SOCKADDR_IN6) == 28, "Windows' own");
_Static_assert(SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS == 0x980000DE, "control code");
#else
static_assert(AF_INET6 == 23 && sizeof(SOCKADDR_IN6) == 28, "Windows' own");
#endif
