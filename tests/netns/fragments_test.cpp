// SPDX-License-Identifier: Apache-2.0
// Fragments on the wire: judged like their first, or refused with the reason.
#include "layers_fixture.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

namespace sluice::datapath {
namespace {

// An IPv4 fragment of a UDP datagram to port `port`, `at` bytes into it; sent from the other side.
class FragmentsTest : public LayersTest {
protected:
    void send(std::uint16_t id, std::uint16_t port, std::uint16_t at, bool more,
              std::size_t bytes) {
        std::vector<std::uint8_t> f(14 + 20 + bytes);
        const auto put16 = [&](std::size_t where, std::size_t v) {
            f[where] = std::uint8_t(v >> 8);
            f[where + 1] = std::uint8_t(v);
        };
        const std::string mac =
            output("ip netns exec " + name_ + " cat /sys/class/net/nic0/address");
        for (int i = 0; i < 6; i++)
            f[i] = std::uint8_t(std::stoul(mac.substr(i * 3, 2), nullptr, 16));
        put16(12, 0x0800);
        f[14] = 0x45;
        put16(16, 20 + bytes);
        put16(18, id);
        put16(20, (more ? 0x2000 : 0) | at / 8);
        f[22] = 64;
        f[23] = 17;
        const std::uint8_t addresses[] = {192, 0, 2, 2, 192, 0, 2, 1};
        std::copy(std::begin(addresses), std::end(addresses), f.begin() + 26);
        put16(24, checksum(f));
        if (at == 0) { // as much of a UDP header as there is room for
            const std::uint8_t udp[] = {
                4000 >> 8, 4000 & 0xff, std::uint8_t(port >> 8), std::uint8_t(port), 0, 64, 0, 0};
            std::copy_n(udp, std::min(bytes, sizeof udp), f.begin() + 34);
        }
        auto peer = NetNs::from_fd(Fd(open(("/run/netns/" + peer_).c_str(), O_RDONLY | O_CLOEXEC)));
        ASSERT_TRUE(peer);
        ASSERT_TRUE(peer->enter([&]() -> Result<void> {
            const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
            sockaddr_ll to{};
            to.sll_family = AF_PACKET;
            to.sll_ifindex = int(if_nametoindex("peer0"));
            if (sendto(socket.get(), f.data(), f.size(), 0, reinterpret_cast<sockaddr *>(&to),
                       sizeof to) < 0)
                return Error{errno, "send a fragment"};
            return {};
        }));
    }

    static std::size_t checksum(const std::vector<std::uint8_t> &f) {
        std::size_t sum = 0;
        for (std::size_t i = 14; i < 34; i += 2)
            sum += std::size_t(f[i] << 8 | f[i + 1]);
        while (sum >> 16 != 0)
            sum = (sum & 0xffff) + (sum >> 16);
        return ~sum & 0xffff;
    }

    std::uint64_t counted(const std::string &name) { return packets(*plane_, name); }
};

TEST_F(FragmentsTest, AreJudgedLikeTheirFirst) {
    std::uint64_t id = 0;
    publish(blocking(DP_LAYER_INBOUND_TRANSPORT_V4,
                     {when("FWPM_CONDITION_IP_LOCAL_PORT", value(std::uint16_t{7001}))}, id));
    send(1, 7001, 0, true, 24);
    send(1, 7001, 24, true, 24);
    send(1, 7001, 48, false, 16);
    EXPECT_TRUE(eventually([&] { return plane_->filter_hits()[id] == 3; }))
        << plane_->filter_hits()[id];
    send(2, 7002, 0, true, 24);
    send(2, 7002, 24, false, 24);
    EXPECT_TRUE(eventually([&] { return counted("DP_LAYER_INBOUND_TRANSPORT_V4.permit") >= 2; }));
    EXPECT_EQ(plane_->filter_hits()[id], 3u);
}

TEST_F(FragmentsTest, WithoutTheirFirstOrOverItAreRefused) {
    const std::uint64_t lone = counted("DP_REASON_FRAGMENT");
    send(3, 7001, 24, false, 24);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_FRAGMENT") == lone + 1; }));
    send(4, 7001, 0, true, 24);
    send(4, 7001, 8, true, 16);   // over the first one's data
    send(4, 7001, 24, false, 16); // and what follows
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_FRAGMENT_OVERLAP") == 2; }))
        << counted("DP_REASON_FRAGMENT_OVERLAP");
    send(5, 7001, 0, true, 4); // too short for a UDP header
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_FRAGMENT") == lone + 2; }));
}

} // namespace
} // namespace sluice::datapath
