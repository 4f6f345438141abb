// SPDX-License-Identifier: Apache-2.0
#include "runtime/reassembly.h"

#include <algorithm>

#include "runtime/checksum.h"
#include "runtime/wire_bytes.h"

namespace sluice::runtime {

namespace {

using Bytes = std::vector<std::byte>;
constexpr std::size_t packet_max = 65535;
constexpr std::size_t fragments_max = packet_max / 8 + 1;
constexpr std::size_t headers_max = 1024; // of a fragment: more of them is nobody's traffic
constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment_header = 44, options = 60;

void put_word(Bytes &b, std::size_t at, std::size_t value) {
    b[at] = static_cast<std::byte>(value >> 8);
    b[at + 1] = static_cast<std::byte>(value);
}

struct Fragment {
    BufferList *list = nullptr;
    Bytes header;            // as the whole packet has it, but for its length
    Bytes same;              // what all fragments of a packet have in common
    std::size_t skip = 0;    // bytes before the payload
    std::size_t offset = 0;  // of the payload in the packet's
    std::size_t payload = 0; // bytes
    bool more = false;       // others follow
};

bool take_v4(const Bytes &b, std::size_t there, Fragment &out) {
    if (b.size() < 20 || octet(b, 0) >> 4 != 4) return false;
    out.skip = std::size_t(octet(b, 0) & 0x0F) * 4;
    const std::size_t total = be16(b, 2);
    if (out.skip < 20 || out.skip > b.size() || out.skip > total || total > there) return false;
    const std::uint16_t place = be16(b, 6);
    out.more = place & 0x2000;
    out.offset = std::size_t(place & 0x1FFF) * 8;
    out.payload = total - out.skip;
    out.header.assign(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(out.skip));
    put_word(out.header, 6, place & 0x4000);
    out.same.assign(b.begin() + 12, b.begin() + 20); // addresses
    out.same.insert(out.same.end(), {b[4], b[5], b[9]});
    return true;
}

bool take_v6(const Bytes &b, std::size_t there, Fragment &out) {
    if (b.size() < 40 || octet(b, 0) >> 4 != 6) return false;
    const std::size_t total = 40 + std::size_t(be16(b, 4));
    std::size_t next_at = 6, at = 40; // where the next header's kind stands, and where it begins
    while (octet(b, next_at) != fragment_header) {
        const std::uint8_t kind = octet(b, next_at);
        if (kind != hop_by_hop && kind != routing && kind != options) return false;
        if (at + 8 > b.size()) return false;
        next_at = at;
        at += (std::size_t(octet(b, at + 1)) + 1) * 8;
    }
    if (at + 8 > b.size() || at + 8 > total || total > there) return false;
    const std::uint16_t place = be16(b, at + 2);
    out.more = place & 1;
    out.offset = place & 0xFFF8;
    out.skip = at + 8;
    out.payload = total - out.skip;
    out.header.assign(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(at));
    out.header[next_at] = b[at];
    out.same.assign(b.begin() + 8, b.begin() + 40);
    out.same.insert(out.same.end(), b.begin() + static_cast<std::ptrdiff_t>(at + 4),
                    b.begin() + static_cast<std::ptrdiff_t>(at + 8)); // identification
    return true;
}

bool take(bool v6, NET_BUFFER_LIST *at, Fragment &out) {
    out.list = BufferList::of(at);
    const NET_BUFFER *buffer = out.list ? out.list->FirstNetBuffer : nullptr;
    if (!buffer || buffer->Next) return false;
    Bytes head(std::min<std::size_t>(buffer->DataLength, headers_max));
    head.resize(read(*buffer, 0, head));
    const std::size_t there =
        walk(*buffer, 0, buffer->DataLength, nullptr, [](void *, std::span<std::byte>) {});
    if (!(v6 ? take_v6(head, there, out) : take_v4(head, there, out))) return false;
    if (out.payload == 0 || (out.more && out.payload % 8 != 0)) return false;
    return out.more || out.offset > 0; // else it is no fragment
}

// One after the other, none missing, nothing twice.
bool fit(const std::vector<Fragment> &all) {
    std::size_t next = 0;
    for (const Fragment &f : all) {
        const bool last = &f == &all.back();
        if (f.offset != next || f.more == last || f.same != all.front().same) return false;
        next += f.payload;
    }
    return next + all.front().header.size() <= packet_max;
}

void finish_header(bool v6, std::size_t payload, Bytes &header) {
    put_word(header, v6 ? 4 : 2, v6 ? header.size() - 40 + payload : header.size() + payload);
    if (v6) return;
    put_word(header, 10, 0);
    put_word(header, 10, static_cast<std::uint16_t>(~fold(sum(header, 0))));
}

} // namespace

BufferList *reassemble(ADDRESS_FAMILY family, NET_BUFFER_LIST *chain, std::uint32_t back_fill) {
    const bool v6 = family == SLUICE_AF_INET6;
    std::vector<Fragment> all;
    for (NET_BUFFER_LIST *at = chain; at; at = at->Next) {
        if (all.size() >= fragments_max || !take(v6, at, all.emplace_back())) return nullptr;
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto &a, const auto &b) { return a.offset < b.offset; });
    if (all.empty() || !fit(all)) return nullptr;
    Fragment &first = all.front();
    finish_header(v6, all.back().offset + all.back().payload, first.header);
    std::vector<BufferList::Part> parts;
    for (const Fragment &f : all)
        parts.push_back({f.list, f.skip, f.payload});
    return BufferList::joined(first.header, back_fill, parts);
}

} // namespace sluice::runtime
