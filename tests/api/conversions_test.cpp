// SPDX-License-Identifier: Apache-2.0
// What goes to sluiced as a message and comes back is what the caller gave, in every type of value;
// net events are shown and chosen as their template says.
#include <cstring>

#include <gtest/gtest.h>

#include "status_world.h"

namespace sluice::test {

namespace {

struct Conversions : ::testing::Test {
    void SetUp() override {
        if (world().real()) GTEST_SKIP() << "needs the thread in sluiced's place";
        session = world().open();
    }
    void TearDown() override { world().settle(); }
    HANDLE session = nullptr;
};

// The filter as sluiced would give it back.
FWPM_FILTER0 *there_and_back(HANDLE session, const FWPM_FILTER0 &filter) {
    protocol::Filter kept;
    world().answer([&](const protocol::Request &r, protocol::Reply &reply) {
        if (r.has_filter_add()) kept = r.filter_add();
        if (r.has_object_get()) *reply.mutable_objects()->mutable_filters(0) = kept;
    });
    EXPECT_EQ(FwpmFilterAdd0(session, &filter, nullptr, nullptr), STATUS_SUCCESS);
    FWPM_FILTER0 *back = nullptr;
    EXPECT_EQ(FwpmFilterGetById0(session, 1, &back), STATUS_SUCCESS);
    return back;
}

} // namespace

TEST_F(Conversions, EveryTypeOfValueComesBack) {
    UINT64 wide = 0x123456789ABCDEFull;
    FWP_BYTE_ARRAY16 sixteen{{1, 2, 3}};
    FWP_BYTE_ARRAY6 six{{4, 5, 6}};
    UINT8 bytes[] = {7, 8, 9};
    FWP_BYTE_BLOB blob{sizeof bytes, bytes};
    struct {
        SID first;
        DWORD second;
    } sid{{1, 2, {{0, 0, 0, 0, 0, 22}}, {1}}, 1000};
    WCHAR text[] = {'e', 't', 'h', 0x20AC, 0};
    FWP_V4_ADDR_AND_MASK v4{0x0A000000, 0xFF000000};
    FWP_V6_ADDR_AND_MASK v6{{0x20, 1}, 16};
    FWP_RANGE0 range{};
    range.valueLow.type = range.valueHigh.type = FWP_UINT64;
    range.valueLow.uint64 = range.valueHigh.uint64 = &wide;
    FWPM_FILTER_CONDITION0 c[11]{};
    const auto set = [&](int i, FWP_DATA_TYPE type, void *at) {
        c[i].conditionValue.type = type;
        c[i].conditionValue.uint64 = static_cast<UINT64 *>(at);
    };
    set(0, FWP_UINT64, &wide);
    set(1, FWP_BYTE_ARRAY16_TYPE, &sixteen);
    set(2, FWP_BYTE_ARRAY6_TYPE, &six);
    set(3, FWP_BYTE_BLOB_TYPE, &blob);
    set(4, FWP_SID, &sid);
    set(5, FWP_UNICODE_STRING_TYPE, text);
    set(6, FWP_V4_ADDR_MASK, &v4);
    set(7, FWP_V6_ADDR_MASK, &v6);
    set(8, FWP_RANGE_TYPE, &range);
    set(9, FWP_SECURITY_DESCRIPTOR_TYPE, &blob);
    c[10].conditionValue.type = FWP_INT16;
    c[10].conditionValue.int16 = -5;
    GUID provider = provider_key;
    FWPM_FILTER0 f{};
    f.displayData.name = a_name;
    f.providerKey = &provider;
    f.providerData = blob;
    f.numFilterConditions = 11;
    f.filterCondition = c;
    f.rawContext = 4711;
    FWPM_FILTER0 *back = there_and_back(session, f);
    ASSERT_NE(back, nullptr);
    ASSERT_EQ(back->numFilterConditions, 11u);
    const auto value = [&](int i) { return back->filterCondition[i].conditionValue; };
    for (int i = 0; i < 11; ++i)
        EXPECT_EQ(value(i).type, c[i].conditionValue.type) << i;
    EXPECT_EQ(*value(0).uint64, wide);
    EXPECT_EQ(std::memcmp(value(1).byteArray16, &sixteen, sizeof sixteen), 0);
    EXPECT_EQ(std::memcmp(value(2).byteArray6, &six, sizeof six), 0);
    EXPECT_EQ(std::memcmp(value(3).byteBlob->data, bytes, sizeof bytes), 0);
    EXPECT_EQ(std::memcmp(value(4).sid, &sid, 16), 0);
    EXPECT_EQ(std::memcmp(value(5).unicodeString, text, sizeof text), 0);
    EXPECT_EQ(std::memcmp(value(6).v4AddrMask, &v4, sizeof v4), 0);
    EXPECT_EQ(std::memcmp(value(7).v6AddrMask, &v6, sizeof v6), 0);
    EXPECT_EQ(*value(8).rangeValue->valueHigh.uint64, wide);
    EXPECT_EQ(value(9).sd->size, sizeof bytes);
    EXPECT_EQ(value(10).int16, -5);
    EXPECT_TRUE(*back->providerKey == provider && back->rawContext == 4711);
    EXPECT_EQ(back->providerData.size, sizeof bytes);
    FwpmFreeMemory0(reinterpret_cast<void **>(&back));
}

TEST_F(Conversions, NetEventsAreShownAndChosen) {
    world().answer([](const protocol::Request &r, protocol::Reply &reply) {
        if (!r.has_net_event_enum()) return;
        reply.mutable_net_events()->clear_events();
        for (const std::uint32_t protocol : {6, 17}) {
            auto &event = *reply.mutable_net_events()->add_events();
            event.set_type(FWPM_NET_EVENT_TYPE_CLASSIFY_DROP);
            event.set_time_ns(1'000'000'000);
            event.set_protocol(protocol);
            event.set_remote(std::string("\x0A\x01\x02\x03", 4));
            event.set_remote_port(53);
            event.set_filter(77);
            event.set_layer(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
            event.set_uid(1000);
            event.set_uid_known(true);
            event.set_exe("/bin/x");
        }
    });
    FWP_V4_ADDR_AND_MASK net{0x0A010000, 0xFFFF0000};
    FWPM_FILTER_CONDITION0 c[2]{};
    c[0].fieldKey = FWPM_CONDITION_IP_PROTOCOL;
    c[0].conditionValue.type = FWP_UINT8;
    c[0].conditionValue.uint8 = 17;
    c[1].fieldKey = FWPM_CONDITION_IP_REMOTE_ADDRESS;
    c[1].conditionValue.type = FWP_V4_ADDR_MASK;
    c[1].conditionValue.v4AddrMask = &net;
    const FWPM_NET_EVENT_ENUM_TEMPLATE0 limits{{}, {}, 2, c};
    const auto count = [&](FWPM_NET_EVENT2 ***events) {
        HANDLE handle = nullptr;
        UINT32 n = 0;
        EXPECT_EQ(FwpmNetEventCreateEnumHandle0(session, &limits, &handle), STATUS_SUCCESS);
        EXPECT_EQ(FwpmNetEventEnum2(session, handle, 10, events, &n), STATUS_SUCCESS);
        return n;
    };
    FWPM_NET_EVENT2 **events = nullptr;
    ASSERT_EQ(count(&events), 1u);
    const FWPM_NET_EVENT_HEADER2 &h = events[0]->header;
    EXPECT_EQ(h.ipProtocol, 17);
    EXPECT_EQ(h.remoteAddrV4, 0x0A010203u);
    EXPECT_EQ(h.remotePort, 53);
    EXPECT_EQ(h.flags & FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET, 0u);
    EXPECT_EQ(h.userId->IdentifierAuthority.Value[5], 22);
    EXPECT_EQ(h.appId.size, 7 * sizeof(WCHAR));
    EXPECT_EQ(UINT64{h.timeStamp.dwHighDateTime} << 32 | h.timeStamp.dwLowDateTime,
              116444736010000000ull);
    EXPECT_EQ(events[0]->classifyDrop->filterId, 77u);
    EXPECT_EQ(events[0]->classifyDrop->layerId, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    FwpmFreeMemory0(reinterpret_cast<void **>(&events));
    net.addr = 0x0A020000;
    EXPECT_EQ(count(&events), 0u);
    EXPECT_EQ(events, nullptr);
}

} // namespace sluice::test
