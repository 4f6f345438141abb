// SPDX-License-Identifier: Apache-2.0
// Redirections that the kernel decides in connect(), on real sockets: what the application sees,
// what the target is told, how chains go on and where they end.
#include "layers_fixture.h"

#include "policy/redirect.h"

#ifndef SLUICE_REDIRECT_PROBE // given by the build
#define SLUICE_REDIRECT_PROBE "redirect_probe.py"
#endif

namespace sluice::datapath {
namespace {

constexpr std::uint16_t asked_port = 7001, proxy_port = 7100;

std::string with_port(const std::string &address, std::uint16_t port) {
    return address + ":" + std::to_string(port);
}

class RedirectTest : public LayersTest {
protected:
    static policy::TargetEnd proxy_at(std::string address) {
        return {std::move(address), proxy_port};
    }

    // Everything to the asked port is the proxy's, on loopback.
    void redirect(const std::string &context) {
        redirect(to_proxy(context), DP_LAYER_ALE_CONNECT_REDIRECT_V4, to_asked_port());
    }
    static policy::Target to_proxy(const std::string &context) {
        return {.v4 = proxy_at({127, 0, 0, 1}),
                .v6 = proxy_at(std::string(15, '\0') + '\1'),
                .context = context};
    }
    static std::vector<Condition> to_asked_port() {
        return {when("FWPM_CONDITION_IP_REMOTE_PORT", value(asked_port))};
    }
    // At a layer and its V6.
    void redirect(const policy::Target &to, std::uint16_t layer,
                  const std::vector<Condition> &conditions) {
        publish(redirecting(to, layer, conditions));
    }
    static policy::Policy redirecting(const policy::Target &to, std::uint16_t layer,
                                      const std::vector<Condition> &conditions) {
        policy::Policy policy = policy::initial();
        policy::ProviderContext target;
        target.key = Guid::random();
        target.name = "target";
        target.type = FWPM_GENERAL_CONTEXT;
        target.data = policy::write_target(to);
        EXPECT_TRUE(policy::add_provider_context(policy, target));
        for (const std::uint16_t at : {layer, std::uint16_t(layer + 1)}) {
            policy::Filter filter;
            filter.name = "elsewhere";
            filter.layer = at;
            filter.action = FWP_ACTION_PERMIT;
            filter.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
            filter.provider_context = target.key;
            filter.conditions = conditions;
            const auto added = policy::add_filter(policy, filter);
            EXPECT_TRUE(added) << added.error().text();
        }
        return policy;
    }

    std::string through(const std::string &kind, bool v6, const std::string &more = {},
                        std::string at = {}) const {
        if (at.empty()) at = v6 ? "::1" : "127.0.0.1";
        return probe("through " + name_ + " " + peer_ + " " + kind + " " + asked(v6) + " " +
                     std::to_string(asked_port) + " " + at + " " + std::to_string(proxy_port) +
                     " " + more);
    }
    // On this machine: `s` is a socket.
    std::string say_of(const std::string &family, const std::string &type,
                       const std::string &code) const {
        return output("nsenter --net=/run/netns/" + name_ +
                      " /usr/bin/python3 -c \"import socket\n"
                      "s=socket.socket(socket.AF_" +
                      family + ",socket.SOCK_" + type +
                      ")\n"
                      "s.setsockopt(1,2,1)\n"
                      "try:\n " +
                      code + "\nexcept OSError as e: print(e.errno)\" 2>&1");
    }
    policy::Policy &also(policy::Policy &policy, std::uint16_t layer,
                         std::vector<Condition> conditions) {
        policy::Filter filter;
        filter.name = "block";
        filter.layer = layer;
        filter.action = FWP_ACTION_BLOCK;
        filter.conditions = std::move(conditions);
        EXPECT_TRUE(policy::add_filter(policy, filter));
        return policy;
    }
    static std::string probe(const std::string &arguments) {
        std::string line =
            output("timeout 60 /usr/bin/python3 -B " SLUICE_REDIRECT_PROBE " " + arguments);
        while (!line.empty() && line.back() == '\n')
            line.pop_back();
        return line;
    }
    static std::string asked(bool v6) { return v6 ? "2001:db8:1::2" : "192.0.2.2"; }

    // What both ends see of a connection that the proxy answers.
    static std::string seen(const std::string &kind, bool v6, const std::string &answer,
                            const std::string &context = "for the proxy") {
        const std::string original = with_port(asked(v6), asked_port);
        return "peer=" + original + " source=" + (kind == "udp" ? original : "-") +
               " answer=" + answer + " v4=" + (v6 ? "none" : original) +
               " v6=" + (v6 ? original : "none") + " original=" + original + " context=" + context +
               " record=880 short=ERANGE";
    }

    std::vector<std::pair<std::uint64_t, dp_redirect>> redirections() const {
        std::vector<std::pair<std::uint64_t, dp_redirect>> all;
        plane_->each_redirect([&](std::uint64_t id, const dp_redirect &redirect) {
            all.emplace_back(id, redirect);
            return true;
        });
        return all;
    }
};

// The one that is also tried on other kernels.
class RedirectKernelTest : public RedirectTest {};

TEST_F(RedirectKernelTest, TheSocketIsConnectedToTheTargetAndNeitherEndIsTheWiser) {
    redirect("for the proxy");
    for (const std::string kind : {"tcp", "udp"}) {
        EXPECT_EQ(through(kind, false), seen(kind, false, "proxy"));
        EXPECT_EQ(through(kind, true), seen(kind, true, "proxy"));
        EXPECT_EQ(through(kind, false, "--mapped"), seen(kind, false, "proxy"));
    }
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECTED"), 6u);
    EXPECT_TRUE(eventually([&] { return packets(*plane_, "DP_REASON_REDIRECT_ENDED") == 6; }));
    for (const auto &[id, redirect] : redirections()) {
        EXPECT_EQ(redirect.state, std::uint32_t(DP_REDIRECT_ENDED));
        EXPECT_EQ(redirect.way, std::uint32_t(DP_WAY_SOCKET));
        EXPECT_EQ(redirect.record.hops, 1u);
        EXPECT_NE(redirect.wire.local_port, 0u);
        EXPECT_NE(redirect.target.tgid, 0u);
    }
}

TEST_F(RedirectTest, AProxyGoesOnWithItsRecordAndWithoutItIsCut) {
    redirect("for the proxy");
    for (const std::string kind : {"tcp", "udp"})
        EXPECT_EQ(through(kind, false, "--onward record"), seen(kind, false, "12345678"));
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECT_LOOP"), 0u);
    for (const std::string kind : {"tcp", "udp"})
        EXPECT_EQ(through(kind, true, "--onward bare"), seen(kind, true, "12345678"));
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECT_LOOP"), 2u);
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECTED"), 4u);
    for (const std::string kind : {"tcp", "udp"})
        EXPECT_EQ(through(kind, false, "--forks --onward bare"), seen(kind, false, "12345678"));
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECT_LOOP"), 4u) << "who listened is gone";
}

TEST_F(RedirectTest, RecordsAreTakenOnlyWholeInTimeAndFromWhomTheyWereGivenTo) {
    redirect("");
    EXPECT_EQ(through("udp", false), seen("udp", false, "proxy", "ENODATA"));
    const auto root = find_cgroup_root();
    ASSERT_TRUE(root) << root.error().text();
    const std::string cgroup = *root + "/" + name_, file = "/run/" + name_ + ".record";
    ASSERT_EQ(run("mkdir -p " + cgroup), 0);
    EXPECT_EQ(through("tcp", false, "--records --cgroup " + cgroup + " --file " + file),
              "peer=192.0.2.2:7001 source=- answer=proxy own=set udp=set forged=EINVAL "
              "truncated=EINVAL longer=EINVAL group=set stranger=EACCES reader=EACCES "
              "connected=EISCONN raw=ENOTSUP option=ENOPROTOOPT");
    EXPECT_EQ(packets(*plane_, "DP_REASON_RECORDS_FORGED"), 3u);
    EXPECT_EQ(packets(*plane_, "DP_REASON_RECORDS_FOREIGN"), 1u);
    EXPECT_EQ(packets(*plane_, "DP_REASON_RECORDS_SET"), 3u);
    EXPECT_EQ(probe("set " + name_ + " " + file), "set") << "its connection ended just now";
    for (const auto &[id, redirect] : redirections())
        plane_->delete_redirect(id, redirect);
    EXPECT_EQ(probe("set " + name_ + " " + file), "ESTALE");
    EXPECT_EQ(packets(*plane_, "DP_REASON_RECORDS_OLD"), 1u);
    run("rmdir " + cgroup + "; rm -f " + file);
}

TEST_F(RedirectTest, ASocketIsBoundToTheOtherInterfaceAndShowsIt) {
    const policy::TargetEnd v4{{char(198), 51, 100, 1}, 0};
    const std::string v6("\x20\x01\x0d\xb8\0\x02\0\0\0\0\0\0\0\0\0\x01", 16);
    const auto name = [&](const std::string &call, const std::string &family,
                          const std::string &type) {
        return say_of(family, type, call + "; print(*s.getsockname()[:2])");
    };
    redirect({.v4 = v4, .v6 = policy::TargetEnd{v6, 0}}, DP_LAYER_ALE_BIND_REDIRECT_V4, {});
    for (const std::string type : {"STREAM", "DGRAM"}) {
        EXPECT_EQ(name("s.bind(('192.0.2.1',7003))", "INET", type), "198.51.100.1 7003\n");
        EXPECT_EQ(name("s.bind(('2001:db8:1::1',7003))", "INET6", type), "2001:db8:2::1 7003\n");
    }
    EXPECT_EQ(name("s.connect(('192.0.2.2',9))", "INET", "DGRAM").substr(0, 13), "198.51.100.1 ");
    EXPECT_EQ(name("s.connect(('2001:db8:1::2',9))", "INET6", "DGRAM").substr(0, 14),
              "2001:db8:2::1 ");
    EXPECT_EQ(name("s.connect(('::ffff:192.0.2.2',9))", "INET6", "DGRAM").substr(0, 20),
              "::ffff:198.51.100.1 ");
    EXPECT_EQ(packets(*plane_, "DP_REASON_BIND_REDIRECTED"), 7u);
    EXPECT_EQ(say({"tcp", true, 7001}, false), "reached") << "from the other address";

    redirect({.v4 = policy::TargetEnd{{0, 0, 0, 0}, 7004},
              .v6 = policy::TargetEnd{std::string(16, '\0'), 7004}},
             DP_LAYER_ALE_BIND_REDIRECT_V4,
             {when("FWPM_CONDITION_IP_LOCAL_PORT", value(std::uint16_t{7003}))});
    EXPECT_EQ(name("s.bind(('192.0.2.1',7003))", "INET", "STREAM"), "192.0.2.1 7004\n");
    EXPECT_EQ(name("s.bind(('192.0.2.1',7002))", "INET", "STREAM"), "192.0.2.1 7002\n");
}

// What sendmsg() leaves to TC.
TEST_F(RedirectTest, DatagramsWithoutConnectionGoThroughTheProxyToo) {
    redirect("for the proxy");
    const auto seen_of = [](bool v6) {
        std::string line = seen("udp", v6, "proxy");
        return "peer=-" + line.substr(line.find(" source="));
    };
    EXPECT_EQ(through("udp", false, "--unconnected"), seen_of(false));
    EXPECT_EQ(through("udp", true, "--unconnected"), seen_of(true));
    EXPECT_EQ(through("udp", false, "--unconnected --mapped"), seen_of(false));
}

TEST_F(RedirectTest, ATargetMayListenOnTheWildcardAndForBothFamilies) {
    redirect("for the proxy");
    for (const std::string kind : {"tcp", "udp"})
        for (const std::string at : {"0.0.0.0", "::"})
            EXPECT_EQ(through(kind, false, "", at), seen(kind, false, "proxy"));
}

TEST_F(RedirectTest, ConnectFailsAsItWouldAtTheTargetOrIsRefused) {
    const std::string connect = "s.connect(('192.0.2.2',7001)); print('connected')";
    const std::string listening = "l=socket.create_server(('127.0.0.1',7100)); ";
    const std::uint16_t layer = DP_LAYER_ALE_CONNECT_REDIRECT_V4;
    redirect("");
    EXPECT_EQ(say_of("INET", "STREAM", connect), "111\n") << "nobody listens";
    EXPECT_EQ(say_of("INET", "STREAM", listening + connect), "connected\n");

    policy::Target another = to_proxy("");
    another.process = 1;
    redirect(another, layer, to_asked_port());
    EXPECT_EQ(say_of("INET", "STREAM", listening + connect), "1\n");
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECT_TARGET"), 1u);

    policy::Policy policy = redirecting(to_proxy(""), layer, to_asked_port());
    publish(also(policy, DP_LAYER_ALE_AUTH_CONNECT_V4,
                 {when("FWPM_CONDITION_IP_REMOTE_PORT", value(proxy_port)),
                  when("FWPM_CONDITION_FLAGS",
                       value(std::uint32_t{FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED}),
                       FWP_MATCH_FLAGS_ALL_SET)}));
    const std::size_t before = redirections().size();
    EXPECT_EQ(say_of("INET", "STREAM", listening + connect), "1\n") << "by the new destination";
    EXPECT_EQ(redirections().size(), before) << "its draft is gone";

    policy::Policy blocking = policy::initial();
    publish(also(blocking, layer, to_asked_port()));
    EXPECT_EQ(say_of("INET", "STREAM", connect), "1\n");
}

TEST_F(RedirectTest, ANewConnectOfAUdpSocketForgetsTheOldOne) {
    redirect("");
    EXPECT_EQ(say_of("INET", "DGRAM",
                     "s.connect(('192.0.2.2',7001)); s.connect(('198.51.100.2',7001)); "
                     "print(*s.getpeername())"),
              "198.51.100.2 7001\n");
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECTED"), 2u);
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECT_ENDED"), 2u) << "the other with its socket";
}

TEST_F(RedirectTest, WhatIsNotRedirectedIsToldNothing) {
    const std::string ask = "s.getsockopt(0x534c,1,1024)";
    EXPECT_EQ(say_of("INET", "STREAM", ask), "95\n") << "the level is nobody's yet";
    redirect("for the proxy");
    EXPECT_EQ(say_of("INET", "STREAM", ask), "2\n");
    EXPECT_EQ(say({"tcp", true, 7002}, false), "reached");
    EXPECT_EQ(packets(*plane_, "DP_REASON_REDIRECTED"), 0u);
}

} // namespace
} // namespace sluice::datapath
