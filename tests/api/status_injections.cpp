// SPDX-License-Identifier: Apache-2.0
// Injection, through the exported functions, into a port in memory.
#include <future>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "packets.h"
#include "status_world.h"

namespace sluice::test {

namespace {

struct Arguments {
    HANDLE handle = nullptr;
    PVOID reserved = nullptr;
    UINT32 flags = 0;
    NET_BUFFER_LIST *list = nullptr;
    FWPS_INJECT_COMPLETE0 done = nullptr;
    UINT64 endpoint = 9;
    UINT16 layer = 0;
    IF_INDEX interface = 3;
    UCHAR *remote = nullptr;
    int *completed = nullptr;
};
using Inject = NTSTATUS (*)(const Arguments &);

constexpr auto any_compartment = UNSPECIFIED_COMPARTMENT_ID;

NTSTATUS transport_receive(const Arguments &a) {
    return FwpsInjectTransportReceiveAsync0(a.handle, nullptr, a.reserved, a.flags, SLUICE_AF_INET,
                                            any_compartment, 3, 0, a.list, a.done, a.completed);
}
NTSTATUS network_receive(const Arguments &a) {
    return FwpsInjectNetworkReceiveAsync0(a.handle, nullptr, a.flags, any_compartment, 3, 0, a.list,
                                          a.done, a.completed);
}
NTSTATUS network_send(const Arguments &a) {
    return FwpsInjectNetworkSendAsync0(a.handle, nullptr, a.flags, any_compartment, a.list, a.done,
                                       a.completed);
}
NTSTATUS transport_send_0(const Arguments &a) {
    FWPS_TRANSPORT_SEND_PARAMS0 args{};
    args.remoteAddress = a.remote;
    return FwpsInjectTransportSendAsync0(a.handle, nullptr, a.endpoint, a.flags, &args,
                                         SLUICE_AF_INET, any_compartment, a.list, a.done,
                                         a.completed);
}
NTSTATUS transport_send_1(const Arguments &a) {
    FWPS_TRANSPORT_SEND_PARAMS1 args{};
    args.remoteAddress = a.remote;
    return FwpsInjectTransportSendAsync1(a.handle, nullptr, a.endpoint, a.flags, &args,
                                         SLUICE_AF_INET, any_compartment, a.list, a.done,
                                         a.completed);
}

NTSTATUS mac_receive(const Arguments &a) {
    return FwpsInjectMacReceiveAsync0(a.handle, nullptr, a.flags, a.layer, a.interface, 0, a.list,
                                      a.done, a.completed);
}
NTSTATUS mac_send(const Arguments &a) {
    return FwpsInjectMacSendAsync0(a.handle, nullptr, a.flags, a.layer, a.interface, 0, a.list,
                                   a.done, a.completed);
}

NTSTATUS forward(const Arguments &a) {
    return FwpsInjectForwardAsync0(a.handle, nullptr, a.flags, SLUICE_AF_INET, any_compartment, 0,
                                   a.list, a.done, a.completed);
}

VOID count_completion(VOID *context, NET_BUFFER_LIST *list, BOOLEAN) {
    EXPECT_EQ(NET_BUFFER_LIST_STATUS(list), STATUS_SUCCESS);
    ++*static_cast<int *>(context);
}

// A packet of endpoint 9 comes up, so that its local address is known.
void show_endpoint(FakePort &port) {
    dp_upcall u{};
    u.kind = DP_UPCALL_CLASSIFY;
    u.endpoint = 9;
    u.key.local = {0, 0xFFFF0A000001ull};
    u.key.protocol = 17;
    u.filter_id = 1;
    u.compartment = 1;
    protocol::FilterTable table;
    table.add_filters()->set_id(1); // of no callout: answered at once
    fwp::engine().filters().install(table, [](const auto &) { return 0; });
    port.inject(u, "packet");
    port.wait_sent(1);
}

// What is wrong with frames only. Each is refused, and nothing of the list is taken.
void refuse_frames(Inject call, Arguments a) {
    NET_BUFFER *const buffer = a.list->FirstNetBuffer;
    const UINT16 layer = a.layer;
    for (const int other :
         {FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
          FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE, FWPS_LAYER_INBOUND_IPPACKET_V4}) {
        a.layer = static_cast<UINT16>(other);
        if (a.layer != layer) EXPECT_EQ(call(a), STATUS_INVALID_PARAMETER) << other;
    }
    a.layer = layer;
    a.interface = 0; // and the list is no clone of a frame
    EXPECT_EQ(call(a), STATUS_INVALID_PARAMETER);
    a.interface = 3;
    const ULONG whole = buffer->DataLength;
    for (const ULONG bytes : {0u, 13u, 3287u, 65536u, 0xFFFFFFFFu}) {
        buffer->DataLength = bytes;
        EXPECT_EQ(call(a), STATUS_INVALID_PARAMETER) << bytes;
    }
    buffer->DataLength = whole;
}

NTSTATUS injecting(Inject call, bool network, NTSTATUS wanted) {
    Packets packets;
    auto port = std::make_shared<FakePort>();
    const bool up = wanted != STATUS_FWP_TCPIP_NOT_READY;
    if (up) fwp::engine().attach(1, 1, port);
    if (up) show_endpoint(*port);
    HANDLE handle = nullptr;
    const UINT32 wrong_kind = FWPS_INJECTION_TYPE_STREAM;
    const bool frames = call == mac_send || call == mac_receive;
    const UINT32 kind = wanted == STATUS_FWP_INJECT_HANDLE_STALE ? wrong_kind
                        : network                                ? FWPS_INJECTION_TYPE_NETWORK
                        : call == forward                        ? FWPS_INJECTION_TYPE_FORWARD
                        : frames                                 ? FWPS_INJECTION_TYPE_L2
                                                                 : FWPS_INJECTION_TYPE_TRANSPORT;
    EXPECT_EQ(FwpsInjectionHandleCreate0(frames ? SLUICE_AF_UNSPEC : SLUICE_AF_INET, kind, &handle),
              STATUS_SUCCESS);
    int completed = 0;
    UCHAR remote[4] = {10, 0, 0, 2};
    Arguments a;
    a.handle = handle;
    a.list = packets.udp_packet();
    a.done = count_completion;
    a.remote = remote;
    a.completed = &completed;
    a.layer = call == mac_send ? FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET
                               : FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET;
    NET_BUFFER_LIST *const list = a.list;
    NET_BUFFER_LIST foreign{};
    if (wanted == STATUS_FWP_NULL_POINTER) {
        a.list = nullptr;
        EXPECT_EQ(call(a), wanted);
        a.list = list;
        a.done = nullptr;
    }
    if (wanted == STATUS_FWP_INVALID_FLAGS) a.flags = 2;
    if (wanted == STATUS_INVALID_PARAMETER) {
        a.list = &foreign;
        EXPECT_EQ(call(a), wanted);
        a.list = list;
        if (frames) refuse_frames(call, a);
        packets.bytes[0] = 0x65; // IPv6 in IPv4's function
        list->FirstNetBuffer->DataLength = call == transport_send_0 || call == transport_send_1
                                               ? 0 // nothing at all
                                           : frames ? 13
                                                    : 32;
    }
    if (wanted == STATUS_NOT_FOUND) a.endpoint = 10;
    if (wanted == STATUS_INVALID_HANDLE) a.handle = &completed;
    if (wanted == STATUS_FWP_INJECT_HANDLE_CLOSING) {
        EXPECT_EQ(FwpsInjectionHandleDestroy0(handle), STATUS_SUCCESS);
    }
    const NTSTATUS status = call(a);
    (void)FwpsInjectionHandleDestroy0(handle); // waits for what completes later
    EXPECT_EQ(completed, status == STATUS_SUCCESS ? 1 : 0);
    if (up) {
        EXPECT_EQ(port->sent().size(), status == STATUS_SUCCESS ? 2u : 1u);
    }
    fwp::engine().detach(1);
    FwpsFreeNetBufferList0(list);
    return status;
}

// Of a list that the kernel does not forward: its status.
NTSTATUS not_forwarded(dp_reason reason) {
    Packets packets;
    auto port = std::make_shared<FakePort>();
    port->forward_reason = reason;
    port->forward_mtu = 576;
    port->forwards_refused = 1;
    fwp::engine().attach(1, 1, port);
    HANDLE handle = nullptr;
    EXPECT_EQ(FwpsInjectionHandleCreate0(SLUICE_AF_INET, FWPS_INJECTION_TYPE_FORWARD, &handle),
              STATUS_SUCCESS);
    std::promise<NTSTATUS> status;
    NET_BUFFER_LIST *const list = packets.udp_packet();
    packets.bytes[6] = 0x40; // DF
    EXPECT_EQ(FwpsInjectForwardAsync0(
                  handle, nullptr, 0, SLUICE_AF_INET, any_compartment, 0, list,
                  [](VOID *context, NET_BUFFER_LIST *done, BOOLEAN) {
                      static_cast<std::promise<NTSTATUS> *>(context)->set_value(
                          NET_BUFFER_LIST_STATUS(done));
                  },
                  &status),
              STATUS_SUCCESS);
    const NTSTATUS said = status.get_future().get();
    EXPECT_EQ(FwpsInjectionHandleDestroy0(handle), STATUS_SUCCESS);
    fwp::engine().detach(1);
    FwpsFreeNetBufferList0(list);
    return said;
}

NTSTATUS creating(NTSTATUS wanted) {
    HANDLE handle = nullptr;
    UINT32 flags = 0;
    ADDRESS_FAMILY family = SLUICE_AF_UNSPEC;
    if (wanted == STATUS_FWP_NULL_POINTER) return FwpsInjectionHandleCreate0(0, 0, nullptr);
    if (wanted == STATUS_FWP_INVALID_FLAGS) flags = 0x80;
    if (wanted == STATUS_NOT_SUPPORTED) flags = FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT;
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(FwpsInjectionHandleCreate0(family, FWPS_INJECTION_TYPE_NETWORK, &handle), wanted);
        EXPECT_EQ(FwpsInjectionHandleCreate0(SLUICE_AF_INET, FWPS_INJECTION_TYPE_L2, &handle),
                  wanted);
        family = 10; // this system's AF_INET6
    }
    const NTSTATUS status = FwpsInjectionHandleCreate0(family, flags, &handle);
    EXPECT_EQ(handle != nullptr, status == STATUS_SUCCESS);
    (void)FwpsInjectionHandleDestroy0(handle);
    return status;
}

NTSTATUS destroying(NTSTATUS wanted) {
    static HANDLE handle;
    static NTSTATUS inside;
    EXPECT_EQ(FwpsInjectionHandleCreate0(0, 0, &handle), STATUS_SUCCESS);
    if (wanted == STATUS_INVALID_HANDLE) {
        EXPECT_EQ(FwpsInjectionHandleDestroy0(handle), STATUS_SUCCESS);
        return FwpsInjectionHandleDestroy0(nullptr);
    }
    if (wanted == STATUS_FWP_IN_USE) {
        Packets packets;
        auto port = std::make_shared<FakePort>();
        fwp::engine().attach(1, 1, port);
        Arguments a;
        a.handle = handle;
        a.list = packets.udp_packet();
        a.done = [](VOID *, NET_BUFFER_LIST *, BOOLEAN) {
            inside = FwpsInjectionHandleDestroy0(handle);
        };
        EXPECT_EQ(transport_receive(a), STATUS_SUCCESS);
        fwp::engine().detach(1);
        EXPECT_EQ(FwpsInjectionHandleDestroy0(handle), STATUS_SUCCESS);
        FwpsFreeNetBufferList0(a.list);
        return inside;
    }
    const NTSTATUS first = FwpsInjectionHandleDestroy0(handle);
    return wanted == STATUS_SUCCESS ? first : FwpsInjectionHandleDestroy0(handle);
}

NTSTATUS asking_the_state() {
    Packets packets;
    HANDLE handle = nullptr, context = nullptr;
    EXPECT_EQ(FwpsInjectionHandleCreate0(0, 0, &handle), STATUS_SUCCESS);
    NET_BUFFER_LIST *list = packets.list(8);
    EXPECT_EQ(FwpsQueryPacketInjectionState0(handle, list, &context), FWPS_PACKET_NOT_INJECTED);
    EXPECT_EQ(FwpsQueryPacketInjectionState0(handle, nullptr, nullptr), FWPS_PACKET_NOT_INJECTED);
    EXPECT_EQ(FwpsInjectionHandleDestroy0(handle), STATUS_SUCCESS);
    EXPECT_EQ(FwpsQueryPacketInjectionState0(handle, list, &context),
              FWPS_PACKET_INJECTION_STATE_MAX);
    FwpsFreeNetBufferList0(list);
    return STATUS_SUCCESS;
}

} // namespace

void injection_rows() {
    for (const Status s :
         {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER), STATUS(STATUS_FWP_INVALID_FLAGS),
          STATUS(STATUS_INVALID_PARAMETER), STATUS(STATUS_NOT_SUPPORTED)})
        row("FwpsInjectionHandleCreate0", s, [s] { return creating(s.value); });
    for (const Status s : {STATUS(STATUS_SUCCESS), STATUS(STATUS_INVALID_HANDLE),
                           STATUS(STATUS_FWP_INJECT_HANDLE_CLOSING), STATUS(STATUS_FWP_IN_USE)})
        row("FwpsInjectionHandleDestroy0", s, [s] { return destroying(s.value); });
    row("FwpsQueryPacketInjectionState0", STATUS_SUCCESS, asking_the_state);
    const struct {
        const char *name;
        Inject call;
        bool network;
    } functions[] = {{"FwpsInjectTransportReceiveAsync0", transport_receive, false},
                     {"FwpsInjectNetworkReceiveAsync0", network_receive, true},
                     {"FwpsInjectTransportSendAsync0", transport_send_0, false},
                     {"FwpsInjectTransportSendAsync1", transport_send_1, false},
                     {"FwpsInjectForwardAsync0", forward, false},
                     {"FwpsInjectMacReceiveAsync0", mac_receive, false},
                     {"FwpsInjectMacSendAsync0", mac_send, false},
                     {"FwpsInjectNetworkSendAsync0", network_send, true}};
    for (const auto &f : functions) {
        for (const Status s :
             {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER),
              STATUS(STATUS_FWP_INVALID_FLAGS), STATUS(STATUS_INVALID_PARAMETER),
              STATUS(STATUS_INVALID_HANDLE), STATUS(STATUS_FWP_INJECT_HANDLE_CLOSING),
              STATUS(STATUS_FWP_INJECT_HANDLE_STALE), STATUS(STATUS_FWP_TCPIP_NOT_READY)})
            row(f.name, s, [=] { return injecting(f.call, f.network, s.value); });
    }
    row("FwpsInjectForwardAsync0", STATUS(STATUS_NETWORK_UNREACHABLE),
        [] { return not_forwarded(DP_REASON_INJECT_NO_ROUTE); });
    row("FwpsInjectForwardAsync0", STATUS(STATUS_BUFFER_OVERFLOW),
        [] { return not_forwarded(DP_REASON_INJECT_TOO_BIG); });
    for (const auto &f : {functions[2], functions[3]})
        row(f.name, STATUS(STATUS_NOT_FOUND),
            [=] { return injecting(f.call, f.network, STATUS_NOT_FOUND); });
}

} // namespace sluice::test
