// SPDX-License-Identifier: Apache-2.0
// A data plane with one port, and the test as its host: what goes up is looked at, what comes down
// is sent through the far end, as sluiced does.
#pragma once

#include <arpa/inet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "compiler/compile.h"
#include "datapath_fixture.h"
#include "harness/packet.h"
#include "harness/policy_builder.h"

namespace sluice::datapath {

using harness::Bytes;

inline constexpr std::uint16_t accept_v4 = DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4;

struct Up {
    dp_upcall head{};
    Bytes packet;
};

// The calling thread is in the namespace while this lives.
class Within {
public:
    explicit Within(const std::string &name)
        : Within(Fd(open(("/run/netns/" + name).c_str(), O_RDONLY))) {}
    explicit Within(Fd to) : home_(open("/proc/thread-self/ns/net", O_RDONLY)) {
        EXPECT_EQ(setns(to.get(), CLONE_NEWNET), 0);
    }
    ~Within() { EXPECT_EQ(setns(home_.get(), CLONE_NEWNET), 0); }

private:
    Fd home_;
};

struct Address { // numeric, either family
    sockaddr_storage storage{};
    socklen_t length = 0;
    Address(const std::string &text, std::uint16_t port) {
        auto *v4 = reinterpret_cast<sockaddr_in *>(&storage);
        auto *v6 = reinterpret_cast<sockaddr_in6 *>(&storage);
        if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
            v4->sin_family = AF_INET;
            v4->sin_port = htons(port);
            length = sizeof *v4;
        } else {
            EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr), 1);
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons(port);
            length = sizeof *v6;
        }
    }
    [[nodiscard]] const sockaddr *get() const {
        return reinterpret_cast<const sockaddr *>(&storage);
    }
};

// A socket in the namespace, bound; TCP ones that `listens` do so.
inline Fd bound(const std::string &ns, int type, const Address &at, bool listens = false) {
    const Within in(ns);
    Fd s(socket(at.storage.ss_family, type | SOCK_NONBLOCK, 0));
    const int on = 1;
    setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    EXPECT_EQ(bind(s.get(), at.get(), at.length), 0) << std::strerror(errno);
    if (listens) EXPECT_EQ(listen(s.get(), 8), 0);
    return s;
}

inline bool ready(const Fd &s, short events, int ms) {
    pollfd wait{s.get(), events, 0};
    return poll(&wait, 1, ms) == 1 && (wait.revents & events) != 0;
}

// What the socket has in `ms`; empty: nothing.
inline std::string received(const Fd &s, int ms = 1500) {
    std::array<char, 256> text{};
    if (!ready(s, POLLIN, ms)) return {};
    const ssize_t n = recv(s.get(), text.data(), text.size(), 0);
    return n > 0 ? std::string(text.data(), std::size_t(n)) : std::string{};
}

class PortHost {
public:
    PortHost(const PortHandover &port, std::byte *memory)
        : xsk_(port.xsk.get()), memory_(memory), ring_(port.ring) {
        socklen_t length = sizeof at_;
        getsockopt(xsk_, SOL_XDP, XDP_MMAP_OFFSETS, &at_, &length);
        fill_ = map(XDP_UMEM_PGOFF_FILL_RING, at_.fr.desc + ring_ * sizeof(std::uint64_t));
        rx_ = map(XDP_PGOFF_RX_RING, at_.rx.desc + ring_ * sizeof(xdp_desc));
        map(XDP_PGOFF_TX_RING, at_.tx.desc + ring_ * sizeof(xdp_desc));
        map(XDP_UMEM_PGOFF_COMPLETION_RING, at_.cr.desc + ring_ * sizeof(std::uint64_t));
        for (std::uint32_t i = 0; i < port.frames; i++)
            give(std::uint64_t(i) * DP_FRAME_BYTES);
        sockaddr_xdp address{};
        address.sxdp_family = AF_XDP;
        address.sxdp_flags = XDP_COPY;
        address.sxdp_ifindex = port.far_ifindex;
        EXPECT_EQ(bind(xsk_, reinterpret_cast<const sockaddr *>(&address), sizeof address), 0);
    }

    std::optional<Up> next(int ms) {
        pollfd wait{xsk_, POLLIN, 0};
        if (consumed_ == load(rx_ + at_.rx.producer) && poll(&wait, 1, ms) != 1) return {};
        const auto &slot =
            reinterpret_cast<const xdp_desc *>(rx_ + at_.rx.desc)[consumed_ & (ring_ - 1)];
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(memory_ + slot.addr);
        Up up;
        std::memcpy(&up.head, bytes, sizeof up.head);
        up.packet.assign(bytes + up.head.header_bytes, bytes + slot.len);
        const std::uint64_t frame = slot.addr & ~std::uint64_t(DP_FRAME_BYTES - 1);
        store(rx_ + at_.rx.consumer, ++consumed_);
        give(frame);
        return up;
    }

private:
    static std::uint32_t load(std::byte *at) {
        return __atomic_load_n(reinterpret_cast<std::uint32_t *>(at), __ATOMIC_ACQUIRE);
    }
    static void store(std::byte *at, std::uint32_t value) {
        __atomic_store_n(reinterpret_cast<std::uint32_t *>(at), value, __ATOMIC_RELEASE);
    }
    void give(std::uint64_t frame) {
        reinterpret_cast<std::uint64_t *>(fill_ + at_.fr.desc)[given_ & (ring_ - 1)] = frame;
        store(fill_ + at_.fr.producer, ++given_);
    }
    std::byte *map(off_t offset, std::size_t bytes) const {
        void *at =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, xsk_, offset);
        EXPECT_NE(at, MAP_FAILED);
        return static_cast<std::byte *>(at);
    }
    int xsk_;
    std::byte *memory_;
    std::uint32_t ring_, given_ = 0, consumed_ = 0;
    std::byte *fill_ = nullptr, *rx_ = nullptr;
    xdp_mmap_offsets at_{};
};

class PortTest : public DatapathTest {
protected:
    static constexpr std::uint32_t host_id = 7;

    void SetUp() override {
        DatapathTest::SetUp();
        if (IsSkipped()) return;
        const std::string near = "ip -n " + name_, far = "ip -n " + peer_;
        ASSERT_EQ(run(near + " addr add 2001:db8:1::1/64 dev nic0 nodad"), 0);
        ASSERT_EQ(run(far + " addr add 2001:db8:1::2/64 dev peer0 nodad"), 0);
        // XDP would see a neighbour's packets before their checksums are there; a host completes
        // them.
        ASSERT_EQ(run("ip netns exec " + peer_ + " ethtool -K peer0 tx off >/dev/null"), 0);
        create();
        attach();
        auto port = plane_->make_port(host_id, 256, handover_);
        ASSERT_TRUE(port) << port.error().text();
        port_ = std::move(*port);
        const Within in(std::move(*port_->far().dup()));
        host_.emplace(handover_, port_->umem().bytes().data());
    }
    void TearDown() override {
        host_.reset();
        port_.reset();
        DatapathTest::TearDown();
    }

    // Filters that ask this host at the layers, about one protocol or all. Each time new ones, so
    // that no answer is kept from before.
    void ask_at(const std::vector<std::uint16_t> &layers, std::uint8_t protocol = 0) {
        ASSERT_TRUE(plane_->set_host(host_id, dp_host{.port_ifindex = port_->near_ifindex(),
                                                      .alive = 1,
                                                      .watchdog_ns = 30'000'000'000,
                                                      .queue_bytes_max = 100'000,
                                                      .holds_max = 1000,
                                                      .process_holds_max = 1000,
                                                      .hold_bytes_max = 1'000'000,
                                                      .process_bytes_max = 1'000'000}));
        policy::Policy p = policy::initial();
        for (std::uint64_t i = 0; i < generation_; ++i)
            harness::add(p, harness::permit(DP_LAYER_IPFORWARD_V4));
        for (const std::uint16_t layer : layers) {
            const Guid callout = harness::new_callout(p, layer);
            auto filter = harness::terminating(layer, callout);
            if (protocol != 0)
                filter = std::move(filter).when(harness::equal(harness::protocol, protocol));
            harness::add(p, filter);
            ASSERT_TRUE(
                plane_->set_callout(p.callouts.at(callout).id, dp_callout{.host = host_id}));
        }
        auto plan = compiler::compile(p, ++generation_, {});
        ASSERT_TRUE(plan) << plan.error().text();
        ASSERT_TRUE(plane_->publish(*plan));
    }

    // The next frame that goes up about TCP, UDP or an echo; what IPv6 tells its neighbours, at any
    // time, is let through.
    std::optional<Up> next(int ms = 2000) {
        while (auto up = host_->next(ms)) {
            const bool query = up->head.key.remote_port != 0xffff;
            if (up->head.key.protocol != IPPROTO_ICMPV6 || query) return up;
            answer(*up, DP_ACTION_PERMIT);
        }
        return {};
    }
    static dp_downcall head(dp_downcall_kind kind, const Up &up, std::uint32_t action = 0) {
        dp_downcall d{};
        d.magic = DP_DOWNCALL_MAGIC;
        d.version = DP_LAYOUT_VERSION;
        d.kind = kind;
        d.ticket = up.head.ticket;
        d.filter_id = up.head.filter_id;
        d.action = action;
        if (up.head.layer >= DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4) d.key = up.head.key;
        return d;
    }
    void down(const dp_downcall &d, const Bytes &packet = {}) {
        std::vector<std::byte> frame(sizeof d + packet.size());
        std::memcpy(frame.data(), &d, sizeof d);
        std::memcpy(frame.data() + sizeof d, packet.data(), packet.size());
        const auto sent = port_->send_down(frame);
        EXPECT_TRUE(sent) << (sent ? "" : sent.error().text());
    }
    void answer(const Up &up, std::uint32_t action) {
        down(head(DP_DOWNCALL_ANSWER, up, action), up.packet);
    }
    void inject(dp_inject_kind kind, const Bytes &packet, std::uint32_t ifindex = 0) {
        dp_downcall d{};
        d.magic = DP_DOWNCALL_MAGIC;
        d.version = DP_LAYOUT_VERSION;
        d.kind = DP_DOWNCALL_INJECT;
        d.inject = {.handle = 11,
                    .previous = 12,
                    .context = 0x1234,
                    .ifindex = ifindex,
                    .kind = static_cast<__u16>(kind)};
        down(d, packet);
    }
    static void expect_injected(const Up &up) {
        EXPECT_EQ(up.head.injected.host, host_id);
        EXPECT_EQ(up.head.injected.handle, 11u);
        EXPECT_EQ(up.head.injected.previous, 12u);
        EXPECT_EQ(up.head.injected.context, 0x1234u);
    }

    std::string near(bool v6) const { return v6 ? "2001:db8:1::1" : "192.0.2.1"; }
    std::string far(bool v6) const { return v6 ? "2001:db8:1::2" : "192.0.2.2"; }
    std::uint64_t counted(const char *reason) const { return packets(*plane_, reason); }
    std::uint32_t state_of(const Up &up) const {
        const auto flow = plane_->flow(up.head.key);
        return flow ? flow->state : DP_FLOW_NONE;
    }
    std::uint32_t nic() {
        const Within in(name_);
        return if_nametoindex("nic0");
    }

    PortHandover handover_;
    std::unique_ptr<PortDevice> port_;
    std::optional<PortHost> host_;
    std::uint64_t generation_ = 1;
};

} // namespace sluice::datapath
