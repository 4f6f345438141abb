// SPDX-License-Identifier: Apache-2.0
// Injections on a port in memory, lists to inject and what was sent of them.
#pragma once

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "runtime/checksum.h"
#include "runtime/holds.h"
#include "runtime/injection.h"
#include "runtime/net_buffer_pool.h"

namespace sluice::test {

using namespace runtime;

inline constexpr std::size_t ethernet = 14;
using Bytes = std::vector<std::byte>;

inline Bytes bytes(std::initializer_list<int> values) {
    Bytes out;
    for (const int v : values)
        out.push_back(static_cast<std::byte>(v));
    return out;
}

// UDP from 10.0.0.1:1024 to 10.0.0.2:53 with four bytes, checksum 0.
inline Bytes udp_segment() {
    return bytes({4, 0, 0, 53, 0, 12, 0, 0, 'a', 'b', 'c', 'd'});
}
inline Bytes udp_packet() {
    Bytes p = bytes({0x45, 0, 0, 32, 0, 7, 0x40, 0, 33, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});
    const Bytes segment = udp_segment();
    p.insert(p.end(), segment.begin(), segment.end());
    return p;
}

struct Completion {
    NET_BUFFER_LIST *list;
    NTSTATUS status;
};

class InjectionTest : public ::testing::Test {
protected:
    void SetUp() override {
        link->io = port;
        link->compartment = 1;
        link->host_id = 5;
        pool = buffer_pools().add({true, true, 0, 0});
        ASSERT_EQ(injections.create(SLUICE_AF_UNSPEC, 0, &handle), STATUS_SUCCESS);
    }
    void TearDown() override {
        for (auto *list : lists)
            list->release();
        buffer_pools().remove(pool, true);
        EXPECT_EQ(link->kept, 0u);
    }

    BufferList *list_of(const Bytes &data) {
        auto &memory = memories.emplace_back(std::make_unique<Bytes>(data));
        auto &mdl = mdls.emplace_back(std::make_unique<MDL>());
        mdl->MappedSystemVa = memory->data();
        mdl->ByteCount = static_cast<ULONG>(memory->size());
        BufferList *list = make_list(buffer_pools().find(pool), 0, 0);
        list->add_buffer(mdl.get(), 0, mdl->ByteCount);
        lists.push_back(list);
        return list;
    }
    // As if the packet had come up for socket 9: a clone of it, data at the transport header.
    BufferList *clone_of(const Bytes &packet, dp_injected injected = {}, const Bytes &tags = {},
                         bool inbound = false) {
        auto origin = std::make_shared<PacketOrigin>();
        origin->compartment = 1;
        origin->ifindex = 3;
        origin->host = 5;
        origin->endpoint = 9;
        origin->key.protocol = 17;
        origin->key.local = {0, 0xFFFF0A000001ull};
        origin->key.remote = {0, 0xFFFF0A000002ull};
        origin->hop_limit = 33;
        origin->traffic_class = 4;
        origin->injected = injected;
        origin->tags = tags;
        origin->inbound = inbound;
        if (std::to_integer<int>(packet[6]) & 0x3F)
            origin->header.assign(packet.begin(), packet.begin() + 20);
        origin->ethernet_addresses.fill(std::byte{0xAA});
        auto &memory = memories.emplace_back(std::make_unique<Bytes>(packet));
        BufferList *list =
            BufferList::indicated(*memory, 20, static_cast<std::uint32_t>(packet.size() - 20),
                                  nullptr, std::move(origin));
        BufferList *clone = BufferList::clone(*list, false);
        list->release();
        lists.push_back(clone);
        return clone;
    }
    Injection receiving(BufferList *list) {
        Injection in;
        in.handle = handle;
        in.needs = FWPS_INJECTION_TYPE_TRANSPORT;
        in.context = reinterpret_cast<HANDLE>(0x77);
        in.kind = DP_INJECT_RECEIVE;
        in.family = SLUICE_AF_INET;
        in.ifindex = 3;
        in.lists = list;
        in.done = [](VOID *context, NET_BUFFER_LIST *done, BOOLEAN) {
            static_cast<InjectionTest *>(context)->completed.push_back({done, done->Status});
        };
        in.done_context = this;
        return in;
    }
    Injection sending(BufferList *list) {
        Injection in = receiving(list);
        in.kind = DP_INJECT_SEND;
        in.ifindex = 0;
        in.endpoint = 9;
        send_args.remoteAddress = remote;
        in.send = &send_args;
        return in;
    }
    // The packet of the last downcall, from its IP header on.
    Bytes sent_packet() {
        const auto sent = port->sent();
        if (sent.empty()) return {};
        const std::string &p = sent.back().packet;
        const auto *at = reinterpret_cast<const std::byte *>(p.data());
        return Bytes(at + ethernet, at + p.size());
    }

    std::shared_ptr<FakePort> port = std::make_shared<FakePort>();
    std::shared_ptr<PortLink> link = std::make_shared<PortLink>();
    bool port_there = true;
    Counters counters;
    Endpoints endpoints;
    Forwards forwards;
    Injections injections{[this](std::uint32_t c) -> std::shared_ptr<PortLink> {
                              return port_there && c <= 1 ? link : nullptr;
                          },
                          endpoints, forwards, counters};
    HANDLE handle = nullptr;
    NDIS_HANDLE pool = nullptr;
    UCHAR remote[16] = {10, 0, 0, 99};
    FWPS_TRANSPORT_SEND_PARAMS1 send_args{};
    std::vector<std::unique_ptr<Bytes>> memories;
    std::vector<std::unique_ptr<MDL>> mdls;
    std::vector<BufferList *> lists;
    std::vector<Completion> completed;
};

inline std::uint16_t word_of(const Bytes &p, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<int>(p[at]) << 8 |
                                      std::to_integer<int>(p[at + 1]));
}

// Of an IPv4 UDP packet: both checksums are right.
inline void expect_sums(const Bytes &p) {
    EXPECT_EQ(fold(sum(std::span(p).first(20), 0)), 0xFFFF);
    const auto segment = std::span(p).subspan(20);
    const auto pseudo =
        sum(std::span(p).subspan(12, 8), 0) + 17 + static_cast<std::uint32_t>(segment.size());
    EXPECT_EQ(fold(sum(segment, pseudo)), 0xFFFF);
}

} // namespace sluice::test
