// SPDX-License-Identifier: Apache-2.0
// A frame on a port, as a host reads it: whatever the bytes, parsing stays inside the frame and so
// does the indication.
#include <cstring>

#include "fuzz.h"
#include "runtime/indication.h"
#include "shared/port.h"

using namespace sluice::runtime;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    std::vector<std::byte> frame(size);
    if (size) std::memcpy(frame.data(), data, size);
    Upcall upcall;
    if (!Upcall::parse(frame, upcall)) return 0;
    FUZZ_MUST(upcall.packet_offset <= frame.size());
    FUZZ_MUST(upcall.path.size() < DP_EXE_PATH_MAX);
    Indication::Asked asked;
    Indication indication(upcall, std::span(frame).subspan(upcall.packet_offset), asked);
    FUZZ_MUST(indication.values() != nullptr && indication.metadata() != nullptr);
    for (const auto *list = indication.layer_data(); list; list = list->Next)
        for (const auto *buffer = list->FirstNetBuffer; buffer; buffer = buffer->Next)
            FUZZ_MUST(buffer->DataLength <= frame.size());
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    std::vector<std::string> seeds;
    for (const std::uint16_t layer : {DP_LAYER_ALE_AUTH_CONNECT_V4, DP_LAYER_ALE_AUTH_CONNECT_V6,
                                      DP_LAYER_INBOUND_IPPACKET_V4, DP_LAYER_INBOUND_IPPACKET_V6})
        for (const bool path : {false, true}) {
            dp_upcall up{};
            up.magic = DP_UPCALL_MAGIC;
            up.version = DP_LAYOUT_VERSION;
            up.kind = DP_UPCALL_CLASSIFY;
            up.header_bytes = static_cast<__u16>(sizeof up + (path ? DP_EXE_PATH_MAX : 0));
            up.flags = path ? DP_UPCALL_HAS_PATH : 0;
            up.layer = layer;
            up.flow = layer >= DP_LAYER_ALE_AUTH_CONNECT_V4 ? 5 : 0;
            up.key.protocol = path ? 17 : 6;
            up.ip_offset = 14;
            up.l4_offset = 34;
            std::string s(reinterpret_cast<const char *>(&up), sizeof up);
            if (path) s += "/usr/bin/curl" + std::string(DP_EXE_PATH_MAX - 13, '\0');
            seeds.push_back(s + std::string(80, 'E'));
        }
    return seeds;
}
