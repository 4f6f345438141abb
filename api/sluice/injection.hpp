// SPDX-License-Identifier: Apache-2.0
// Injection of packets that a plugin cloned.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "packet.hpp"

namespace sluice {

// Told once of each packet that was taken over, on any thread. What it throws is lost.
using Injected = std::function<void(NTSTATUS)>;

// Where a sent packet goes.
struct Destination {
    UINT64 endpoint = 0;                                     // transportEndpointHandle
    std::vector<UINT8> address;                              // 4 or 16 bytes, network order
    COMPARTMENT_ID compartment = UNSPECIFIED_COMPARTMENT_ID; // that of the packet
};

// Ends with the object, which waits for what is outstanding: not inside an Injected.
class InjectionHandle {
public:
    explicit InjectionHandle(UINT32 kinds = 0, ADDRESS_FAMILY family = SLUICE_AF_UNSPEC) {
        check(FwpsInjectionHandleCreate0(family, kinds, &handle_), "FwpsInjectionHandleCreate0");
    }
    ~InjectionHandle() { FwpsInjectionHandleDestroy0(handle_); }
    InjectionHandle(const InjectionHandle &) = delete;
    InjectionHandle &operator=(const InjectionHandle &) = delete;

    HANDLE get() const noexcept { return handle_; }
    FWPS_PACKET_INJECTION_STATE state(const NET_BUFFER_LIST *list,
                                      HANDLE *context = nullptr) const noexcept {
        return FwpsQueryPacketInjectionState0(handle_, list, context);
    }
    // This handle injected the packet: let it pass.
    bool knows(const NET_BUFFER_LIST *list) const noexcept {
        const auto s = state(list);
        return s == FWPS_PACKET_INJECTED_BY_SELF || s == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF;
    }

    // Takes the packet over; throws Error, and leaves it, where it is refused. The packet begins
    // with its IP header; interface 0: where it came from.
    void receive(ClonedPacket &&packet, UINT32 interface = 0, Injected done = {},
                 HANDLE context = nullptr) const {
        inject(std::move(packet), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectTransportReceiveAsync0(handle_, context, nullptr, 0, family_of(*list),
                                                    UNSPECIFIED_COMPARTMENT_ID, interface, 0, list,
                                                    complete, pending);
        });
    }
    // The same by FwpsInjectNetworkReceiveAsync0: it meets the IP packet layer again. The handle is
    // of kind NETWORK and of the packet's family.
    void receive_packet(ClonedPacket &&packet, UINT32 interface = 0, Injected done = {},
                        HANDLE context = nullptr) const {
        inject(std::move(packet), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectNetworkReceiveAsync0(handle_, context, 0, UNSPECIFIED_COMPARTMENT_ID,
                                                  interface, 0, list, complete, pending);
        });
    }
    // The packet begins with its transport header.
    void send(ClonedPacket &&packet, const Destination &to, Injected done = {},
              HANDLE context = nullptr) const {
        UCHAR address[16] = {};
        const bool v6 = to.address.size() == sizeof address;
        if (!v6 && to.address.size() != 4) throw Error(STATUS_INVALID_PARAMETER, "address");
        std::memcpy(address, to.address.data(), to.address.size());
        FWPS_TRANSPORT_SEND_PARAMS0 args{};
        args.remoteAddress = address; // read before the call returns
        inject(std::move(packet), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectTransportSendAsync0(
                handle_, context, to.endpoint, 0, &args,
                static_cast<ADDRESS_FAMILY>(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET), to.compartment,
                list, complete, pending);
        });
    }
    // The packet begins with its IP header and leaves as the route says; checksums of TCP, UDP and
    // ICMP that are 0 are computed. The handle is of kind NETWORK and of the packet's family.
    void send_packet(ClonedPacket &&packet, Injected done = {}, HANDLE context = nullptr) const {
        inject(std::move(packet), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectNetworkSendAsync0(handle_, context, 0, UNSPECIFIED_COMPARTMENT_ID,
                                               list, complete, pending);
        });
    }

    // The packet begins with its IP header, as at IPFORWARD, and is neither from nor to this
    // machine; no layer sees it any more. interface 0: by the route.
    void forward(ClonedPacket &&packet, UINT32 interface = 0, Injected done = {}) const {
        inject(std::move(packet), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectForwardAsync0(handle_, nullptr, 0, family_of(*list),
                                           UNSPECIFIED_COMPARTMENT_ID, interface, list, complete,
                                           pending);
        });
    }

    // The frame begins with its MAC header, goes as it is, and meets the MAC layer of its
    // direction. interface 0: where it came from. The handle is of kind L2.
    void receive_frame(ClonedPacket &&frame, UINT32 interface = 0, Injected done = {},
                       HANDLE context = nullptr) const {
        inject(std::move(frame), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectMacReceiveAsync0(handle_, context, 0,
                                              FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, interface, 0,
                                              list, complete, pending);
        });
    }
    void send_frame(ClonedPacket &&frame, UINT32 interface = 0, Injected done = {},
                    HANDLE context = nullptr) const {
        inject(std::move(frame), std::move(done), [&](NET_BUFFER_LIST *list, void *pending) {
            return FwpsInjectMacSendAsync0(handle_, context, 0,
                                           FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, interface, 0,
                                           list, complete, pending);
        });
    }

private:
    struct Pending {
        ClonedPacket packet;
        Injected done;
    };
    static ADDRESS_FAMILY family_of(NET_BUFFER_LIST &list) {
        UINT8 byte = 0;
        NET_BUFFER *buffer = NET_BUFFER_LIST_FIRST_NB(&list);
        const void *at = buffer ? NdisGetDataBuffer(buffer, 1, &byte, 1, 0) : nullptr;
        const bool v6 = at && *static_cast<const UINT8 *>(at) >> 4 == 6;
        return static_cast<ADDRESS_FAMILY>(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET);
    }
    static VOID NTAPI complete(VOID *context, NET_BUFFER_LIST *list, BOOLEAN) {
        const std::unique_ptr<Pending> pending(static_cast<Pending *>(context));
        try {
            if (pending->done) pending->done(NET_BUFFER_LIST_STATUS(list));
        } catch (...) { // nobody is there to catch it
        }
    }
    template <typename Call>
    static void inject(ClonedPacket &&packet, Injected done, const Call &call) {
        if (!packet) throw Error(STATUS_FWP_NULL_POINTER, "packet");
        auto pending = std::make_unique<Pending>(Pending{std::move(packet), std::move(done)});
        Pending &own = *pending;
        const NTSTATUS status = call(own.packet.get(), pending.get());
        if (NT_SUCCESS(status)) {
            (void)pending.release(); // completed, or to be
            return;
        }
        packet = std::move(own.packet);
        throw Error(status, "inject");
    }

    HANDLE handle_ = nullptr;
};

} // namespace sluice
