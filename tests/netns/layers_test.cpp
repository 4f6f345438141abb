// SPDX-License-Identifier: Apache-2.0
// Each layer that the kernel decides, on real traffic in both families: a filter blocks what it
// names and nothing else, the layer's counters and events say so.
#include "layers_fixture.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "datapath/attach_cgroup.h"

namespace sluice::datapath {
namespace {

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

// The ones that are also tried on other kernels, where they are slow.
class LayersKernelTest : public LayersTest {};

TEST_F(LayersKernelTest, FramesByEthertype) {
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

TEST_F(LayersKernelTest, TheProcessDecides) {
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

TEST_F(LayersKernelTest, TheCgroupDecidesWithAllBelow) {
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
    std::thread sender([&] { in_ns("timeout 100 /usr/bin/python3 -c \"" + script + "\""); });
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

} // namespace
} // namespace sluice::datapath
