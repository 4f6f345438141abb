// SPDX-License-Identifier: Apache-2.0
// Injection into the forward path: one list, one packet or fragment, completed when the kernel has
// said what became of it.
#include <algorithm>

#include "runtime/fragmentation.h"
#include "runtime/injection.h"
#include "runtime/injection_frame.h"
#include "runtime/injection_packet.h"

namespace sluice::runtime {

namespace {

constexpr std::size_t longest = 65535 + 40; // an IPv6 header does not count itself
constexpr std::size_t asked_with = 128;     // bytes of a packet that only its way is asked of
constexpr std::byte hops_on_return{64};

// The list's only packet as it is; empty: it is none of that family.
std::vector<std::byte> packet_of(const NET_BUFFER &buffer, bool v6, IpShape &shape) {
    if (buffer.DataLength > longest) return {};
    std::vector<std::byte> packet(buffer.DataLength);
    if (read(buffer, 0, packet) != packet.size()) return {};
    const auto seen = ip_shape(packet);
    if (!seen || seen->v6 != v6) return {};
    shape = *seen;
    packet.resize(shape.total);
    return packet;
}

// With its checksums completed.
std::vector<std::byte> whole_packet(const NET_BUFFER &buffer, bool v6) {
    IpShape shape;
    auto packet = packet_of(buffer, v6, shape);
    if (!packet.empty()) complete_sums(packet, shape, Sums::received);
    return packet;
}

bool is_fragment(const NET_BUFFER_LIST &list) {
    std::byte head[256];
    const NET_BUFFER *buffer = list.FirstNetBuffer;
    if (!buffer || read(*buffer, 0, head) < 20) return false;
    if (std::to_integer<unsigned>(head[0]) >> 4 == 4)
        return ((std::to_integer<unsigned>(head[6]) & 0x3F) | std::to_integer<unsigned>(head[7])) !=
               0;
    IpShape shape;
    const auto packet = packet_of(*buffer, true, shape);
    return !packet.empty() && shape.fragment;
}

} // namespace

bool holds_fragments(const NET_BUFFER_LIST *chain) {
    for (; chain; chain = chain->Next)
        if (is_fragment(*chain)) return true;
    return false;
}

class Injections::Forwarded final : public Forward {
public:
    Forwarded(Injections &all, const Injection &in, ADDRESS_FAMILY family,
              std::shared_ptr<PortLink> port, Taken list)
        : all_(all), in_(in), v6_(family == SLUICE_AF_INET6), port_(std::move(port)),
          list_(std::move(list)) {
        all_.use_again(in_.handle);
    }
    ~Forwarded() override {
        list_.reset();
        all_.leave(in_.handle);
    }
    Forwarded(const Forwarded &) = delete;
    Forwarded &operator=(const Forwarded &) = delete;

    std::vector<xsk::Frame> shortened(std::uint32_t mtu, NTSTATUS &status) override {
        const auto packet = whole_packet(*list_->FirstNetBuffer, v6_);
        status = STATUS_BUFFER_OVERFLOW;
        const auto pieces = fragments(packet, std::min<std::size_t>(mtu, DP_INJECT_BYTES));
        if (pieces.empty()) tell_sender(packet);
        std::vector<xsk::Frame> frames;
        for (const auto &piece : pieces) {
            auto frame = injection_frame(*port_->io, piece, all_.describe(in_, nullptr), 0);
            if (!frame) {
                status = STATUS_INSUFFICIENT_RESOURCES;
                return {};
            }
            frames.push_back(*std::move(frame));
        }
        return frames;
    }

    void done(NTSTATUS status) override { all_.complete(in_, std::move(list_), status); }

private:
    // If it was forwarded by this machine: its stack then does as if it forwarded it still.
    void tell_sender(std::span<const std::byte> packet) {
        const PacketOrigin *origin = list_->origin();
        if (!origin || origin->arrival == 0 || packet.empty() || packet.size() > DP_INJECT_BYTES)
            return;
        std::vector<std::byte> copy(packet.begin(), packet.end());
        copy[v6_ ? 7 : 8] = hops_on_return;
        if (const auto shape = ip_shape(copy)) complete_sums(copy, *shape, Sums::received);
        dp_injection injection = all_.describe(in_, nullptr);
        injection.kind = DP_INJECT_TOO_BIG;
        injection.ifindex = origin->arrival;
        auto frame = injection_frame(*port_->io, copy, injection, 0);
        if (!frame || !port_->io->send(*std::move(frame))) ++all_.counters_.sends_failed;
    }

    Injections &all_;
    const Injection in_;
    const bool v6_;
    const std::shared_ptr<PortLink> port_;
    Taken list_;
};

// More than a frame holds: first only how much its way takes is asked.
NTSTATUS Injections::ask_room(const Injection &in, ADDRESS_FAMILY family, PortLink &port,
                              const NET_BUFFER &buffer, xsk::Frame &frame) {
    IpShape shape;
    const auto packet = packet_of(buffer, family == SLUICE_AF_INET6, shape);
    if (packet.empty()) return STATUS_INVALID_PARAMETER;
    std::vector<std::byte> head(packet.begin(),
                                packet.begin() + std::min(asked_with, packet.size()));
    // As long as it says, for the kernel's parser; a fragment has no header behind it to be judged.
    const std::size_t says = shape.v6 ? head.size() - 40 : head.size();
    head[shape.v6 ? 4 : 2] = static_cast<std::byte>(says >> 8);
    head[shape.v6 ? 5 : 3] = static_cast<std::byte>(says);
    auto made = injection_frame(*port.io, head, describe(in, nullptr),
                                static_cast<std::uint32_t>(packet.size()));
    if (!made) return STATUS_INSUFFICIENT_RESOURCES;
    frame = *std::move(made);
    return STATUS_SUCCESS;
}

NTSTATUS Injections::forward(const Injection &in, ADDRESS_FAMILY family,
                             const std::shared_ptr<PortLink> &port, std::vector<Parcel> &parcels) {
    bool accepted = false;
    for (auto &parcel : parcels) {
        std::unique_ptr<Forward> waits =
            std::make_unique<Forwarded>(*this, in, family, port, std::move(parcel.list));
        if (forwards_.send(port, std::move(parcel.frames), waits)) {
            accepted = true;
            ++counters_.injected;
            continue;
        }
        const NTSTATUS status =
            port->io->closed() ? STATUS_FWP_TCPIP_NOT_READY : STATUS_INSUFFICIENT_RESOURCES;
        if (!accepted) return status;
        waits->done(STATUS_INSUFFICIENT_RESOURCES);
    }
    return STATUS_SUCCESS;
}

} // namespace sluice::runtime
