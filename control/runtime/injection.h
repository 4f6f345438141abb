// SPDX-License-Identifier: Apache-2.0
// Packets of this process's own making on their way to the kernel. Each is copied into a frame with
// an INJECT downcall in front; the kernel makes its ticket from that and from whose port it is. A
// list is the engine's only while inject() runs: it completes there, in the caller's thread. But
// for the forward path: what the kernel makes of it is heard by the port (forwards.h).
//
// Handles are numbers that are never used again, so that a late or foreign one finds nothing.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "runtime/counters.h"
#include "runtime/forwards.h"
#include "runtime/injection_endpoints.h"
#include "runtime/net_buffer.h"

namespace sluice::runtime {

struct IpHeader;

struct Injection {
    HANDLE handle = nullptr;
    UINT32 needs = 0; // FWPS_INJECTION_TYPE_*
    HANDLE context = nullptr;
    dp_inject_kind kind = DP_INJECT_SEND;
    ADDRESS_FAMILY family = SLUICE_AF_UNSPEC; // unspecified: the handle's
    UINT32 compartment = UNSPECIFIED_COMPARTMENT_ID;
    UINT32 ifindex = 0;
    UINT64 endpoint = 0;
    const FWPS_TRANSPORT_SEND_PARAMS1 *send = nullptr; // the data begins at the transport header
    NET_BUFFER_LIST *lists = nullptr;
    FWPS_INJECT_COMPLETE0 done = nullptr;
    HANDLE done_context = nullptr;
    const void *place = nullptr;           // in whose code
    [[nodiscard]] bool of_frames() const { // as they are, from the MAC header on
        return kind == DP_INJECT_MAC_SEND || kind == DP_INJECT_MAC_RECEIVE;
    }
};

// A chain with a fragment in it.
bool holds_fragments(const NET_BUFFER_LIST *chain);

class Injections {
public:
    // The port of a compartment, or of the engine's own for 0; null: there is none.
    using Ports = std::function<std::shared_ptr<PortLink>(std::uint32_t compartment)>;
    Injections(Ports ports, const Endpoints &endpoints, Forwards &forwards, Counters &counters)
        : ports_(std::move(ports)), endpoints_(endpoints), forwards_(forwards),
          counters_(counters) {}

    NTSTATUS create(ADDRESS_FAMILY family, UINT32 flags, HANDLE *out) EXCLUDES(mutex_);
    NTSTATUS destroy(HANDLE handle) EXCLUDES(mutex_);
    NTSTATUS inject(const Injection &injection) EXCLUDES(mutex_);
    FWPS_PACKET_INJECTION_STATE state(HANDLE handle, const NET_BUFFER_LIST *list, HANDLE *context)
        EXCLUDES(mutex_);

private:
    struct Handle {
        ADDRESS_FAMILY family = SLUICE_AF_UNSPEC;
        UINT32 kinds = 0;
        std::uint32_t running = 0;
        bool closing = false;
    };
    class Use;
    class Forwarded;
    struct EndInjection {
        void operator()(BufferList *list) const { list->end_injection(); }
    };
    using Taken = std::unique_ptr<BufferList, EndInjection>; // for as long as it is the engine's
    struct Parcel {                                          // one list, ready to be sent
        Taken list;
        std::vector<xsk::Frame> frames;
    };
    NTSTATUS enter(const Injection &injection, ADDRESS_FAMILY &family) EXCLUDES(mutex_);
    void leave(HANDLE handle) EXCLUDES(mutex_);
    NTSTATUS pack(const Injection &injection, ADDRESS_FAMILY family, PortLink &port,
                  std::vector<Parcel> &parcels);
    NTSTATUS pack(const Injection &injection, ADDRESS_FAMILY family, PortLink &port,
                  BufferList &list, std::vector<xsk::Frame> &frames);
    NTSTATUS pack(const Injection &injection, ADDRESS_FAMILY family, PortLink &port,
                  const PacketOrigin *origin, const NET_BUFFER &buffer, xsk::Frame &frame);
    NTSTATUS pack_frame(const Injection &injection, const dp_injection &wanted, PortLink &port,
                        const PacketOrigin *origin, const NET_BUFFER &buffer, xsk::Frame &frame);
    NTSTATUS fill(const Injection &injection, ADDRESS_FAMILY family, const PacketOrigin *origin,
                  const NET_BUFFER &buffer, std::span<std::byte> &packet);
    static bool of_endpoint(const Injection &injection, const PacketOrigin *origin);
    NTSTATUS header_for(const Injection &injection, const PacketOrigin *origin, IpHeader &header);
    dp_injection describe(const Injection &injection, const PacketOrigin *origin) EXCLUDES(mutex_);
    NTSTATUS send(const Injection &injection, PortLink &port, std::vector<Parcel> &parcels);
    void complete(const Injection &injection, Taken taken, NTSTATUS status);
    void use_again(HANDLE handle) EXCLUDES(mutex_); // while it is in use
    NTSTATUS forward(const Injection &injection, ADDRESS_FAMILY family,
                     const std::shared_ptr<PortLink> &port, std::vector<Parcel> &parcels);
    NTSTATUS ask_room(const Injection &injection, ADDRESS_FAMILY family, PortLink &port,
                      const NET_BUFFER &buffer, xsk::Frame &frame);

    const Ports ports_;
    const Endpoints &endpoints_;
    Forwards &forwards_;
    Counters &counters_;
    Mutex mutex_;
    Condition left_;
    std::map<std::uint32_t, Handle> handles_ GUARDED_BY(mutex_);
    std::uint32_t last_ GUARDED_BY(mutex_) = 0;
    // Contexts of the injections before the last, which the kernel does not carry.
    using Last = std::pair<std::uint32_t, std::uint64_t>; // handle and context
    std::map<Last, Last> before_ GUARDED_BY(mutex_);
    std::deque<Last> before_order_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
