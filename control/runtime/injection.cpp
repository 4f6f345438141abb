// SPDX-License-Identifier: Apache-2.0
#include "runtime/injection.h"

#include <algorithm>
#include <cstring>

#include "runtime/holds.h"
#include "runtime/injection_control.h"
#include "runtime/injection_frame.h"
#include "runtime/injection_packet.h"
#include "runtime/net_buffer_tags.h"
#include "runtime/pace.h"

namespace sluice::runtime {

namespace {

constexpr std::size_t before_kept = 4096;
constexpr UINT32 kinds_known = FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT |
                               FWPS_INJECTION_TYPE_NETWORK | FWPS_INJECTION_TYPE_FORWARD |
                               FWPS_INJECTION_TYPE_L2 | FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT;
constexpr UINT32 kinds_default =
    FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_FORWARD;
constexpr std::uint32_t injection_first = 0x2001, injection_step = 0x10;

std::uint32_t injection_number(HANDLE handle) {
    const auto value = reinterpret_cast<std::uintptr_t>(handle);
    return value > UINT32_MAX ? 0 : static_cast<std::uint32_t>(value);
}

thread_local std::vector<std::uint32_t> completing; // handles whose completionFn runs here

FWPS_NET_BUFFER_LIST_EVENT_TYPE0 completion_event(dp_inject_kind kind) {
    switch (kind) {
    case DP_INJECT_RECEIVE:
        return FWPS_NET_BUFFER_LIST_NDIS_RECV_COMPLETE;
    case DP_INJECT_MAC_SEND:
        return FWPS_NET_BUFFER_LIST_NDIS_ETHERNET_SEND_COMPLETE;
    case DP_INJECT_MAC_RECEIVE:
        return FWPS_NET_BUFFER_LIST_NDIS_ETHERNET_RECV_COMPLETE;
    default:
        return FWPS_NET_BUFFER_LIST_NDIS_SEND_COMPLETE;
    }
}

std::span<const std::byte> bytes_of(const void *p, std::size_t count) {
    return {static_cast<const std::byte *>(p), count};
}

// How often the packet will have been injected: callouts that inject what others injected are to
// end some time.
std::uint32_t times(const PacketOrigin *origin) {
    return origin ? origin->injected.times + 1 : 1;
}

} // namespace

// ---- handles ----

class Injections::Use {
public:
    Use(Injections &all, HANDLE handle) : all_(all), handle_(handle) {}
    ~Use() { all_.leave(handle_); }
    Use(const Use &) = delete;
    Use &operator=(const Use &) = delete;

private:
    Injections &all_;
    HANDLE handle_;
};

NTSTATUS Injections::create(ADDRESS_FAMILY family, UINT32 flags, HANDLE *out) {
    if (!out) return STATUS_FWP_NULL_POINTER;
    if (flags & ~kinds_known) return STATUS_FWP_INVALID_FLAGS;
    if (flags & FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT) return STATUS_NOT_SUPPORTED;
    const bool named = family == SLUICE_AF_INET || family == SLUICE_AF_INET6;
    if (!named && family != SLUICE_AF_UNSPEC) return STATUS_INVALID_PARAMETER;
    if ((flags & FWPS_INJECTION_TYPE_NETWORK) && !named) return STATUS_INVALID_PARAMETER;
    if ((flags & FWPS_INJECTION_TYPE_L2) && (named || flags != FWPS_INJECTION_TYPE_L2))
        return STATUS_INVALID_PARAMETER;
    Lock lock(mutex_);
    last_ = last_ ? last_ + injection_step : injection_first;
    handles_[last_] = {family, flags ? flags : kinds_default, 0, false};
    *out = reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(last_));
    return STATUS_SUCCESS;
}

NTSTATUS Injections::destroy(HANDLE handle) {
    const std::uint32_t number = injection_number(handle);
    Lock lock(mutex_);
    const auto at = handles_.find(number);
    if (at == handles_.end()) return STATUS_INVALID_HANDLE;
    if (std::find(completing.begin(), completing.end(), number) != completing.end())
        return STATUS_FWP_IN_USE;
    if (at->second.closing) return STATUS_FWP_INJECT_HANDLE_CLOSING;
    at->second.closing = true;
    if (at->second.running > 0) Pace::give_way_here();
    while (at->second.running > 0)
        left_.wait(lock);
    return STATUS_SUCCESS; // the entry stays: later injections are told that it is closing
}

NTSTATUS Injections::enter(const Injection &in, ADDRESS_FAMILY &family) {
    Lock lock(mutex_);
    const auto at = handles_.find(injection_number(in.handle));
    if (at == handles_.end()) return STATUS_INVALID_HANDLE;
    Handle &handle = at->second;
    if (handle.closing) return STATUS_FWP_INJECT_HANDLE_CLOSING;
    if ((handle.kinds & in.needs) == 0) return STATUS_FWP_INJECT_HANDLE_STALE;
    if (in.of_frames()) {
        ++handle.running;
        return STATUS_SUCCESS;
    }
    family = in.needs == FWPS_INJECTION_TYPE_NETWORK ? handle.family : in.family;
    const bool named = family == SLUICE_AF_INET || family == SLUICE_AF_INET6;
    if (!named || (handle.family != SLUICE_AF_UNSPEC && handle.family != family))
        return STATUS_INVALID_PARAMETER;
    ++handle.running;
    return STATUS_SUCCESS;
}

void Injections::use_again(HANDLE handle) {
    Lock lock(mutex_);
    ++handles_[injection_number(handle)].running;
}

void Injections::leave(HANDLE handle) {
    Lock lock(mutex_);
    if (--handles_[injection_number(handle)].running == 0) left_.notify_all();
}

// ---- packets ----

NTSTATUS Injections::inject(const Injection &in) {
    if (!in.lists || (!in.done && !in.of_frames())) return STATUS_FWP_NULL_POINTER;
    const BufferList *first = BufferList::of(in.lists);
    if (!first) return STATUS_INVALID_PARAMETER;
    ADDRESS_FAMILY family = SLUICE_AF_UNSPEC;
    if (const NTSTATUS status = enter(in, family); status != STATUS_SUCCESS) return status;
    const Use use(*this, in.handle);
    const bool inherit = in.compartment == UNSPECIFIED_COMPARTMENT_ID && first->origin();
    const auto port = ports_(inherit ? first->origin()->compartment : in.compartment);
    if (!port || port->io->closed()) return STATUS_FWP_TCPIP_NOT_READY;
    std::vector<Parcel> parcels;
    if (const NTSTATUS status = pack(in, family, *port, parcels); status != STATUS_SUCCESS)
        return status;
    // What was one packet goes as one list: fragments are forwarded alone. By now the chain is
    // known to have an end.
    if (in.kind == DP_INJECT_FORWARD && in.lists->Next && holds_fragments(in.lists))
        return STATUS_INVALID_PARAMETER;
    return in.kind == DP_INJECT_FORWARD ? forward(in, family, port, parcels)
                                        : send(in, *port, parcels);
}

NTSTATUS Injections::pack(const Injection &in, ADDRESS_FAMILY family, PortLink &port,
                          std::vector<Parcel> &parcels) {
    for (NET_BUFFER_LIST *at = in.lists; at; at = at->Next) {
        BufferList *list = BufferList::of(at);
        // Taken already: by another injection that runs, or twice in this chain.
        if (!list || !list->begin_injection()) return STATUS_INVALID_PARAMETER;
        auto &parcel = parcels.emplace_back(Parcel{Taken(list), {}});
        // Only what callouts were shown, and give back, needs nobody to free it.
        if (!in.done && list->kind() != BufferList::Kind::indicated) return STATUS_FWP_NULL_POINTER;
        const NTSTATUS status = pack(in, family, port, *list, parcel.frames);
        if (status != STATUS_SUCCESS) return status;
    }
    return STATUS_SUCCESS;
}

NTSTATUS Injections::pack(const Injection &in, ADDRESS_FAMILY family, PortLink &port,
                          BufferList &list, std::vector<xsk::Frame> &frames) {
    const PacketOrigin *origin = list.origin();
    const bool one_only = !in.send && in.kind != DP_INJECT_MAC_SEND;
    if (!list.FirstNetBuffer || (one_only && list.FirstNetBuffer->Next))
        return STATUS_INVALID_PARAMETER;
    for (const NET_BUFFER *b = list.FirstNetBuffer; b; b = b->Next) {
        xsk::Frame frame;
        const NTSTATUS status = pack(in, family, port, origin, *b, frame);
        if (status != STATUS_SUCCESS) return status;
        frames.push_back(std::move(frame));
    }
    return STATUS_SUCCESS;
}

NTSTATUS Injections::pack(const Injection &in, ADDRESS_FAMILY family, PortLink &port,
                          const PacketOrigin *origin, const NET_BUFFER &buffer, xsk::Frame &frame) {
    dp_injection injection = describe(in, origin);
    if ((in.kind == DP_INJECT_RECEIVE || in.of_frames()) && injection.ifindex == 0)
        return STATUS_INVALID_PARAMETER;
    if (in.of_frames()) return pack_frame(in, injection, port, origin, buffer, frame);
    if (in.kind == DP_INJECT_FORWARD && buffer.DataLength > DP_INJECT_BYTES)
        return ask_room(in, family, port, buffer, frame);
    if (buffer.DataLength == 0 || buffer.DataLength > DP_INJECT_BYTES)
        return STATUS_INVALID_PARAMETER;
    auto room = port.io->allocate();
    if (!room || !room->set_bounds(0, before_packet + DP_INJECT_BYTES))
        return STATUS_INSUFFICIENT_RESOURCES;
    auto packet = room->bytes().subspan(before_packet);
    const NTSTATUS status = fill(in, family, origin, buffer, packet);
    if (status != STATUS_SUCCESS) return status;
    const auto shape = ip_shape(packet);
    if (!shape || shape->v6 != (family == SLUICE_AF_INET6)) return STATUS_INVALID_PARAMETER;
    packet = packet.first(shape->total);
    if (in.kind == DP_INJECT_SEND && stays_on_link(packet, shape->v6)) {
        const ULONG zone = in.send ? in.send->remoteScopeId.Zone : 0;
        injection.ifindex = zone ? zone : origin ? origin->ifindex : 0;
    }
    const bool tagged = goes_as_before(injection, origin, packet, shape->v6);
    if (tagged) injection.ifindex = origin->ifindex;
    complete_sums(packet, *shape,
                  in.send                     ? Sums::all
                  : in.kind == DP_INJECT_SEND ? Sums::open
                                              : Sums::received);
    write_injection(room->bytes(), injection, in.kind == DP_INJECT_FORWARD ? 0 : times(origin),
                    origin);
    if (!room->set_bounds(0, static_cast<std::uint32_t>(before_packet + packet.size())))
        return STATUS_INVALID_PARAMETER;
    if (tagged && !put_tags(*room, origin->tags)) return STATUS_INVALID_PARAMETER;
    frame = *std::move(room);
    return STATUS_SUCCESS;
}

// As it is: whoever injects a frame has made all of it.
NTSTATUS Injections::pack_frame(const Injection &, const dp_injection &wanted, PortLink &port,
                                const PacketOrigin *origin, const NET_BUFFER &buffer,
                                xsk::Frame &frame) {
    const std::size_t bytes = buffer.DataLength;
    if (bytes < ethernet_header || bytes > frame_max) return STATUS_INVALID_PARAMETER;
    auto room = port.io->allocate();
    if (!room || !room->set_bounds(0, static_cast<std::uint32_t>(before_frame + bytes)))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (read(buffer, 0, room->bytes().subspan(before_frame)) != bytes)
        return STATUS_INVALID_PARAMETER;
    copied_bytes().injection += bytes;
    write_head(room->bytes(), wanted, times(origin));
    frame = *std::move(room);
    return STATUS_SUCCESS;
}

// The whole IP packet, without checksums. packet: the room for it, then what it took of that.
NTSTATUS Injections::fill(const Injection &in, ADDRESS_FAMILY family, const PacketOrigin *origin,
                          const NET_BUFFER &buffer, std::span<std::byte> &packet) {
    const std::size_t data = buffer.DataLength;
    std::size_t head = 0;
    std::span<const std::byte> kept; // of the packet that the list was cloned from
    IpHeader header;
    header.v6 = family == SLUICE_AF_INET6;
    const bool given = in.send && in.send->headerIncludeHeader;
    if (in.send && !in.send->remoteAddress) return STATUS_FWP_NULL_POINTER;
    if (given) {
        head = in.send->headerIncludeHeaderLength;
    } else if (in.send) {
        const NTSTATUS status = header_for(in, origin, header);
        if (status != STATUS_SUCCESS) return status;
        kept = of_endpoint(in, origin) ? std::span(origin->header) : kept;
        head = kept.empty() ? header.bytes() : kept.size();
    }
    if (head > packet.size() - data) return STATUS_INVALID_PARAMETER;
    packet = packet.first(head + data);
    if (read(buffer, 0, packet.subspan(head)) != data) return STATUS_INVALID_PARAMETER;
    copied_bytes().injection += data;
    if (given) {
        std::memcpy(packet.data(), in.send->headerIncludeHeader, head);
        const auto target = bytes_of(in.send->remoteAddress, header.address_bytes());
        if (!adopt_ip_header(header.v6, target, data, packet.first(head)))
            return STATUS_INVALID_PARAMETER;
    } else if (!kept.empty()) {
        std::copy(kept.begin(), kept.end(), packet.begin());
        if (!keep_ip_header(header, data, packet.first(head))) return STATUS_INVALID_PARAMETER;
    } else if (in.send) {
        write_ip_header(header, data, packet);
    }
    return STATUS_SUCCESS;
}

// The list was cloned from a packet of the endpoint's.
bool Injections::of_endpoint(const Injection &in, const PacketOrigin *origin) {
    return origin && origin->key.protocol != 0 &&
           (in.endpoint == 0 || origin->endpoint == 0 || origin->endpoint == in.endpoint);
}

NTSTATUS Injections::header_for(const Injection &in, const PacketOrigin *origin, IpHeader &header) {
    if (of_endpoint(in, origin)) {
        header.source = network_order(origin->key.local, header.v6);
        header.protocol = origin->key.protocol;
        if (origin->hop_limit) {
            header.hop_limit = origin->hop_limit;
            header.traffic_class = origin->traffic_class;
            header.dont_fragment = origin->dont_fragment;
        }
    } else if (const auto endpoint = endpoints_.find(in.endpoint)) {
        header.source = network_order(endpoint->local, header.v6);
        header.protocol = endpoint->protocol;
    } else {
        return STATUS_NOT_FOUND;
    }
    std::memcpy(header.target.data(), in.send->remoteAddress, header.address_bytes());
    return read_control(in.send->controlData, in.send->controlDataLength, header)
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

dp_injection Injections::describe(const Injection &in, const PacketOrigin *origin) {
    dp_injection out{};
    out.handle = injection_number(in.handle);
    out.context = reinterpret_cast<std::uintptr_t>(in.context);
    out.kind = in.kind;
    out.endpoint = in.endpoint;
    if (in.kind == DP_INJECT_RECEIVE || in.of_frames())
        out.ifindex = in.ifindex ? in.ifindex : origin ? origin->ifindex : 0;
    if (in.kind == DP_INJECT_FORWARD) out.ifindex = in.ifindex;
    if (!origin || origin->injected.host == 0) return out;
    const dp_injected &last = origin->injected;
    if (last.host != origin->host) { // so that its host knows the packet again
        out.previous = last.handle;
        out.previous_host = static_cast<__u16>(last.host);
        return out;
    }
    if (last.handle == out.handle) {
        out.previous = last.previous;
        out.previous_host = last.previous_host;
        return out;
    }
    out.previous = last.handle;
    const Last now{out.handle, out.context};
    Lock lock(mutex_);
    if (!before_.insert_or_assign(now, Last{last.handle, last.context}).second) return out;
    before_order_.push_back(now);
    if (before_order_.size() <= before_kept) return out;
    before_.erase(before_order_.front());
    before_order_.pop_front();
    return out;
}

NTSTATUS Injections::send(const Injection &in, PortLink &port, std::vector<Parcel> &parcels) {
    bool accepted = false;
    for (auto &parcel : parcels) {
        NTSTATUS status = STATUS_SUCCESS;
        for (auto &frame : parcel.frames) {
            if (status == STATUS_SUCCESS && port.io->send_later(std::move(frame))) {
                accepted = true;
                ++counters_.injected;
                continue;
            }
            status = STATUS_INSUFFICIENT_RESOURCES;
            if (!accepted) return port.io->closed() ? STATUS_FWP_TCPIP_NOT_READY : status;
        }
        complete(in, std::move(parcel.list), status);
    }
    return STATUS_SUCCESS;
}

void Injections::complete(const Injection &in, Taken taken, NTSTATUS status) {
    NET_BUFFER_LIST *const list = taken.get();
    taken.reset(); // from here on it is the callout's
    list->Next = nullptr;
    list->Status = status;
    buffer_tags().tell(list, completion_event(in.kind));
    if (!in.done) return;
    completing.push_back(injection_number(in.handle));
    try {
        in.done(in.done_context, list, 0);
    } catch (...) {
        ++counters_.callout_exceptions;
    }
    completing.pop_back();
}

// ---- what was injected ----

FWPS_PACKET_INJECTION_STATE Injections::state(HANDLE handle, const NET_BUFFER_LIST *list,
                                              HANDLE *context) {
    const std::uint32_t number = injection_number(handle);
    Lock lock(mutex_);
    const auto at = handles_.find(number);
    if (at == handles_.end() || at->second.closing) return FWPS_PACKET_INJECTION_STATE_MAX;
    const BufferList *ours = BufferList::of(list);
    if (!ours || !ours->origin() || ours->origin()->injected.host == 0)
        return FWPS_PACKET_NOT_INJECTED;
    const PacketOrigin &origin = *ours->origin();
    const dp_injected &last = origin.injected;
    const bool ours_last = last.host == origin.host;
    const bool ours_before =
        last.previous_host == 0 ? ours_last : last.previous_host == static_cast<__u16>(origin.host);
    const auto tell = [&](std::uint64_t value) {
        if (context) *context = reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(value));
    };
    if (ours_last && last.handle == number) {
        tell(last.context);
        return FWPS_PACKET_INJECTED_BY_SELF;
    }
    if (!ours_before || last.previous != number) return FWPS_PACKET_INJECTED_BY_OTHER;
    const auto before = ours_last ? before_.find({last.handle, last.context}) : before_.end();
    tell(before != before_.end() && before->second.first == number ? before->second.second : 0);
    return FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF;
}

} // namespace sluice::runtime
