// SPDX-License-Identifier: Apache-2.0
#include "harness/packet.h"

#include <arpa/inet.h>

#include <stdexcept>

namespace sluice::harness {

namespace {

constexpr std::uint8_t no_next_header = 59;
constexpr std::uint16_t ethertype_ipv4 = 0x0800;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;

void put16(Bytes &out, std::uint16_t v) {
    out.push_back(static_cast<std::uint8_t>(v >> 8));
    out.push_back(static_cast<std::uint8_t>(v));
}

void put32(Bytes &out, std::uint32_t v) {
    put16(out, static_cast<std::uint16_t>(v >> 16));
    put16(out, static_cast<std::uint16_t>(v));
}

void set16(Bytes &out, std::size_t at, std::uint16_t v) {
    out[at] = static_cast<std::uint8_t>(v >> 8);
    out[at + 1] = static_cast<std::uint8_t>(v);
}

void append(Bytes &out, const Bytes &more) {
    out.insert(out.end(), more.begin(), more.end());
}

Bytes address(int family, const std::string &text) {
    Bytes out(family == AF_INET ? 4 : 16);
    if (inet_pton(family, text.c_str(), out.data()) != 1)
        throw std::invalid_argument("no address: " + text);
    return out;
}

Bytes padded_to_words(Bytes options) {
    options.resize((options.size() + 3) / 4 * 4, 0);
    return options;
}

// Grows a frame from its end to its beginning: each header is put before what is there already.
class Builder {
public:
    void prepend(const Eth &h) {
        Bytes head(h.destination.begin(), h.destination.end());
        head.insert(head.end(), h.source.begin(), h.source.end());
        put16(head, h.ethertype.value_or(ethertype_));
        push(head);
    }

    void prepend(const Vlan &h) {
        Bytes head;
        put16(head, h.id);
        put16(head, ethertype_);
        push(head);
        ethertype_ = h.ethertype;
    }

    void prepend(const IPv4 &h) {
        const Bytes options = padded_to_words(h.options);
        const Bytes source = address(AF_INET, h.source);
        const Bytes destination = address(AF_INET, h.destination);
        finish_checksum(source, destination);
        const std::size_t size = 20 + options.size();
        const std::uint8_t words = h.header_words.value_or(static_cast<std::uint8_t>(size / 4));
        const std::uint16_t flags = h.more_fragments ? 0x2000 : 0;
        Bytes head{static_cast<std::uint8_t>(h.version << 4 | words), 0};
        put16(head, h.total_length.value_or(static_cast<std::uint16_t>(size + tail_.size())));
        put16(head, h.id);
        put16(head, flags | h.fragment_offset);
        head.push_back(h.ttl);
        head.push_back(h.protocol.value_or(next_));
        put16(head, 0);
        append(head, source);
        append(head, destination);
        append(head, options);
        set16(head, 10, internet_checksum(head.data(), head.size()));
        push(head);
        ethertype_ = ethertype_ipv4;
        next_ = 4;
    }

    void prepend(const IPv6 &h) {
        const Bytes source = address(AF_INET6, h.source);
        const Bytes destination = address(AF_INET6, h.destination);
        if (l4_protocol_ == IPPROTO_ICMP) turn_into_icmpv6();
        finish_checksum(source, destination);
        Bytes head;
        put32(head, static_cast<std::uint32_t>(h.version) << 28);
        put16(head, h.payload_length.value_or(static_cast<std::uint16_t>(tail_.size())));
        head.push_back(h.next_header.value_or(next_));
        head.push_back(h.hop_limit);
        append(head, source);
        append(head, destination);
        push(head);
        ethertype_ = ethertype_ipv6;
        next_ = 41;
    }

    void prepend(const Extension &h) {
        const bool authentication = h.number == 51;
        Bytes head{icmp_aware_next(), h.claimed_units.value_or(h.units)};
        head.resize(authentication ? (h.units + 2) * 4 : (h.units + 1) * 8, 0);
        // Padding option that fills the rest, so that a strict reader accepts it too.
        if (h.number == 0 || h.number == 60) {
            head[2] = 1;
            head[3] = static_cast<std::uint8_t>(head.size() - 4);
        }
        push(head);
        next_ = h.number;
    }

    void prepend(const Fragment6 &h) {
        Bytes head{h.next_header.value_or(icmp_aware_next()), 0};
        put16(head, static_cast<std::uint16_t>(h.offset << 3 | (h.more ? 1 : 0)));
        put32(head, h.id);
        push(head);
        next_ = 44;
    }

    void prepend(const TCP &h) {
        const Bytes options = padded_to_words(h.options);
        const std::uint8_t words =
            h.header_words.value_or(static_cast<std::uint8_t>(5 + options.size() / 4));
        Bytes head;
        put16(head, h.source_port);
        put16(head, h.destination_port);
        put32(head, h.sequence);
        put32(head, h.acknowledgement);
        head.push_back(static_cast<std::uint8_t>(words << 4));
        head.push_back(h.flags);
        put16(head, 64240);
        put32(head, 0);
        append(head, options);
        begin_l4(head, IPPROTO_TCP, 16);
    }

    void prepend(const UDP &h) {
        Bytes head;
        put16(head, h.source_port);
        put16(head, h.destination_port);
        put16(head, static_cast<std::uint16_t>(8 + tail_.size()));
        put16(head, 0);
        begin_l4(head, IPPROTO_UDP, 6);
    }

    void prepend(const ICMP &h) {
        Bytes head{h.type, h.code};
        put16(head, 0);
        put16(head, h.id);
        put16(head, h.sequence);
        begin_l4(head, IPPROTO_ICMP, 2);
    }

    void prepend(const Protocol &h) { next_ = h.number; }
    void prepend(const Payload &h) { push(h.bytes); }

    [[nodiscard]] Bytes take() { return std::move(tail_); }

private:
    void push(const Bytes &head) { tail_.insert(tail_.begin(), head.begin(), head.end()); }

    void begin_l4(const Bytes &head, std::uint8_t protocol, std::size_t checksum_at) {
        push(head);
        next_ = l4_protocol_ = protocol;
        l4_size_ = tail_.size();
        checksum_at_ = checksum_at;
    }

    // Extension headers stand under IPv6 only, so an ICMP behind one is ICMPv6 already.
    std::uint8_t icmp_aware_next() {
        if (l4_protocol_ == IPPROTO_ICMP) turn_into_icmpv6();
        return next_;
    }

    void turn_into_icmpv6() {
        l4_protocol_ = IPPROTO_ICMPV6;
        if (next_ == IPPROTO_ICMP) next_ = IPPROTO_ICMPV6;
    }

    void finish_checksum(const Bytes &source, const Bytes &destination) {
        if (l4_protocol_ == 0) return;
        Bytes pseudo = source;
        append(pseudo, destination);
        put32(pseudo, static_cast<std::uint32_t>(l4_size_));
        put32(pseudo, l4_protocol_);
        std::uint32_t sum = 0;
        // ICMPv4 alone has no pseudo-header.
        for (std::size_t i = 0; l4_protocol_ != IPPROTO_ICMP && i < pseudo.size(); i += 2)
            sum += static_cast<std::uint32_t>(pseudo[i]) << 8 | pseudo[i + 1];
        const std::size_t l4 = tail_.size() - l4_size_;
        std::uint16_t checksum = internet_checksum(tail_.data() + l4, l4_size_, sum);
        if (checksum == 0 && l4_protocol_ == IPPROTO_UDP) checksum = 0xffff;
        set16(tail_, l4 + checksum_at_, checksum);
        l4_protocol_ = 0;
    }

    Bytes tail_;
    std::uint8_t next_ = no_next_header;
    std::uint16_t ethertype_ = 0x88b5; // for local experiments: nothing that anyone parses
    std::uint8_t l4_protocol_ = 0;     // 0: no checksum is due
    std::size_t l4_size_ = 0, checksum_at_ = 0;
};

} // namespace

std::uint16_t internet_checksum(const std::uint8_t *data, std::size_t size, std::uint32_t sum) {
    std::uint64_t total = sum;
    for (std::size_t i = 0; i < size; i += 2)
        total += static_cast<std::uint64_t>(data[i]) << 8 | (i + 1 < size ? data[i + 1] : 0);
    while (total >> 16 != 0)
        total = (total & 0xffff) + (total >> 16);
    return static_cast<std::uint16_t>(~total);
}

Bytes Packet::bytes() const {
    Builder builder;
    for (auto header = headers_.rbegin(); header != headers_.rend(); ++header)
        std::visit([&](const auto &h) { builder.prepend(h); }, *header);
    return builder.take();
}

} // namespace sluice::harness
