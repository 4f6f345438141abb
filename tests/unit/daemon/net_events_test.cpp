// SPDX-License-Identifier: Apache-2.0
#include "daemon/net_events.h"

#include <gtest/gtest.h>

#include "daemon/event_pump.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {
namespace {

class Events : public testing::Test {
protected:
    void add(std::uint64_t time) {
        protocol::NetEvent event;
        event.set_time_ns(time);
        events.add(event);
    }
    std::size_t found(std::uint64_t id, std::uint64_t from = 0, std::uint64_t to = 0) {
        protocol::NetEventEnum wanted;
        wanted.set_id(id);
        wanted.set_from_ns(from);
        wanted.set_to_ns(to);
        return events.find(wanted)->size();
    }
    std::vector<std::uint64_t> told;
    NetEvents events{[this](const protocol::NetEvent &e) { told.push_back(e.id()); }};
};

TEST_F(Events, TheLastOnesAreKeptUnderNumbers) {
    for (std::uint64_t i = 0; i < NetEvents::kept_max + 10; ++i)
        add(i);
    EXPECT_EQ(found(0), NetEvents::kept_max);
    EXPECT_EQ(found(10), 0u) << "it was pushed out";
    EXPECT_EQ(found(11), 1u);
    EXPECT_EQ(told.size(), NetEvents::kept_max + 10);
}

TEST_F(Events, AreFoundByTime) {
    for (std::uint64_t i = 1; i <= 10; ++i)
        add(i * 100);
    EXPECT_EQ(found(0, 300, 500), 3u);
    EXPECT_EQ(found(0, 950), 1u);
}

TEST_F(Events, NoneAreKeptWhileTheyAreNotCollected) {
    add(1);
    events.collect(false);
    add(2);
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(events.find({}).error().ntstatus,
              static_cast<std::uint32_t>(STATUS_FWP_NET_EVENTS_DISABLED));
    events.collect(true);
    EXPECT_EQ(found(0), 0u);
    add(3);
    EXPECT_EQ(found(2), 1u) << "numbers are not used again";
}

dp_event a_drop() {
    dp_event event{};
    event.type = DP_EVENT_DROP;
    event.time_ns = 1000;
    event.filter_id = 7;
    event.layer = DP_LAYER_ALE_AUTH_CONNECT_V4;
    event.reason = DP_REASON_FILTER_BLOCK;
    event.flow.protocol = 6;
    event.flow.local = {0, 0xffffull << 32 | 0x0a000001};
    event.flow.remote = {0, 0xffffull << 32 | 0x0a000002};
    event.flow.local_port = 40000;
    event.flow.remote_port = 443;
    event.process.tgid = 12;
    event.process.uid = 1000;
    return event;
}

TEST(NetEvent, SaysWhichFilterDroppedWhatAndWhy) {
    policy::Policy policy;
    policy::Filter filter;
    filter.name = "no https";
    policy.filters.emplace(7, filter);
    const auto m = net_event_of(a_drop(), 2, 500, policy, "/usr/bin/curl");
    EXPECT_EQ(m.time_ns(), 1500u);
    EXPECT_EQ(m.type(), std::uint32_t{FWPM_NET_EVENT_TYPE_CLASSIFY_DROP});
    EXPECT_EQ(m.filter_name(), "no https");
    EXPECT_EQ(m.local(), std::string("\x0a\0\0\x01", 4));
    EXPECT_EQ(m.compartment(), 2u);
    EXPECT_TRUE(m.uid_known());
    EXPECT_EQ(text_of(m), "dropped tcp 10.0.0.1:40000 -> 10.0.0.2:443 at ale_auth_connect_v4 by "
                          "filter 7 'no https': DP_REASON_FILTER_BLOCK (/usr/bin/curl)");
}

TEST(NetEvent, OfAFrameHasNoAddresses) {
    dp_event event = a_drop();
    event.layer = DP_LAYER_INBOUND_MAC_FRAME_ETHERNET;
    event.process = {};
    const auto m = net_event_of(event, 1, 0, {}, "");
    EXPECT_EQ(m.type(), std::uint32_t{FWPM_NET_EVENT_TYPE_CLASSIFY_DROP_MAC});
    EXPECT_TRUE(m.local().empty());
    EXPECT_FALSE(m.uid_known());
}

TEST(NetEvent, AnInboundV6FlowIsToldFromItsPeer) {
    dp_event event = a_drop();
    event.type = DP_EVENT_ALLOW;
    event.direction = DP_DIRECTION_INBOUND;
    event.layer = DP_LAYER_ALE_AUTH_RECV_ACCEPT_V6;
    event.filter_id = 0;
    event.flow.local = {0xfd91ull << 48, 1};
    event.flow.remote = {0xfd91ull << 48, 2};
    const auto m = net_event_of(event, 1, 0, {}, "");
    EXPECT_EQ(m.local().size(), 16u);
    EXPECT_TRUE(m.reason().empty());
    EXPECT_EQ(text_of(m),
              "allowed tcp [fd91::2]:443 -> [fd91::1]:40000 at ale_auth_recv_accept_v6");
}

} // namespace
} // namespace sluice::daemon
