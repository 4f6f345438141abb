/* SPDX-License-Identifier: Apache-2.0
 * The way of a Windows driver, in its own terms: whatever wants to go out or come in anew is cloned
 * and pended, a worker completes the operation, and the clone is injected. The engine flushes what
 * was pended, so exactly the clone travels. A filter names one of the four callouts:
 *   sluice filter add --layer ale-auth-connect-v4 --action callout --callout pend_connect_v4
 *   sluice filter add --layer ale-auth-recv-accept-v4 --action callout --callout pend_accept_v4
 * Compiled as C; on Windows it is a driver that needs nothing but a management program. */
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#define POOL_TAG 'jnIP'

typedef struct PENDED_ {
  PIO_WORKITEM item;
  HANDLE completionContext;
  NET_BUFFER_LIST *clone; /* NULL: a TCP connect, which has no packet */
  BOOLEAN inbound;
  ADDRESS_FAMILY family;
  COMPARTMENT_ID compartment;
  IF_INDEX interfaceIndex, subInterfaceIndex;
  UINT64 endpoint;
  UCHAR remoteAddress[16]; /* network order; read by the injection, so it lives as long */
  SCOPE_ID remoteScope;
} PENDED;

typedef struct LAYER_ {
  UINT16 id;
  const GUID *key;
  GUID callout;
  WCHAR name[32];
  UINT32 calloutId;
  int flags, remote, interfaceIndex, subInterfaceIndex; /* places of the fields */
} LAYER;

#define PLACES(layer)                                                                              \
  FWPS_FIELD_##layer##_FLAGS, FWPS_FIELD_##layer##_IP_REMOTE_ADDRESS,                              \
      FWPS_FIELD_##layer##_INTERFACE_INDEX, FWPS_FIELD_##layer##_SUB_INTERFACE_INDEX

static LAYER Layers[] = {
    {FWPS_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_LAYER_ALE_AUTH_CONNECT_V4,
     {0x5b1e0c31, 0x8a7d, 0x4f29, {0x93, 0x60, 0x2c, 0x71, 0xe5, 0x0d, 0x44, 0x01}},
     u"pend_connect_v4", 0, PLACES(ALE_AUTH_CONNECT_V4)},
    {FWPS_LAYER_ALE_AUTH_CONNECT_V6, &FWPM_LAYER_ALE_AUTH_CONNECT_V6,
     {0x5b1e0c31, 0x8a7d, 0x4f29, {0x93, 0x60, 0x2c, 0x71, 0xe5, 0x0d, 0x44, 0x02}},
     u"pend_connect_v6", 0, PLACES(ALE_AUTH_CONNECT_V6)},
    {FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4, &FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
     {0x5b1e0c31, 0x8a7d, 0x4f29, {0x93, 0x60, 0x2c, 0x71, 0xe5, 0x0d, 0x44, 0x03}},
     u"pend_accept_v4", 0, PLACES(ALE_AUTH_RECV_ACCEPT_V4)},
    {FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6, &FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
     {0x5b1e0c31, 0x8a7d, 0x4f29, {0x93, 0x60, 0x2c, 0x71, 0xe5, 0x0d, 0x44, 0x04}},
     u"pend_accept_v6", 0, PLACES(ALE_AUTH_RECV_ACCEPT_V6)},
};

static PDEVICE_OBJECT Device;
static HANDLE Engine, Injection;

static const LAYER *LayerOf(UINT16 id) {
  UINT32 i;
  for (i = 0; i < ARRAYSIZE(Layers); ++i)
    if (Layers[i].id == id) return &Layers[i];
  return NULL;
}

static BOOLEAN IsInbound(UINT16 id) {
  return id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 || id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6;
}

static VOID FreePended(PENDED *pended) {
  if (pended->clone != NULL) FwpsFreeCloneNetBufferList0(pended->clone, 0);
  if (pended->item != NULL) IoFreeWorkItem(pended->item);
  ExFreePoolWithTag(pended, POOL_TAG);
}

static VOID NTAPI InjectComplete(VOID *context, NET_BUFFER_LIST *netBufferList,
                                 BOOLEAN dispatchLevel) {
  UNREFERENCED_PARAMETER(netBufferList);
  UNREFERENCED_PARAMETER(dispatchLevel);
  FreePended((PENDED *)context);
}

/* In a thread of its own: completes the operation, then injects what was cloned. */
static VOID NTAPI Complete(PDEVICE_OBJECT device, PVOID context) {
  PENDED *pended = (PENDED *)context;
  NTSTATUS status = STATUS_SUCCESS;
  FWPS_TRANSPORT_SEND_PARAMS0 sendArgs;
  UNREFERENCED_PARAMETER(device);

  /* At connect this classifies again, in this thread; at accept the clone asks when it arrives. */
  FwpsCompleteOperation0(pended->completionContext, pended->inbound ? pended->clone : NULL);
  if (pended->clone == NULL) {
    FreePended(pended);
    return;
  }
  if (pended->inbound) {
    status = FwpsInjectTransportReceiveAsync0(
        Injection, NULL, NULL, 0, pended->family, pended->compartment, pended->interfaceIndex,
        pended->subInterfaceIndex, pended->clone, InjectComplete, pended);
  } else {
    RtlZeroMemory(&sendArgs, sizeof(sendArgs));
    sendArgs.remoteAddress = pended->remoteAddress;
    sendArgs.remoteScopeId = pended->remoteScope;
    status = FwpsInjectTransportSendAsync0(Injection, NULL, pended->endpoint, 0, &sendArgs,
                                           pended->family, pended->compartment, pended->clone,
                                           InjectComplete, pended);
  }
  if (!NT_SUCCESS(status)) FreePended(pended);
}

/* Inbound data begins behind the headers, injection wants the IP header: the clone is made between
 * a retreat and an advance, so that it inherits the earlier start. */
static NTSTATUS Clone(const FWPS_INCOMING_METADATA_VALUES0 *meta, NET_BUFFER_LIST *packet,
                      BOOLEAN inbound, NET_BUFFER_LIST **clone) {
  ULONG headers = inbound ? meta->ipHeaderSize + meta->transportHeaderSize : 0;
  NTSTATUS status = NdisRetreatNetBufferListDataStart(packet, headers, 0, NULL, NULL);
  if (!NT_SUCCESS(status)) return status;
  status = FwpsAllocateCloneNetBufferList0(packet, NULL, NULL, 0, clone);
  NdisAdvanceNetBufferListDataStart(packet, headers, FALSE, NULL);
  return status;
}

static VOID Describe(const LAYER *layer, const FWPS_INCOMING_VALUES0 *values,
                     const FWPS_INCOMING_METADATA_VALUES0 *meta, PENDED *pended) {
  const FWP_VALUE0 *remote = &values->incomingValue[layer->remote].value;
  pended->inbound = IsInbound(values->layerId);
  pended->family = AF_INET;
  if (remote->type == FWP_BYTE_ARRAY16_TYPE) {
    pended->family = AF_INET6;
    RtlCopyMemory(pended->remoteAddress, remote->byteArray16->byteArray16, 16);
  } else {
    ULONG address = RtlUlongByteSwap(remote->uint32); /* values are in host order */
    RtlCopyMemory(pended->remoteAddress, &address, sizeof(address));
  }
  if (FWPS_IS_METADATA_FIELD_PRESENT(meta, FWPS_METADATA_FIELD_COMPARTMENT_ID))
    pended->compartment = (COMPARTMENT_ID)meta->compartmentId;
  if (FWPS_IS_METADATA_FIELD_PRESENT(meta, FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE))
    pended->endpoint = meta->transportEndpointHandle;
  if (FWPS_IS_METADATA_FIELD_PRESENT(meta, FWPS_METADATA_FIELD_REMOTE_SCOPE_ID))
    pended->remoteScope = meta->remoteScopeId;
  pended->interfaceIndex = values->incomingValue[layer->interfaceIndex].value.uint32;
  pended->subInterfaceIndex = values->incomingValue[layer->subInterfaceIndex].value.uint32;
}

static NTSTATUS Pend(const LAYER *layer, const FWPS_INCOMING_VALUES0 *values,
                     const FWPS_INCOMING_METADATA_VALUES0 *meta, NET_BUFFER_LIST *packet) {
  PENDED *pended = (PENDED *)ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*pended), POOL_TAG);
  NTSTATUS status = STATUS_SUCCESS;
  if (pended == NULL) return STATUS_INSUFFICIENT_RESOURCES;
  RtlZeroMemory(pended, sizeof(*pended));
  Describe(layer, values, meta, pended);
  pended->item = IoAllocateWorkItem(Device);
  if (pended->item == NULL) status = STATUS_INSUFFICIENT_RESOURCES;
  if (NT_SUCCESS(status) && packet != NULL)
    status = Clone(meta, packet, pended->inbound, &pended->clone);
  if (NT_SUCCESS(status))
    status = FwpsPendOperation0(meta->completionHandle, &pended->completionContext);
  if (!NT_SUCCESS(status)) {
    FreePended(pended);
    return status;
  }
  IoQueueWorkItem(pended->item, Complete, DelayedWorkQueue, pended);
  return status;
}

static VOID NTAPI Classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *meta, VOID *layerData,
                           const VOID *classifyContext, const FWPS_FILTER *filter,
                           UINT64 flowContext, FWPS_CLASSIFY_OUT0 *out) {
  const LAYER *layer = LayerOf(values->layerId);
  NET_BUFFER_LIST *packet = (NET_BUFFER_LIST *)layerData;
  FWPS_PACKET_INJECTION_STATE state = FWPS_PACKET_NOT_INJECTED;
  UINT32 flags;
  UNREFERENCED_PARAMETER(classifyContext);
  UNREFERENCED_PARAMETER(filter);
  UNREFERENCED_PARAMETER(flowContext);
  if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0 || layer == NULL) return;

  flags = values->incomingValue[layer->flags].value.uint32;
  if (packet != NULL) state = FwpsQueryPacketInjectionState0(Injection, packet, NULL);
  if ((flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0 || state == FWPS_PACKET_INJECTED_BY_SELF ||
      state == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF) {
    out->actionType = FWP_ACTION_PERMIT;
    return;
  }
  out->actionType = FWP_ACTION_BLOCK;
  out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
  if (NT_SUCCESS(Pend(layer, values, meta, packet)))
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static NTSTATUS NTAPI Notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *filterKey,
                             FWPS_FILTER *filter) {
  UNREFERENCED_PARAMETER(type);
  UNREFERENCED_PARAMETER(filterKey);
  UNREFERENCED_PARAMETER(filter);
  return STATUS_SUCCESS;
}

/* Callouts first: no classify follows, so nothing new is pended. Then what was queued: the device
 * waits for it. Then what was injected: the handle waits for it. */
static VOID NTAPI Unload(PDRIVER_OBJECT driver) {
  UINT32 i;
  UNREFERENCED_PARAMETER(driver);
  if (Engine != NULL) FwpmEngineClose0(Engine);
  for (i = 0; i < ARRAYSIZE(Layers); ++i)
    if (Layers[i].calloutId != 0) FwpsCalloutUnregisterById0(Layers[i].calloutId);
  if (Device != NULL) IoDeleteDevice(Device);
  if (Injection != NULL) FwpsInjectionHandleDestroy0(Injection);
}

static NTSTATUS AddCallout(LAYER *layer) {
  FWPS_CALLOUT callout;
  FWPM_CALLOUT object;
  NTSTATUS status;
  RtlZeroMemory(&callout, sizeof(callout));
  callout.calloutKey = layer->callout;
  callout.classifyFn = Classify;
  callout.notifyFn = Notify;
  status = FwpsCalloutRegister(Device, &callout, &layer->calloutId);
  if (!NT_SUCCESS(status)) return status;

  RtlZeroMemory(&object, sizeof(object));
  object.calloutKey = layer->callout;
  object.displayData.name = layer->name;
  object.applicableLayer = *layer->key;
  status = FwpmCalloutAdd(Engine, &object, NULL, NULL);
  return status == STATUS_FWP_ALREADY_EXISTS ? STATUS_SUCCESS : status;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registryPath) {
  static WCHAR name[] = u"pend_and_inject";
  FWPM_SESSION session;
  UNICODE_STRING text;
  NTSTATUS status;
  UINT32 i;
  UNREFERENCED_PARAMETER(registryPath);
  RtlInitUnicodeString(&text, name);
  status = IoCreateDevice(driver, 0, &text, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                          &Device);
  if (NT_SUCCESS(status))
    status = FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &Injection);
  RtlZeroMemory(&session, sizeof(session));
  session.displayData.name = name;
  if (NT_SUCCESS(status))
    status = FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &Engine);
  for (i = 0; i < ARRAYSIZE(Layers) && NT_SUCCESS(status); ++i) status = AddCallout(&Layers[i]);
  if (!NT_SUCCESS(status)) {
    Unload(driver);
    return status;
  }
  driver->DriverUnload = Unload;
  return STATUS_SUCCESS;
}
