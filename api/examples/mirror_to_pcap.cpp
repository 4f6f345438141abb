// SPDX-License-Identifier: Apache-2.0
// Writes every received packet that a filter shows it to the file SLUICE_PCAP, as tcpdump -r reads
// it.
//   sluice filter add --layer inbound-ippacket-v4 --action callout --callout mirror_v4 ...
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

#include <sluice.hpp>

using namespace sluice;

struct MirrorToPcap {
    explicit MirrorToPcap(Driver &driver) : device(driver, "mirror_to_pcap") {
        const char *name = std::getenv("SLUICE_PCAP");
        file.reset(name ? std::fopen(name, "wb") : nullptr);
        if (!file) throw Error(STATUS_INVALID_PARAMETER, "SLUICE_PCAP");
        const UINT32 head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 101}; // 101: raw IP
        std::fwrite(head, sizeof head, 1, file.get());
    }

    Verdict look(Classification &packet) {
        if (!packet.packets() || !packet.has(FWPS_METADATA_FIELD_IP_HEADER_SIZE))
            return soft_permit();
        const Retreat retreat(*packet.packets(), packet.metadata().ipHeaderSize);
        const auto bytes = PacketView(*packet.packets()).copy();
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
        const auto size = static_cast<UINT32>(bytes.size());
        const UINT32 head[] = {static_cast<UINT32>(us / 1000000), static_cast<UINT32>(us % 1000000),
                               size, size};
        std::lock_guard lock(mutex);
        std::fwrite(head, sizeof head, 1, file.get());
        std::fwrite(bytes.data(), 1, bytes.size(), file.get());
        std::fflush(file.get());
        return soft_permit();
    }

    struct Close {
        void operator()(std::FILE *f) const { std::fclose(f); }
    };
    std::mutex mutex;
    std::unique_ptr<std::FILE, Close> file;
    Device device;
    Engine engine{"mirror_to_pcap"};
    Callout::Classify mirror = [this](Classification &packet) { return look(packet); };
    Callout v4{device, engine, "mirror_v4", FWPM_LAYER_INBOUND_IPPACKET_V4, mirror};
    Callout v6{device, engine, "mirror_v6", FWPM_LAYER_INBOUND_IPPACKET_V6, mirror};
};

SLUICE_PLUGIN(MirrorToPcap);
