// SPDX-License-Identifier: Apache-2.0
// Answers the echo requests that a filter shows it in the machine's place, which never sees them.
//   sluice filter add --layer inbound-ippacket-v4 --action callout --callout answer_pings_v4 ...
#include <algorithm>
#include <atomic>
#include <cstdio>

#include <sluice.hpp>

using namespace sluice;

struct AnswerPings {
    explicit AnswerPings(Driver &driver) : device(driver, "answer_pings") {}
    ~AnswerPings() { std::printf("answer_pings: %llu answered\n", answered.load()); }

    Verdict look(Classification &packet) {
        if (!packet.packets()) return soft_permit();
        ClonedPacket reply = ClonedPacket::from_ip_header(packet, true);
        const Bytes ip = reply.view().first(reply.view().size());
        const UINT32 icmp = packet.metadata().ipHeaderSize;
        const bool echo = ip.size() >= icmp + 8 && ip[9] == 1 && ip[icmp] == 8;
        if (!echo) return soft_permit();
        ip[8] = 64;                      // hop limit
        ip[icmp] = 0;                    // a reply
        ip[icmp + 2] = ip[icmp + 3] = 0; // checksum: to be computed
        std::swap_ranges(ip.begin() + 12, ip.begin() + 16, ip.begin() + 16);
        injection.send_packet(std::move(reply));
        ++answered;
        return absorbed();
    }

    std::atomic<unsigned long long> answered{0};
    Device device;
    Engine engine{"answer_pings"};
    InjectionHandle injection{FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET};
    Callout v4{device, engine, "answer_pings_v4", FWPM_LAYER_INBOUND_IPPACKET_V4,
               [this](Classification &packet) { return look(packet); }};
};

SLUICE_PLUGIN(AnswerPings);
