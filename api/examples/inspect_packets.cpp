// SPDX-License-Identifier: Apache-2.0
// Looks at received packets: counts them, and drops echo requests whose payload has an odd length.
// Everything else is permitted, softly: a later sublayer may still block it.
#include <atomic>
#include <cstdio>
#include <optional>

#include <sluice.hpp>

using namespace sluice;

struct Packet {
    const UINT8 *ip;        // start of the IP header
    UINT32 ip_bytes;        // its length
    const UINT8 *transport; // 8 bytes of it are readable
};

// The indicated data starts behind the IP header, which lies before it in the same piece.
std::optional<Packet> first_packet(const Classification &indicated) {
    const NET_BUFFER_LIST *list = indicated.packets();
    if (list == nullptr || !indicated.has(FWPS_METADATA_FIELD_IP_HEADER_SIZE)) return std::nullopt;
    const NET_BUFFER *buffer = NET_BUFFER_LIST_FIRST_NB(list);
    if (buffer == nullptr || buffer->CurrentMdl == nullptr) return std::nullopt;
    const UINT32 ip_bytes = indicated.metadata().ipHeaderSize;
    const bool readable = buffer->CurrentMdlOffset >= ip_bytes && buffer->DataLength >= 8 &&
                          buffer->CurrentMdl->ByteCount >= buffer->CurrentMdlOffset + 8;
    if (!readable) return std::nullopt;
    const auto *data =
        static_cast<const UINT8 *>(buffer->CurrentMdl->MappedSystemVa) + buffer->CurrentMdlOffset;
    return Packet{data - ip_bytes, ip_bytes, data};
}

struct InspectPackets {
    explicit InspectPackets(Driver &driver) : device(driver, "inspect_packets") {}
    ~InspectPackets() {
        std::printf("inspect_packets: %llu packets, %llu dropped\n", seen.load(), dropped.load());
    }

    Verdict look(Classification &indicated) {
        ++seen;
        const auto packet = first_packet(indicated);
        if (!packet) return soft_permit();
        const bool ipv4 = packet->ip[0] >> 4 == 4;
        const UINT8 protocol = packet->ip[ipv4 ? 9 : 6];
        const bool echo = ipv4 ? protocol == 1 && packet->transport[0] == 8
                               : protocol == 58 && packet->transport[0] == 128;
        const UINT32 length =
            ipv4 ? packet->ip[2] << 8 | packet->ip[3] : (packet->ip[4] << 8 | packet->ip[5]) + 40;
        if (!echo || (length - packet->ip_bytes) % 2 == 0) return soft_permit();
        ++dropped;
        return block();
    }

    std::atomic<unsigned long long> seen{0};
    std::atomic<unsigned long long> dropped{0};
    Device device;
    Engine engine{"inspect_packets"};
    Callout::Classify inspect = [this](Classification &indicated) { return look(indicated); };
    Callout v4{device, engine, "inspect_packets_v4", FWPM_LAYER_INBOUND_IPPACKET_V4, inspect};
    Callout v6{device, engine, "inspect_packets_v6", FWPM_LAYER_INBOUND_IPPACKET_V6, inspect};
};

SLUICE_PLUGIN(InspectPackets);
