// SPDX-License-Identifier: Apache-2.0
#include "daemon/custody.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace sluice::daemon {

namespace {

constexpr std::size_t scan_bytes = 512;   // an upcall begins in the first 512 bytes of its chunk
constexpr std::size_t usual_offset = 256; // XDP_PACKET_HEADROOM

template <typename T>
T copy_at(std::span<const std::byte> bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

std::uint32_t be16(std::span<const std::byte> b, std::size_t at) {
    return std::to_integer<std::uint32_t>(b[at]) << 8 | std::to_integer<std::uint32_t>(b[at + 1]);
}

bool is_upcall(std::span<const std::byte> chunk, std::size_t at) {
    if (copy_at<std::uint32_t>(chunk, at) != DP_UPCALL_MAGIC) return false;
    const auto head = copy_at<dp_upcall>(chunk, at);
    const bool kind_known = head.kind == DP_UPCALL_CLASSIFY || head.kind == DP_UPCALL_QUEUED;
    return head.version == DP_LAYOUT_VERSION && kind_known && head.ticket != 0 &&
           head.header_bytes >= sizeof(dp_upcall) && at + head.header_bytes < chunk.size();
}

std::optional<std::size_t> find_upcall(std::span<const std::byte> chunk) {
    if (is_upcall(chunk, usual_offset)) return usual_offset;
    for (std::size_t at = 0; at < scan_bytes; at += 8)
        if (is_upcall(chunk, at)) return at;
    return std::nullopt;
}

} // namespace

std::size_t packet_length(std::span<const std::byte> bytes, std::size_t ip_offset) {
    if (ip_offset + 20 > bytes.size()) return 0;
    const unsigned version = std::to_integer<unsigned>(bytes[ip_offset]) >> 4;
    std::size_t length = 0;
    if (version == 4) length = ip_offset + be16(bytes, ip_offset + 2);
    if (version == 6) length = ip_offset + 40 + be16(bytes, ip_offset + 4);
    return length > ip_offset && length <= bytes.size() ? length : 0;
}

FrameIndex index_frames(std::span<const std::byte> umem) {
    FrameIndex index;
    for (std::size_t base = 0; base + DP_FRAME_BYTES <= umem.size(); base += DP_FRAME_BYTES) {
        const auto chunk = umem.subspan(base, DP_FRAME_BYTES);
        const auto at = find_upcall(chunk);
        if (!at) continue;
        const auto head = copy_at<dp_upcall>(chunk, *at);
        const std::size_t packet = *at + head.header_bytes;
        if (packet >= chunk.size()) continue; // changed under us
        FoundFrame frame;
        frame.packet_offset = base + packet;
        frame.packet_bytes = packet_length(chunk.subspan(packet), head.ip_offset);
        frame.created_ns = head.created_ns;
        frame.kind = head.kind;
        frame.direction = head.direction;
        frame.ifindex = head.ifindex;
        frame.key = head.key;
        // Both headers begin with their magic, and the shorter one ends where the packet begins.
        frame.answered =
            copy_at<std::uint32_t>(chunk, packet - sizeof(dp_downcall)) == DP_DOWNCALL_MAGIC;
        if (frame.packet_bytes != 0) index[head.ticket].push_back(frame);
    }
    for (auto &[ticket, frames] : index)
        std::stable_sort(
            frames.begin(), frames.end(),
            [](const FoundFrame &a, const FoundFrame &b) { return a.created_ns < b.created_ns; });
    return index;
}

std::vector<std::byte> downcall_frame(const dp_downcall &head, std::span<const std::byte> packet) {
    std::vector<std::byte> frame(sizeof head + packet.size());
    std::memcpy(frame.data(), &head, sizeof head);
    if (!packet.empty()) std::memcpy(frame.data() + sizeof head, packet.data(), packet.size());
    return frame;
}

} // namespace sluice::daemon
