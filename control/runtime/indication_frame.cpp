// SPDX-License-Identifier: Apache-2.0
// What is shown of a frame at the MAC layers: its addresses and type stand in the frame itself,
// which is as it was on the wire, tags included.
#include <algorithm>

#include "runtime/indication.h"
#include "runtime/indication_value.h"
#include "runtime/wire_bytes.h"

namespace sluice::runtime {

namespace {

constexpr std::size_t addresses_end = 12, untagged = 14;
enum : UINT8 { unicast = 1, multicast = 3, broadcast = 4 }; // NL_ADDRESS_TYPE

UINT8 mac_type_of(std::span<const std::byte> mac) {
    if (std::all_of(mac.begin(), mac.end(), [](std::byte b) { return b == std::byte{0xFF}; }))
        return broadcast;
    return (mac[0] & std::byte{1}) != std::byte{} ? multicast : unicast;
}

FWP_VALUE0 mac_value(std::span<const std::byte> mac, FWP_BYTE_ARRAY6 &storage) {
    for (std::size_t i = 0; i < 6; ++i)
        storage.byteArray6[i] = std::to_integer<UINT8>(mac[i]);
    FWP_VALUE0 out{};
    out.type = FWP_BYTE_ARRAY6_TYPE;
    out.byteArray6 = &storage;
    return out;
}

} // namespace

void Indication::read_frame(std::span<std::byte> frame,
                            const std::shared_ptr<PacketMemory> &memory) {
    const dp_upcall &h = upcall_.header;
    const std::size_t header = h.ip_offset;
    if (header < untagged || header > frame.size()) return;
    frame_ = frame;
    auto &m = metadata_;
    m.currentMetadataValues |= FWPS_METADATA_FIELD_ETHER_FRAME_LENGTH;
    m.frameLength = static_cast<UINT16>(frame.size());
    if (inbound_) {
        m.currentL2MetadataValues |= FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE;
        m.ethernetMacHeaderSize = h.ip_offset;
    }
    auto origin = std::make_shared<PacketOrigin>(origin_of(memory.get()));
    std::copy_n(frame.begin(), addresses_end, origin->ethernet_addresses.begin());
    const std::size_t start = inbound_ ? header : 0;
    list_ = BufferList::indicated(frame, static_cast<std::uint32_t>(start),
                                  static_cast<std::uint32_t>(frame.size() - start), memory,
                                  std::move(origin));
}

FWP_VALUE0 Indication::frame_value(Fact fact) {
    if (frame_.empty()) return {};
    const auto target = frame_.first(6), source = frame_.subspan(6, 6);
    const auto local = inbound_ ? target : source, remote = inbound_ ? source : target;
    switch (fact) {
    case Fact::InterfaceMac: {
        std::array<std::byte, 6> mac{};
        for (unsigned i = 0; i < 6; ++i)
            mac[i] = static_cast<std::byte>(upcall_.header.endpoint >> (40 - 8 * i));
        return mac_value(mac, interface_mac_);
    }
    case Fact::LocalMac:
        return mac_value(local, local_mac_);
    case Fact::RemoteMac:
        return mac_value(remote, remote_mac_);
    case Fact::LocalMacType:
        return value8(mac_type_of(local));
    case Fact::RemoteMacType:
        return value8(mac_type_of(remote));
    case Fact::EtherType: // behind the tags
        return value16(be16(frame_, upcall_.header.ip_offset - 2u));
    case Fact::VlanId: // the outermost
        return upcall_.header.ip_offset > untagged ? value16(be16(frame_, untagged) & 0x0FFF)
                                                   : FWP_VALUE0{};
    default:
        return {};
    }
}

} // namespace sluice::runtime
