// SPDX-License-Identifier: Apache-2.0
// Each layer that the kernel decides, on real traffic in both families: a filter blocks what it
// names and nothing else, the layer's counters and events say so.
#include "datapath_fixture.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "compiler/compile.h"
#include "datapath/attach_cgroup.h"
#include "policy/edit.h"
#include "policy/wfp.h"

namespace sluice::datapath {
namespace {

using policy::Condition;
using policy::Scalar;
using policy::Value;

Condition when(const char *field, Value value, std::uint32_t match = FWP_MATCH_EQUAL) {
    return {policy::table_key(field), match, std::move(value)};
}
Condition when(const Guid &field, Value value, std::uint32_t match = FWP_MATCH_EQUAL) {
    return {field, match, std::move(value)};
}
template <typename T>
Value value(T v) {
    return Value{Scalar{v}};
}

struct Probe {
    std::string kind;
    bool out; // this machine begins
    std::uint16_t port = 0;
    std::string more = {}; // further arguments
};

// A layer by its V4 number, what the filter asks, what it stops, what goes on.
struct Case {
    std::uint16_t layer;
    std::vector<Condition> conditions;
    Probe stopped;
    std::string word; // what the stopped one says
    Probe free;
    bool v6 = true; // also in IPv6
};

class LayersTest : public DatapathTest {
protected:
    void SetUp() override {
        DatapathTest::SetUp();
        if (IsSkipped()) return;
        far_ = "slfa-" + name_.substr(5);
        const std::string near = "ip -n " + name_, peer = "ip -n " + peer_, far = "ip -n " + far_;
        const std::string in_near = "ip netns exec " + name_ + " sysctl -qw ";
        for (const std::string &command :
             {"ip netns add " + far_,
              near + " link add nic1 type veth peer name far0 netns " + far_,
              near + " addr add 2001:db8:1::1/64 dev nic0 nodad",
              peer + " addr add 2001:db8:1::2/64 dev peer0 nodad", peer + " link set lo up",
              near + " addr add 198.51.100.1/24 dev nic1",
              near + " addr add 2001:db8:2::1/64 dev nic1 nodad",
              far + " addr add 198.51.100.2/24 dev far0",
              far + " addr add 2001:db8:2::2/64 dev far0 nodad", near + " link set nic1 up",
              far + " link set far0 up", far + " route add default via 198.51.100.1",
              far + " route add default via 2001:db8:2::1",
              peer + " route add default via 192.0.2.1",
              peer + " route add default via 2001:db8:1::1", in_near + "net.ipv4.ip_forward=1",
              in_near + "net.ipv6.conf.all.forwarding=1",
              in_near + "net.ipv4.ping_group_range='0 65535'",
              in_near + "net.ipv4.icmp_ratelimit=0"})
            ASSERT_EQ(run(command), 0) << command;
        create();
        attach();
        std::string note;
        ASSERT_TRUE(plane_->attach_nic("nic1", XdpMode::automatic, note));
        ASSERT_TRUE(plane_->tell(1u << DP_EVENT_DROP));
    }

    void TearDown() override {
        plane_.reset();
        if (!far_.empty()) run("ip netns del " + far_);
        DatapathTest::TearDown();
    }

    std::string address(const Probe &probe, bool v6) const {
        if (probe.kind == "ping-far") return v6 ? "2001:db8:2::2" : "198.51.100.2";
        if (probe.kind == "bind" || probe.kind == "raw") return v6 ? "2001:db8:1::1" : "192.0.2.1";
        if (probe.out) return v6 ? "2001:db8:1::2" : "192.0.2.2";
        return v6 ? "2001:db8:1::1" : "192.0.2.1";
    }

    std::string say(const Probe &probe, bool v6) const {
        const std::string client = probe.out ? name_ : peer_, server = probe.out ? peer_ : name_;
        const std::string kind = probe.kind == "ping-far" ? "ping" : probe.kind;
        std::string word = output("/usr/bin/python3 -B " SLUICE_PROBE " " + kind + " " + client +
                                  " " + server + " " + address(probe, v6) + " " +
                                  std::to_string(probe.port) + " " + probe.more + " 2>&1");
        while (!word.empty() && word.back() == '\n')
            word.pop_back();
        return word;
    }

    void publish(const policy::Policy &policy, const compiler::Environment &environment = {}) {
        auto plan = compiler::compile(policy, ++generation_, environment);
        ASSERT_TRUE(plan) << plan.error().text();
        const auto done = plane_->publish(*plan);
        ASSERT_TRUE(done) << done.error().text();
    }

public:
    static policy::Policy blocking(std::uint16_t layer, std::vector<Condition> conditions,
                                   std::uint64_t &id) {
        policy::Policy policy = policy::initial();
        policy::Filter filter;
        filter.name = "block";
        filter.layer = layer;
        filter.action = FWP_ACTION_BLOCK;
        filter.conditions = std::move(conditions);
        auto added = policy::add_filter(policy, std::move(filter));
        EXPECT_TRUE(added) << added.error().text();
        id = added ? *added : 0;
        return policy;
    }

protected:
    void check(const Case &c, bool v6) {
        const bool mac = c.layer == DP_LAYER_INBOUND_MAC_FRAME_ETHERNET ||
                         c.layer == DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET;
        const auto layer = std::uint16_t(v6 && !mac ? c.layer + DP_LAYER_V6 : c.layer);
        SCOPED_TRACE(policy::layer_name(layer) + " " + c.stopped.kind);
        EXPECT_EQ(say(c.stopped, v6), c.word == "ECONNREFUSED-lost" ? "ECONNREFUSED" : "reached");
        std::uint64_t id = 0;
        publish(blocking(layer, c.conditions, id));
        plane_->each_event([](const dp_event &) {});
        EXPECT_EQ(say(c.stopped, v6), c.word == "ECONNREFUSED-lost" ? "silent" : c.word);
        EXPECT_EQ(say(c.free, v6), "reached");
        std::size_t told = 0;
        plane_->each_event([&](const dp_event &event) {
            told += event.layer == layer && event.filter_id == id && event.type == DP_EVENT_DROP &&
                    event.reason == DP_REASON_FILTER_BLOCK;
        });
        EXPECT_GT(told, 0u);
        EXPECT_GT(plane_->filter_hits()[id], 0u);
        publish(policy::initial());
    }

    std::string far_;
    std::uint64_t generation_ = 1;
};

const Value tcp = value(std::uint8_t{6}), udp = value(std::uint8_t{17});
const Value port = value(std::uint16_t{7001});

std::vector<Case> cases() {
    constexpr const char *protocol = "FWPM_CONDITION_IP_PROTOCOL";
    constexpr const char *local_port = "FWPM_CONDITION_IP_LOCAL_PORT";
    constexpr const char *remote_port = "FWPM_CONDITION_IP_REMOTE_PORT";
    const Probe tcp_in{"tcp", false, 7001}, tcp_in_2{"tcp", false, 7002};
    const Probe tcp_out{"tcp", true, 7001}, tcp_out_2{"tcp", true, 7002};
    const Probe udp_in{"udp", false, 7001}, udp_in_2{"udp", false, 7002};
    const Probe udp_out{"udp", true, 7001}, udp_out_2{"udp", true, 7002};
    const Probe ping_in{"ping", false}, ping_far{"ping-far", false};
    const Probe bind{"bind", true, 7001}, bind_2{"bind", true, 7002}, raw{"raw", true};
    const Probe closed_out{"refused", true, 7009}, closed_in{"refused", false, 7009};
    const Condition raw_flag =
        when("FWPM_CONDITION_FLAGS", value(std::uint32_t{FWP_CONDITION_FLAG_IS_RAW_ENDPOINT}),
             FWP_MATCH_FLAGS_ANY_SET);
    return {
        {DP_LAYER_INBOUND_IPPACKET_V4, {when(protocol, udp)}, udp_in, "silent", tcp_in},
        {DP_LAYER_OUTBOUND_IPPACKET_V4, {when(protocol, udp)}, udp_out, "silent", tcp_out},
        {DP_LAYER_INBOUND_TRANSPORT_V4,
         {when(protocol, tcp), when(local_port, port)},
         tcp_in,
         "silent",
         tcp_in_2},
        {DP_LAYER_INBOUND_TRANSPORT_V4,
         {when(protocol, udp), when(local_port, port)},
         udp_in,
         "silent",
         tcp_in},
        {DP_LAYER_OUTBOUND_TRANSPORT_V4,
         {when(protocol, udp), when(remote_port, port)},
         udp_out,
         "silent",
         tcp_out},
        {DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
         {when(protocol, tcp), when(local_port, port)},
         tcp_in,
         "silent",
         tcp_in_2},
        {DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
         {when(protocol, udp), when(local_port, port)},
         udp_in,
         "silent",
         udp_in_2},
        {DP_LAYER_ALE_AUTH_CONNECT_V4,
         {when(protocol, tcp), when(remote_port, port)},
         tcp_out,
         "EPERM",
         tcp_out_2},
        {DP_LAYER_ALE_AUTH_CONNECT_V4,
         {when(protocol, udp), when(remote_port, port)},
         udp_out,
         "EPERM",
         udp_out_2},
        {DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, {when(local_port, port)}, bind, "EPERM", bind_2},
        {DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, {raw_flag}, raw, "EPERM", bind},
        {DP_LAYER_ALE_AUTH_LISTEN_V4, {when(local_port, port)}, tcp_in, "silent", tcp_in_2},
        {DP_LAYER_IPFORWARD_V4, {}, ping_far, "silent", ping_in},
        {DP_LAYER_INBOUND_ICMP_ERROR_V4, {}, closed_out, "ECONNREFUSED-lost", udp_out},
        {DP_LAYER_OUTBOUND_ICMP_ERROR_V4, {}, closed_in, "ECONNREFUSED-lost", udp_in},
    };
}

TEST_F(LayersTest, EachLayerBlocksWhatItsFilterNames) {
    for (const Case &c : cases())
        for (const bool v6 : {false, true})
            check(c, v6);
}

TEST_F(LayersTest, IcmpByTypeAtTransportAndAle) {
    for (const bool v6 : {false, true}) {
        const Value echo = value(std::uint16_t(v6 ? 128 : 8));
        const Value icmp = value(std::uint8_t(v6 ? 58 : 1));
        const std::vector<Condition> both{when("FWPM_CONDITION_IP_PROTOCOL", icmp),
                                          when("FWPM_CONDITION_IP_LOCAL_PORT", echo)};
        const Probe ping_in{"ping", false}, ping_out{"ping", true};
        check({DP_LAYER_INBOUND_TRANSPORT_V4, both, ping_in, "silent", ping_out}, v6);
        check({DP_LAYER_OUTBOUND_TRANSPORT_V4, both, ping_out, "silent", ping_in}, v6);
        check({DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4, both, ping_in, "silent", ping_out}, v6);
        check({DP_LAYER_ALE_AUTH_CONNECT_V4, both, ping_out, "silent", ping_in}, v6);
    }
}

TEST_F(LayersTest, FramesByEthertype) {
    const std::vector<Condition> v6_frames{
        when("FWPM_CONDITION_ETHER_TYPE", value(std::uint16_t{0x86dd}))};
    const Probe ping_in{"ping", false};
    for (const std::uint16_t layer :
         {DP_LAYER_INBOUND_MAC_FRAME_ETHERNET, DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET}) {
        std::uint64_t id = 0;
        EXPECT_EQ(say(ping_in, true), "reached");
        publish(blocking(layer, v6_frames, id));
        EXPECT_EQ(say(ping_in, true), "silent");
        EXPECT_EQ(say(ping_in, false), "reached");
        EXPECT_GT(plane_->filter_hits()[id], 0u);
        publish(policy::initial());
    }
}

TEST_F(LayersTest, TheProcessDecides) {
    const Probe anyone{"tcp", true, 7001}, someone{"tcp", true, 7001, "--uid 12345"};
    std::uint64_t id = 0;
    publish(blocking(DP_LAYER_ALE_AUTH_CONNECT_V4,
                     {when("FWPM_CONDITION_ALE_USER_ID", value(std::uint32_t{12345}))}, id));
    EXPECT_EQ(say(someone, false), "EPERM");
    EXPECT_EQ(say(anyone, false), "reached");

    const std::string python = std::filesystem::canonical("/usr/bin/python3");
    struct stat st {};
    ASSERT_EQ(stat(python.c_str(), &st), 0);
    compiler::Environment environment;
    environment.files[python] = {
        {std::uint32_t(major(st.st_dev) << 20 | minor(st.st_dev)), st.st_ino}};
    const Condition app = when("FWPM_CONDITION_ALE_APP_ID", Value{Scalar{policy::Text{python}}});
    publish(blocking(DP_LAYER_ALE_AUTH_CONNECT_V4, {app}, id), environment);
    EXPECT_EQ(say(anyone, false), "EPERM");
    EXPECT_EQ(say({"ping", true}, false), "reached");
    const Condition ending =
        when("FWPM_CONDITION_ALE_APP_ID",
             Value{Scalar{policy::Text{python.substr(python.rfind('/'))}}}, FWP_MATCH_PREFIX);
    publish(blocking(DP_LAYER_ALE_AUTH_CONNECT_V4, {ending}, id));
    EXPECT_EQ(say(anyone, false), "EPERM");
    EXPECT_EQ(say({"ping", true}, false), "reached");
}

TEST_F(LayersTest, TheCgroupDecidesWithAllBelow) {
    const auto root = find_cgroup_root();
    ASSERT_TRUE(root) << root.error().text();
    const std::string above = *root + "/" + name_, below = above + "/inner";
    ASSERT_EQ(run("mkdir -p " + below), 0);
    struct stat st {};
    ASSERT_EQ(stat(above.c_str(), &st), 0);
    const Guid cgroup = *Guid::parse("7f0a3a52-5a1e-4c0d-9d51-0b2f6c3e8a02");
    std::uint64_t id = 0;
    publish(blocking(DP_LAYER_ALE_AUTH_CONNECT_V4, {when(cgroup, value(std::uint64_t{st.st_ino}))},
                     id));
    EXPECT_EQ(say({"tcp", true, 7001, "--cgroup " + below}, false), "EPERM");
    EXPECT_EQ(say({"tcp", true, 7001, "--cgroup " + above}, false), "EPERM");
    EXPECT_EQ(say({"tcp", true, 7001}, false), "reached");
    run("rmdir " + below + " " + above);
}

// The program made its socket before anything was loaded: what it sends is judged with its owner.
class OwnersTest : public DatapathTest {};

TEST_F(OwnersTest, SocketsOlderThanTheDataPlaneHaveTheirOwner) {
    const std::string go = "/run/" + name_ + ".go", ready = "/run/" + name_ + ".ready";
    const std::string script = "import os,socket,time\n"
                               "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                               "s.connect(('192.0.2.2',9))\n"
                               "open('" +
                               ready +
                               "','w').close()\n"
                               "while not os.path.exists('" +
                               go +
                               "'): time.sleep(0.02)\n"
                               "s.send(b'x')\n";
    std::thread sender([&] { in_ns("timeout 30 /usr/bin/python3 -c \"" + script + "\""); });
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(ready); }));
    create();
    attach();
    std::uint64_t id = 0;
    const auto policy =
        LayersTest::blocking(DP_LAYER_ALE_AUTH_CONNECT_V4,
                             {when("FWPM_CONDITION_ALE_USER_ID", value(std::uint32_t{0}))}, id);
    const auto plan = compiler::compile(policy, 2);
    ASSERT_TRUE(plan && plane_->publish(*plan));
    run("touch " + go);
    sender.join();
    EXPECT_TRUE(eventually([&] { return plane_->filter_hits()[id] == 1; }));
    EXPECT_EQ(packets(*plane_, "DP_REASON_VALUE_UNKNOWN"), 0u);
    run("rm -f " + go + " " + ready);
}

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
        if (at == 0) {
            put16(34, 4000);
            put16(36, port);
            put16(38, 64);
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
