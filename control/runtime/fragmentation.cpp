// SPDX-License-Identifier: Apache-2.0
#include "runtime/fragmentation.h"

#include <algorithm>

#include "runtime/injection_packet.h"
#include "runtime/wire_bytes.h"

namespace sluice::runtime {

namespace {

constexpr unsigned dont_fragment = 0x4000, more_fragments = 0x2000, offset_mask = 0x1FFF;
constexpr std::size_t least = 20, header_max = 60;
constexpr unsigned option_end = 0, option_nothing = 1, option_copied = 0x80;

void put(std::span<std::byte> p, std::size_t at, std::size_t value) {
    p[at] = static_cast<std::byte>(value >> 8);
    p[at + 1] = static_cast<std::byte>(value);
}

// The header of every fragment but the first: of the options those that are to be copied.
std::vector<std::byte> later_header(std::span<const std::byte> header) {
    std::vector<std::byte> out(header.begin(), header.begin() + least);
    for (std::size_t at = least; at < header.size();) {
        const unsigned kind = octet(header, at);
        if (kind == option_end) break;
        std::size_t bytes = 1;
        if (kind != option_nothing) {
            if (at + 1 >= header.size()) break;
            bytes = octet(header, at + 1);
            if (bytes < 2 || at + bytes > header.size()) break;
        }
        const auto option = header.subspan(at, bytes);
        if (kind & option_copied) out.insert(out.end(), option.begin(), option.end());
        at += bytes;
    }
    out.resize((out.size() + 3) / 4 * 4, std::byte{option_end});
    out[0] = static_cast<std::byte>(0x40 | out.size() / 4);
    return out;
}

} // namespace

std::vector<std::vector<std::byte>> fragments(std::span<const std::byte> packet, std::size_t mtu) {
    const auto shape = ip_shape(packet);
    if (!shape || shape->v6 || mtu < header_max + 8) return {};
    const unsigned place = be16(packet, 6);
    if (place & dont_fragment) return {};
    const auto payload = packet.subspan(shape->header, shape->total - shape->header);
    std::vector<std::byte> header(packet.begin(), packet.begin() + shape->header);
    std::vector<std::vector<std::byte>> out;
    for (std::size_t at = 0; at < payload.size();) {
        const std::size_t room = (mtu - header.size()) / 8 * 8;
        const std::size_t left = payload.size() - at;
        const bool last = left + header.size() <= mtu;
        const auto piece = payload.subspan(at, last ? left : room);
        auto &fragment = out.emplace_back(header);
        fragment.insert(fragment.end(), piece.begin(), piece.end());
        put(fragment, 2, fragment.size());
        put(fragment, 6,
            ((place & offset_mask) + at / 8) | (last ? place & more_fragments : more_fragments));
        complete_sums(fragment, {false, true, shape->protocol, header.size(), fragment.size()},
                      Sums::open);
        at += piece.size();
        if (out.size() == 1) header = later_header(header);
    }
    return out;
}

} // namespace sluice::runtime
