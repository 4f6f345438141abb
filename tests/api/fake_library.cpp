// SPDX-License-Identifier: Apache-2.0
#include "fake_library.h"

#include <array>
#include <cstdlib>
#include <cstring>

FakeLibrary library;

// A completion handle and context is callout id and flow, so that completing can ask again.
static HANDLE pack(UINT32 callout, UINT64 flow) {
    return reinterpret_cast<HANDLE>(static_cast<ULONG_PTR>(callout) << 32 |
                                    static_cast<ULONG_PTR>(flow));
}

static FWPS_CLASSIFY_OUT0 ask(UINT32 callout, UINT16 layer, UINT32 flags_field, bool reauthorize,
                              const FWPS_INCOMING_METADATA_VALUES0 &metadata,
                              FWPS_CLASSIFY_OUT0 out, UINT64 flow_context) {
    std::array<FWPS_INCOMING_VALUE0, 42> fields{};
    fields[flags_field].value.type = FWP_UINT32;
    fields[flags_field].value.uint32 = reauthorize ? FWP_CONDITION_FLAG_IS_REAUTHORIZE : 0;
    FWPS_INCOMING_VALUES0 values{layer, fields.size(), fields.data()};
    FWPS_FILTER3 filter{};
    filter.action.calloutId = callout;
    library.callouts.at(callout).classifyFn(&values, &metadata, nullptr, nullptr, &filter,
                                            flow_context, &out);
    return out;
}

FWPS_CLASSIFY_OUT0 FakeLibrary::classify(UINT32 callout, UINT64 flow, bool reauthorize,
                                         FWP_ACTION_TYPE so_far, UINT32 rights) {
    FWPS_INCOMING_METADATA_VALUES0 metadata{};
    metadata.currentMetadataValues =
        FWPS_METADATA_FIELD_FLOW_HANDLE | FWPS_METADATA_FIELD_COMPLETION_HANDLE;
    metadata.flowHandle = flow;
    metadata.completionHandle = pack(callout, flow);
    FWPS_CLASSIFY_OUT0 out{};
    out.actionType = so_far;
    out.rights = rights;
    const auto context = contexts.find({flow, FWPS_LAYER_ALE_AUTH_CONNECT_V4, callout});
    return ask(callout, FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS,
               reauthorize, metadata, out, context == contexts.end() ? 0 : context->second);
}

constexpr UINT64 listening = 1u << 31; // in a completion handle: it is an endpoint's

FWPS_CLASSIFY_OUT0 FakeLibrary::classify_listen(UINT32 callout, UINT64 endpoint, bool reauthorize) {
    FWPS_INCOMING_METADATA_VALUES0 metadata{};
    metadata.currentMetadataValues =
        FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE | FWPS_METADATA_FIELD_COMPLETION_HANDLE;
    metadata.transportEndpointHandle = endpoint;
    metadata.completionHandle = pack(callout, listening | endpoint);
    FWPS_CLASSIFY_OUT0 out{};
    out.actionType = FWP_ACTION_CONTINUE;
    out.rights = FWPS_RIGHT_ACTION_WRITE;
    return ask(callout, FWPS_LAYER_ALE_AUTH_LISTEN_V4, FWPS_FIELD_ALE_AUTH_LISTEN_V4_FLAGS,
               reauthorize, metadata, out, 0);
}

static void delete_context(decltype(FakeLibrary::contexts)::iterator at) {
    const auto [flow, layer, callout] = at->first;
    const UINT64 context = at->second;
    library.contexts.erase(at);
    library.callouts.at(callout).flowDeleteFn(layer, callout, context);
}

void FakeLibrary::end_flow(UINT64 flow) {
    for (auto at = contexts.begin(); at != contexts.end();) {
        const auto here = at++;
        if (std::get<0>(here->first) == flow) delete_context(here);
    }
}

NTSTATUS FwpsFlowAssociateContext0(UINT64 flow, UINT16 layer, UINT32 callout, UINT64 context) {
    if (context == 0 || !library.callouts.at(callout).flowDeleteFn) return STATUS_INVALID_PARAMETER;
    const bool made = library.contexts.emplace(std::tuple(flow, layer, callout), context).second;
    return made ? STATUS_SUCCESS : STATUS_OBJECT_NAME_EXISTS;
}
NTSTATUS FwpsFlowRemoveContext0(UINT64 flow, UINT16 layer, UINT32 callout) {
    const auto at = library.contexts.find({flow, layer, callout});
    if (at == library.contexts.end()) return STATUS_UNSUCCESSFUL;
    if (library.removals_that_wait-- > 0) return STATUS_PENDING;
    delete_context(at);
    return STATUS_SUCCESS;
}

NTSTATUS IoCreateDevice(PDRIVER_OBJECT driver, ULONG, PUNICODE_STRING, DEVICE_TYPE, ULONG, BOOLEAN,
                        PDEVICE_OBJECT *device) {
    *device = new DEVICE_OBJECT{};
    (*device)->DriverObject = driver;
    ++library.devices;
    return STATUS_SUCCESS;
}
VOID IoDeleteDevice(PDEVICE_OBJECT device) {
    delete device;
    --library.devices;
}
static NTSTATUS add(const GUID &key, const FWPS_CALLOUT3 &callout, UINT32 *id) {
    if (library.register_status != STATUS_SUCCESS) return library.register_status;
    for (const auto &[taken, other] : library.callouts) {
        if (other.calloutKey == key) return STATUS_FWP_ALREADY_EXISTS;
    }
    static UINT32 next = 1;
    *id = next++;
    library.callouts[*id] = callout;
    return STATUS_SUCCESS;
}
NTSTATUS FwpsCalloutRegister3(VOID *, const FWPS_CALLOUT3 *callout, UINT32 *id) {
    return add(callout->calloutKey, *callout, id);
}
// The older versions are only counted: their functions have other types.
NTSTATUS FwpsCalloutRegister0(VOID *, const FWPS_CALLOUT0 *callout, UINT32 *id) {
    return add(callout->calloutKey,
               {callout->calloutKey, callout->flags, nullptr, nullptr, nullptr}, id);
}
NTSTATUS FwpsCalloutRegister1(VOID *, const FWPS_CALLOUT1 *callout, UINT32 *id) {
    return add(callout->calloutKey,
               {callout->calloutKey, callout->flags, nullptr, nullptr, nullptr}, id);
}
NTSTATUS FwpsCalloutUnregisterById0(const UINT32 id) {
    for (const auto &[place, context] : library.contexts)
        if (std::get<2>(place) == id) return STATUS_DEVICE_BUSY;
    return library.callouts.erase(id) ? STATUS_SUCCESS : STATUS_FWP_CALLOUT_NOT_FOUND;
}
NTSTATUS FwpsPendOperation0(HANDLE completion, HANDLE *context) {
    if (library.pend_status != STATUS_SUCCESS) return library.pend_status;
    library.open_holds.insert(completion);
    *context = completion;
    return STATUS_SUCCESS;
}
VOID FwpsCompleteOperation0(HANDLE context, PNET_BUFFER_LIST) {
    if (library.open_holds.erase(context) == 0) return;
    const auto packed = reinterpret_cast<ULONG_PTR>(context);
    const auto callout = static_cast<UINT32>(packed >> 32);
    if (library.callouts.count(callout) == 0) return;
    const UINT64 whose = packed & 0xFFFFFFFF;
    library.reauthorized.push_back(whose & listening
                                       ? library.classify_listen(callout, whose & ~listening, true)
                                       : library.classify(callout, whose, true));
}
NTSTATUS FwpmEngineOpen0(const WCHAR *, UINT32, SEC_WINNT_AUTH_IDENTITY_W *, const FWPM_SESSION0 *,
                         HANDLE *engine) {
    ++library.sessions;
    *engine = &library;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmEngineClose0(HANDLE) {
    --library.sessions;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmTransactionBegin0(HANDLE, UINT32) {
    return library.transactions.push_back("begin"), STATUS_SUCCESS;
}
NTSTATUS FwpmTransactionCommit0(HANDLE) {
    return library.transactions.push_back("commit"), STATUS_SUCCESS;
}
NTSTATUS FwpmTransactionAbort0(HANDLE) {
    return library.transactions.push_back("abort"), STATUS_SUCCESS;
}
NTSTATUS FwpmSubLayerAdd0(HANDLE, const FWPM_SUBLAYER0 *, PSECURITY_DESCRIPTOR) {
    return STATUS_SUCCESS;
}
NTSTATUS FwpmCalloutAdd0(HANDLE, const FWPM_CALLOUT0 *, PSECURITY_DESCRIPTOR, UINT32 *) {
    return library.callout_add_status;
}
NTSTATUS FwpmFilterAdd0(HANDLE, const FWPM_FILTER0 *filter, PSECURITY_DESCRIPTOR, UINT64 *id) {
    library.filters.push_back(*filter);
    library.conditions.clear();
    for (UINT32 i = 0; i < filter->numFilterConditions; ++i) {
        library.conditions.push_back(filter->filterCondition[i].conditionValue);
    }
    *id = library.filters.size();
    return STATUS_SUCCESS;
}
NTSTATUS SluiceFilterSetHold0(HANDLE, UINT64, const SLUICE_HOLD_OPTIONS0 *options) {
    library.hold = *options;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmFilterDeleteById0(HANDLE, UINT64) {
    return STATUS_FWP_FILTER_NOT_FOUND;
}
NTSTATUS FwpmProviderAdd0(HANDLE, const FWPM_PROVIDER0 *, PSECURITY_DESCRIPTOR) {
    return STATUS_SUCCESS;
}
NTSTATUS FwpmProviderContextAdd0(HANDLE, const FWPM_PROVIDER_CONTEXT0 *context,
                                 PSECURITY_DESCRIPTOR, UINT64 *id) {
    const FWP_BYTE_BLOB &data = *context->dataBuffer;
    library.context_data.assign(reinterpret_cast<const char *>(data.data), data.size);
    *id = 5;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmGetAppIdFromFileName0(PCWSTR name, FWP_BYTE_BLOB **id) {
    if (!name[0]) return STATUS_OBJECT_NAME_NOT_FOUND;
    constexpr SIZE_T size = sizeof(FWP_BYTE_BLOB) + 4;
    auto *blob = static_cast<FWP_BYTE_BLOB *>(std::calloc(1, size));
    blob->size = 4;
    blob->data = reinterpret_cast<UINT8 *>(blob + 1);
    std::memcpy(blob->data, name, sizeof(WCHAR));
    ++library.allocations;
    *id = blob;
    return STATUS_SUCCESS;
}
VOID FwpmFreeMemory0(VOID **p) {
    if (*p) --library.allocations;
    std::free(*p);
    *p = nullptr;
}
NTSTATUS FwpmFilterGetById0(HANDLE, UINT64 id, FWPM_FILTER0 **filter) {
    if (id == 0) return STATUS_FWP_FILTER_NOT_FOUND;
    *filter = static_cast<FWPM_FILTER0 *>(std::calloc(1, sizeof **filter));
    (*filter)->filterId = id;
    ++library.allocations;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmFilterCreateEnumHandle0(HANDLE, const FWPM_FILTER_ENUM_TEMPLATE0 *, HANDLE *handle) {
    ++library.allocations;
    library.pages = 0;
    *handle = &library;
    return STATUS_SUCCESS;
}
// One full page, then one filter.
NTSTATUS FwpmFilterEnum0(HANDLE, HANDLE, UINT32 wanted, FWPM_FILTER0 ***entries, UINT32 *count) {
    static FWPM_FILTER0 filter{};
    *count = library.pages++ == 0 ? wanted : 1;
    *entries = static_cast<FWPM_FILTER0 **>(std::calloc(*count, sizeof(FWPM_FILTER0 *)));
    for (UINT32 i = 0; i < *count; ++i)
        (*entries)[i] = &filter;
    ++library.allocations;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmFilterDestroyEnumHandle0(HANDLE, HANDLE) {
    --library.allocations;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmFilterSubscribeChanges0(HANDLE, const FWPM_FILTER_SUBSCRIPTION0 *,
                                     FWPM_FILTER_CHANGE_CALLBACK0 callback, VOID *context,
                                     HANDLE *handle) {
    library.tell_change = [=](const FWPM_FILTER_CHANGE0 &change) { callback(context, &change); };
    *handle = &library;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmFilterUnsubscribeChanges0(HANDLE, HANDLE) {
    library.tell_change = {};
    return STATUS_SUCCESS;
}
NTSTATUS FwpmNetEventSubscribe2(HANDLE, const FWPM_NET_EVENT_SUBSCRIPTION0 *,
                                FWPM_NET_EVENT_CALLBACK2 callback, VOID *context, HANDLE *handle) {
    library.tell_event = [=](const FWPM_NET_EVENT3 &event) { callback(context, &event); };
    *handle = &library;
    return STATUS_SUCCESS;
}
NTSTATUS FwpmNetEventUnsubscribe0(HANDLE, HANDLE) {
    library.tell_event = {};
    return STATUS_SUCCESS;
}
