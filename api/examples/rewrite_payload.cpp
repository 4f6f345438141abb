// SPDX-License-Identifier: Apache-2.0
// Replaces the first occurrence of one word by another of the same length in received datagrams
// that a filter shows it. SLUICE_REWRITE=from/to
//   sluice filter add --layer datagram-data-v4 --action callout --callout rewrite_v4 ...
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sluice.hpp>

using namespace sluice;

struct RewritePayload {
    explicit RewritePayload(Driver &driver) : device(driver, "rewrite_payload") {
        const std::string words =
            std::getenv("SLUICE_REWRITE") ? std::getenv("SLUICE_REWRITE") : "";
        const auto slash = words.find('/');
        from = words.substr(0, slash);
        if (slash != std::string::npos) to = words.substr(slash + 1);
        if (from.empty() || from.size() != to.size())
            throw Error(STATUS_INVALID_PARAMETER, "SLUICE_REWRITE");
    }
    ~RewritePayload() { std::printf("rewrite_payload: %llu rewritten\n", rewritten.load()); }

    Verdict look(Classification &datagram) {
        const auto direction = datagram[FWPS_FIELD_DATAGRAM_DATA_V4_DIRECTION].uint32;
        if (!datagram.packets() || direction != FWP_DIRECTION_INBOUND ||
            injection.knows(datagram.packets()))
            return soft_permit();
        ClonedPacket copy = ClonedPacket::from_ip_header(datagram, true);
        const Bytes all = copy.view().first(copy.view().size());
        const UINT32 udp = datagram.metadata().ipHeaderSize;
        UINT8 *const payload = all.begin() + udp + datagram.metadata().transportHeaderSize;
        UINT8 *const found = std::search(payload, all.end(), from.begin(), from.end());
        if (found == all.end()) return soft_permit();
        std::copy(to.begin(), to.end(), found);
        all[udp + 6] = all[udp + 7] = 0; // no checksum
        injection.receive(std::move(copy));
        ++rewritten;
        return absorbed();
    }

    std::string from, to;
    std::atomic<unsigned long long> rewritten{0};
    Device device;
    Engine engine{"rewrite_payload"};
    InjectionHandle injection{FWPS_INJECTION_TYPE_TRANSPORT};
    Callout v4{device, engine, "rewrite_v4", FWPM_LAYER_DATAGRAM_DATA_V4,
               [this](Classification &datagram) { return look(datagram); }};
};

SLUICE_PLUGIN(RewritePayload);
