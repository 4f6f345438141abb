/* SPDX-License-Identifier: Apache-2.0
 * A driver whose work is management, written as for Windows: it adds one object of each kind, a
 * filter with a provider context, looks at what is there, listens to changes and net events, and
 * takes everything back. Compiled as C and as C++; nothing here may need a cast but those that
 * FwpmFreeMemory0 needs everywhere. */
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#define INITGUID
#include <guiddef.h>

DEFINE_GUID(MANAGING_PROVIDER, 0x3e1c5a10, 0x77d2, 0x4c0b, 0x8a, 0x31, 0x10, 0x5e, 0x6b, 0x2d, 0x90, 0x01);
DEFINE_GUID(MANAGING_CONTEXT, 0x3e1c5a10, 0x77d2, 0x4c0b, 0x8a, 0x31, 0x10, 0x5e, 0x6b, 0x2d, 0x90, 0x02);
DEFINE_GUID(MANAGING_SUBLAYER, 0x3e1c5a10, 0x77d2, 0x4c0b, 0x8a, 0x31, 0x10, 0x5e, 0x6b, 0x2d, 0x90, 0x03);
DEFINE_GUID(MANAGING_CALLOUT, 0x3e1c5a10, 0x77d2, 0x4c0b, 0x8a, 0x31, 0x10, 0x5e, 0x6b, 0x2d, 0x90, 0x04);

static WCHAR Name[] = {'m', 'a', 'n', 'a', 'g', 'i', 'n', 'g', 0};
static UINT8 Settings[] = {1, 2, 3, 4};

static PDEVICE_OBJECT Device;
static HANDLE Engine, Changes, Events, States;
static UINT32 CalloutId;
static UINT64 FilterId;
static volatile LONG Heard;

static VOID NTAPI Classify(IN const FWPS_INCOMING_VALUES *values, IN const FWPS_INCOMING_METADATA_VALUES *meta,
                           IN OUT VOID *layerData, IN OPTIONAL const VOID *classifyContext,
                           IN const FWPS_FILTER *filter, IN UINT64 flowContext, IN OUT FWPS_CLASSIFY_OUT *out) {
  UNREFERENCED_PARAMETER(values);
  UNREFERENCED_PARAMETER(meta);
  UNREFERENCED_PARAMETER(layerData);
  UNREFERENCED_PARAMETER(classifyContext);
  UNREFERENCED_PARAMETER(flowContext);
  out->actionType = filter->providerContext->dataBuffer->size > 3 ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK;
}

static NTSTATUS NTAPI Notify(IN FWPS_CALLOUT_NOTIFY_TYPE type, IN const GUID *filterKey, IN FWPS_FILTER *filter) {
  UNREFERENCED_PARAMETER(filterKey);
  if (type == FWPS_CALLOUT_NOTIFY_ADD_FILTER && filter->providerContext == NULL) return STATUS_INVALID_PARAMETER;
  return STATUS_SUCCESS;
}

static VOID NTAPI OnChange(IN VOID *context, IN const FWPM_FILTER_CHANGE *change) {
  UNREFERENCED_PARAMETER(context);
  if (change->changeType == FWPM_CHANGE_ADD) Heard = Heard + 1;
}

static VOID NTAPI OnEvent(IN VOID *context, IN const FWPM_NET_EVENT1 *event) {
  UNREFERENCED_PARAMETER(context);
  if (event->type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP && event->classifyDrop->filterId == FilterId) Heard = Heard + 1;
}

static VOID NTAPI OnState(IN VOID *context, IN FWPM_SERVICE_STATE state) {
  UNREFERENCED_PARAMETER(context);
  if (state == FWPM_SERVICE_RUNNING) Heard = Heard + 1;
}

static NTSTATUS AddObjects(VOID) {
  FWP_BYTE_BLOB data = {sizeof(Settings), Settings};
  FWPM_PROVIDER provider;
  FWPM_PROVIDER_CONTEXT0 context;
  FWPM_SUBLAYER sublayer;
  FWPM_CALLOUT callout;
  GUID providerKey = MANAGING_PROVIDER;
  NTSTATUS status;
  RtlZeroMemory(&provider, sizeof(provider));
  RtlZeroMemory(&context, sizeof(context));
  RtlZeroMemory(&sublayer, sizeof(sublayer));
  RtlZeroMemory(&callout, sizeof(callout));
  provider.providerKey = MANAGING_PROVIDER;
  provider.displayData.name = Name;
  provider.providerData = data;
  status = FwpmProviderAdd(Engine, &provider, NULL);
  if (!NT_SUCCESS(status)) return status;

  context.providerContextKey = MANAGING_CONTEXT;
  context.displayData.name = Name;
  context.providerKey = &providerKey;
  context.type = FWPM_GENERAL_CONTEXT;
  context.dataBuffer = &data;
  status = FwpmProviderContextAdd0(Engine, &context, NULL, NULL);
  if (!NT_SUCCESS(status)) return status;

  sublayer.subLayerKey = MANAGING_SUBLAYER;
  sublayer.displayData.name = Name;
  sublayer.providerKey = &providerKey;
  sublayer.weight = 0x100;
  status = FwpmSubLayerAdd(Engine, &sublayer, NULL);
  if (!NT_SUCCESS(status)) return status;

  callout.calloutKey = MANAGING_CALLOUT;
  callout.displayData.name = Name;
  callout.providerKey = &providerKey;
  callout.flags = FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT;
  callout.applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
  return FwpmCalloutAdd(Engine, &callout, NULL, NULL);
}

static NTSTATUS AddFilter(VOID) {
  static FWP_V4_ADDR_AND_MASK net = {0xC6336400, 0xFFFFFF00};
  FWPM_FILTER_CONDITION conditions[2];
  FWPM_FILTER filter;
  GUID providerKey = MANAGING_PROVIDER;
  RtlZeroMemory(&filter, sizeof(filter));
  RtlZeroMemory(conditions, sizeof(conditions));
  conditions[0].fieldKey = FWPM_CONDITION_IP_REMOTE_ADDRESS;
  conditions[0].matchType = FWP_MATCH_EQUAL;
  conditions[0].conditionValue.type = FWP_V4_ADDR_MASK;
  conditions[0].conditionValue.v4AddrMask = &net;
  conditions[1].fieldKey = FWPM_CONDITION_IP_PROTOCOL;
  conditions[1].matchType = FWP_MATCH_EQUAL;
  conditions[1].conditionValue.type = FWP_UINT8;
  conditions[1].conditionValue.uint8 = 6;

  filter.displayData.name = Name;
  filter.providerKey = &providerKey;
  filter.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
  filter.subLayerKey = MANAGING_SUBLAYER;
  filter.weight.type = FWP_EMPTY;
  filter.numFilterConditions = ARRAYSIZE(conditions);
  filter.filterCondition = conditions;
  filter.action.type = FWP_ACTION_CALLOUT_TERMINATING;
  filter.action.calloutKey = MANAGING_CALLOUT;
  filter.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
  filter.providerContextKey = MANAGING_CONTEXT;
  return FwpmFilterAdd(Engine, &filter, NULL, &FilterId);
}

/* The filter is there, by its id and among the filters of its callout. */
static NTSTATUS LookAround(VOID) {
  FWPM_FILTER_ENUM_TEMPLATE only;
  FWPM_FILTER *filter = NULL;
  FWPM_FILTER **filters = NULL;
  HANDLE enumeration;
  UINT32 count = 0;
  GUID calloutKey = MANAGING_CALLOUT;
  NTSTATUS status = FwpmFilterGetById(Engine, FilterId, &filter);
  RtlZeroMemory(&only, sizeof(only));
  if (!NT_SUCCESS(status)) return status;
  if (filter->numFilterConditions != 2 || filter->effectiveWeight.type != FWP_UINT64) status = STATUS_UNSUCCESSFUL;
  FwpmFreeMemory((VOID **)&filter);
  if (!NT_SUCCESS(status)) return status;

  only.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
  only.actionMask = 0xFFFFFFFF;
  only.calloutKey = &calloutKey;
  status = FwpmFilterCreateEnumHandle(Engine, &only, &enumeration);
  if (!NT_SUCCESS(status)) return status;
  status = FwpmFilterEnum(Engine, enumeration, 100, &filters, &count);
  if (NT_SUCCESS(status)) {
    if (count != 1 || filters[0]->filterId != FilterId) status = STATUS_UNSUCCESSFUL;
    FwpmFreeMemory((VOID **)&filters);
  }
  FwpmFilterDestroyEnumHandle(Engine, enumeration);
  return status;
}

static NTSTATUS Listen(VOID) {
  FWPM_FILTER_SUBSCRIPTION changes;
  FWPM_NET_EVENT_SUBSCRIPTION events;
  NTSTATUS status = FwpmBfeStateSubscribeChanges(Device, OnState, NULL, &States);
  RtlZeroMemory(&changes, sizeof(changes));
  RtlZeroMemory(&events, sizeof(events));
  if (!NT_SUCCESS(status)) return status;
  changes.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE;
  status = FwpmFilterSubscribeChanges(Engine, &changes, OnChange, NULL, &Changes);
  if (!NT_SUCCESS(status)) return status;
  return FwpmNetEventSubscribe0(Engine, &events, OnEvent, NULL, &Events);
}

static VOID NTAPI Unload(IN PDRIVER_OBJECT DriverObject) {
  UNREFERENCED_PARAMETER(DriverObject);
  if (Events) FwpmNetEventUnsubscribe(Engine, Events);
  if (Changes) FwpmFilterUnsubscribeChanges(Engine, Changes);
  if (States) FwpmBfeStateUnsubscribeChanges(States);
  if (Engine) {
    if (FilterId) FwpmFilterDeleteById(Engine, FilterId);
    FwpmCalloutDeleteByKey(Engine, &MANAGING_CALLOUT);
    FwpmSubLayerDeleteByKey(Engine, &MANAGING_SUBLAYER);
    FwpmProviderContextDeleteByKey(Engine, &MANAGING_CONTEXT);
    FwpmProviderDeleteByKey(Engine, &MANAGING_PROVIDER);
    FwpmEngineClose(Engine);
  }
  if (CalloutId) FwpsCalloutUnregisterById(CalloutId);
  if (Device) IoDeleteDevice(Device);
}

NTSTATUS DriverEntry(IN PDRIVER_OBJECT DriverObject, IN PUNICODE_STRING RegistryPath) {
  FWPS_CALLOUT callout;
  NTSTATUS status;
  RtlZeroMemory(&callout, sizeof(callout));
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->DriverUnload = Unload;

  status = IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, 0, &Device);
  if (NT_SUCCESS(status)) {
    callout.calloutKey = MANAGING_CALLOUT;
    callout.classifyFn = Classify;
    callout.notifyFn = Notify;
    status = FwpsCalloutRegister(Device, &callout, &CalloutId);
  }
  if (NT_SUCCESS(status)) status = FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &Engine);
  if (NT_SUCCESS(status)) status = FwpmTransactionBegin(Engine, 0);
  if (NT_SUCCESS(status)) {
    status = AddObjects();
    if (NT_SUCCESS(status)) status = AddFilter();
    if (NT_SUCCESS(status))
      status = FwpmTransactionCommit(Engine);
    else
      FwpmTransactionAbort(Engine);
  }
  if (NT_SUCCESS(status)) status = LookAround();
  if (NT_SUCCESS(status)) status = Listen();
  if (!NT_SUCCESS(status)) Unload(DriverObject);
  return status;
}
