// SPDX-License-Identifier: Apache-2.0
#include "runtime/packet_header.h"

#include <algorithm>
#include <cstring>

#include "runtime/injection_control.h"
#include "runtime/wire_bytes.h"

namespace sluice::runtime {

namespace {

using Bytes = std::vector<std::byte>;
constexpr std::size_t packet_max = 65535;
constexpr std::size_t sums_end = 18; // of a transport header: where the last checksum has ended

// The whole data; nothing: fewer bytes than it claims, or too many for a packet with `more`.
std::optional<Bytes> data_of(const NET_BUFFER &buffer, std::size_t more) {
    if (buffer.DataLength == 0 || buffer.DataLength > packet_max - more) return std::nullopt;
    Bytes out(buffer.DataLength);
    if (read(buffer, 0, out) != out.size()) return std::nullopt;
    return out;
}

// What the new header keeps of the one that is there. False: it is none of that family.
bool inherit(const Bytes &old, std::size_t included, IpHeader &header, Bytes &options,
             std::array<std::byte, 4> &identification) {
    const std::size_t least = header.bytes();
    if (included < least || included > old.size() || octet(old, 0) >> 4 != (header.v6 ? 6 : 4))
        return false;
    header.hop_limit = octet(old, header.v6 ? 7 : 8);
    header.traffic_class =
        header.v6 ? static_cast<std::uint8_t>((octet(old, 0) & 0x0F) << 4 | octet(old, 1) >> 4)
                  : octet(old, 1);
    if (header.v6) return true;
    const std::size_t own = std::size_t(octet(old, 0) & 0x0F) * 4;
    if (own < least || own > included) return false;
    if (octet(old, 6) & 0x3F || octet(old, 7)) return false; // a fragment's rest is elsewhere
    std::copy_n(old.begin() + 4, 4, identification.begin());
    options.assign(old.begin() + static_cast<std::ptrdiff_t>(least),
                   old.begin() + static_cast<std::ptrdiff_t>(own));
    return true;
}

// The packet with its new header and all its checksums; nothing: the data or header do not do.
std::optional<Bytes> rebuilt(const NET_BUFFER &buffer, const HeaderWanted &wanted,
                             IpHeader header) {
    auto old = data_of(buffer, wanted.included ? 0 : header.bytes());
    if (!old) return std::nullopt;
    Bytes options;
    std::array<std::byte, 4> identification{};
    if (wanted.included && !inherit(*old, wanted.included, header, options, identification))
        return std::nullopt;
    if (!read_control(wanted.control, wanted.control_bytes, header)) return std::nullopt;
    const std::size_t payload = old->size() - wanted.included;
    Bytes out(header.bytes());
    write_ip_header(header, payload + options.size(), out);
    if (!header.v6) {
        if (wanted.included) std::copy(identification.begin(), identification.end(), &out[4]);
        out[0] = static_cast<std::byte>(0x40 | (header.bytes() + options.size()) / 4);
    }
    out.insert(out.end(), options.begin(), options.end());
    out.insert(out.end(), old->begin() + static_cast<std::ptrdiff_t>(wanted.included), old->end());
    const auto shape = ip_shape(out);
    if (!shape) return std::nullopt;
    complete_sums(out, *shape, Sums::all);
    return out;
}

void without_offload(BufferList &list) {
    list.NetBufferListInfo[TcpIpChecksumNetBufferListInfo] = nullptr;
    list.NetBufferListInfo[TcpLargeSendNetBufferListInfo] = nullptr;
}

} // namespace

NTSTATUS construct_ip_header(BufferList &list, const HeaderWanted &wanted) {
    IpHeader header;
    header.v6 = wanted.family == SLUICE_AF_INET6;
    header.protocol = wanted.protocol;
    std::memcpy(header.source.data(), wanted.source, header.address_bytes());
    std::memcpy(header.target.data(), wanted.target, header.address_bytes());
    if (const PacketOrigin *origin = list.origin(); origin && origin->hop_limit) {
        header.hop_limit = origin->hop_limit;
        header.traffic_class = origin->traffic_class;
        header.dont_fragment = origin->dont_fragment;
    }
    NET_BUFFER *const first = list.FirstNetBuffer;
    if (!first || (wanted.included && first->Next)) return STATUS_INVALID_PARAMETER;
    std::vector<Bytes> packets;
    for (const NET_BUFFER *b = first; b; b = b->Next) {
        auto packet = packets.size() < buffers_max ? rebuilt(*b, wanted, header) : std::nullopt;
        if (!packet) return STATUS_INVALID_PARAMETER;
        packets.push_back(*std::move(packet));
    }
    for (NET_BUFFER *b = first; b && !wanted.included; b = b->Next) {
        const auto bytes = static_cast<std::uint32_t>(header.bytes());
        const NDIS_STATUS status = retreat(*b, bytes, 0, nullptr);
        if (status == NDIS_STATUS_SUCCESS) continue;
        for (NET_BUFFER *done = first; done != b; done = done->Next)
            advance(*done, bytes, true, nullptr);
        return status;
    }
    auto packet = packets.begin();
    for (NET_BUFFER *b = first; b; b = b->Next, ++packet) {
        // A header of which less is left begins later.
        advance(*b, static_cast<std::uint32_t>(b->DataLength - packet->size()), false, nullptr);
        const std::size_t head = ip_shape(*packet)->header + sums_end;
        write(*b, 0, std::span(*packet).first(std::min(head, packet->size())));
    }
    without_offload(list);
    return STATUS_SUCCESS;
}

} // namespace sluice::runtime
