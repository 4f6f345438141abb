// SPDX-License-Identifier: Apache-2.0
// A data plane on two NICs of a machine that also routes, policies for it, and traffic in both
// families.
#pragma once

#include "datapath_fixture.h"

#include "compiler/compile.h"
#include "policy/edit.h"
#include "policy/wfp.h"

#ifndef SLUICE_PROBE // given by the build
#define SLUICE_PROBE "probe.py"
#endif

namespace sluice::datapath {

using policy::Condition;
using policy::Scalar;
using policy::Value;

inline Condition when(const char *field, Value value, std::uint32_t match = FWP_MATCH_EQUAL) {
    return {policy::table_key(field), match, std::move(value)};
}
inline Condition when(const Guid &field, Value value, std::uint32_t match = FWP_MATCH_EQUAL) {
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

} // namespace sluice::datapath
