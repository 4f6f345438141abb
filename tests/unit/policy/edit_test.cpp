// SPDX-License-Identifier: Apache-2.0
// Each status that adding or deleting can give, provoked; and that a refusal changes nothing.
#include "policy/edit.h"

#include <gtest/gtest.h>

#include "harness/policy_builder.h"
#include "policy/built_in.h"
#include "shared/policy.h"

namespace sluice::policy {
namespace {

using namespace harness;

struct Edit : testing::Test {
    Policy policy = initial();
    Guid sublayer = new_sublayer(policy, 100);
    Guid callout = new_callout(policy, in_v4);

    template <typename R>
    static void expect_status(const R &r, NTSTATUS status, const char *words = "") {
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(status)) << r.error().text();
        EXPECT_NE(r.error().text().find(words), std::string::npos) << r.error().text();
    }
    void refuse_filter(NTSTATUS status, const Filter &filter, const char *words = "") {
        const std::size_t filters = policy.filters.size();
        const std::uint64_t next = policy.next_filter_id;
        expect_status(add_filter(policy, filter), status, words);
        EXPECT_EQ(policy.filters.size(), filters);
        EXPECT_EQ(policy.next_filter_id, next);
    }
    void refuse_condition(NTSTATUS status, std::uint16_t layer, Condition c,
                          const char *words = "") {
        refuse_filter(status, permit(layer).when(std::move(c)), words);
    }
};

TEST_F(Edit, GivesAFilterIdKeySublayerAndWeight) {
    const auto id = add_filter(policy, permit(in_v4).weighing(77));
    ASSERT_TRUE(id);
    const Filter &f = policy.filters.at(*id);
    EXPECT_EQ(f.id, *id);
    EXPECT_FALSE(f.key.is_null());
    EXPECT_EQ(policy.sublayers.at(f.sublayer).weight, 0x8000);
    EXPECT_EQ(f.effective_weight, 77u);
    const auto next = add_filter(policy, permit(in_v4));
    ASSERT_TRUE(next);
    EXPECT_GT(*next, *id);
}

TEST_F(Edit, NullDisplayName) {
    Filter f = permit(in_v4);
    f.name.clear();
    refuse_filter(STATUS_FWP_NULL_DISPLAY_NAME, f);
    expect_status(policy::add_sublayer(policy, SubLayer{}), STATUS_FWP_NULL_DISPLAY_NAME);
    expect_status(policy::add_callout(policy, Callout{}), STATUS_FWP_NULL_DISPLAY_NAME);
}

TEST_F(Edit, ProviderNotFound) {
    Filter f = permit(in_v4);
    f.provider = Guid::random();
    refuse_filter(STATUS_FWP_PROVIDER_NOT_FOUND, f);
    SubLayer s;
    s.name = "s";
    s.provider = Guid::random();
    expect_status(policy::add_sublayer(policy, s), STATUS_FWP_PROVIDER_NOT_FOUND);
    Callout c;
    c.name = "c";
    c.provider = Guid::random();
    expect_status(policy::add_callout(policy, c), STATUS_FWP_PROVIDER_NOT_FOUND);
}

TEST_F(Edit, LayerNotFound) {
    refuse_filter(STATUS_FWP_LAYER_NOT_FOUND, permit(9999), "no such layer");
    refuse_filter(STATUS_FWP_LAYER_NOT_FOUND, permit(stream_v4), "not in this release");
    Callout c;
    c.name = "c";
    c.layer = 9999;
    expect_status(policy::add_callout(policy, c), STATUS_FWP_LAYER_NOT_FOUND);
}

TEST_F(Edit, ACalloutMayBeAddedAtALayerThatHasNoFiltersYet) {
    EXPECT_FALSE(new_callout(policy, stream_v4).is_null());
}

TEST_F(Edit, SublayerNotFound) {
    refuse_filter(STATUS_FWP_SUBLAYER_NOT_FOUND, permit(in_v4).in(Guid::random()));
}

TEST_F(Edit, CalloutNotFound) {
    refuse_filter(STATUS_FWP_CALLOUT_NOT_FOUND, terminating(in_v4, Guid::random()));
}

TEST_F(Edit, CalloutNotFoundWhenOnlyTheRuntimeHalfIsThere) {
    const Guid key = Guid::random();
    ASSERT_TRUE(callout_id(policy, key));
    refuse_filter(STATUS_FWP_CALLOUT_NOT_FOUND, terminating(in_v4, key));
}

TEST_F(Edit, IncompatibleLayer) {
    refuse_filter(STATUS_FWP_INCOMPATIBLE_LAYER, terminating(in_v6, callout),
                  "INBOUND_IPPACKET_V4");
}

TEST_F(Edit, InvalidActionType) {
    for (const std::uint32_t action : {0u, FWP_ACTION_NONE, FWP_ACTION_CONTINUE, 0x4000u, ~0u})
        refuse_filter(STATUS_FWP_INVALID_ACTION_TYPE, FilterOf(in_v4, action));
}

TEST_F(Edit, InvalidParameterForPermitIfUnregisteredWithoutAVerdict) {
    constexpr std::uint32_t flag = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    refuse_filter(STATUS_FWP_INVALID_PARAMETER, permit(in_v4).flagged(flag));
    refuse_filter(STATUS_FWP_INVALID_PARAMETER, block(in_v4).flagged(flag));
    refuse_filter(STATUS_FWP_INVALID_PARAMETER, inspecting(in_v4, callout).flagged(flag));
    EXPECT_TRUE(add_filter(policy, terminating(in_v4, callout).flagged(flag)));
    EXPECT_TRUE(add_filter(policy, unknown(in_v4, callout).flagged(flag)));
}

TEST_F(Edit, InvalidFlags) {
    refuse_filter(STATUS_FWP_INVALID_FLAGS, permit(in_v4).flagged(0x80000000u));
    refuse_filter(STATUS_FWP_INVALID_FLAGS, permit(in_v4).flagged(FWPM_FILTER_FLAG_DISABLED));
    refuse_filter(STATUS_FWP_INVALID_FLAGS,
                  permit(in_v4).flagged(FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME));
    SubLayer s;
    s.name = "s";
    s.flags = 2;
    expect_status(policy::add_sublayer(policy, s), STATUS_FWP_INVALID_FLAGS);
    Callout c;
    c.name = "c";
    c.flags = FWPM_CALLOUT_FLAG_REGISTERED;
    expect_status(policy::add_callout(policy, c), STATUS_FWP_INVALID_FLAGS);
}

TEST_F(Edit, NotSupported) {
    refuse_filter(STATUS_NOT_SUPPORTED, permit(in_v4).flagged(FWPM_FILTER_FLAG_SILENT_MODE));
    // a field of the layer that Linux has nothing like
    refuse_condition(STATUS_NOT_SUPPORTED, connect_v4,
                     equal("FWPM_CONDITION_ALE_PACKAGE_ID", Sid{"x"}),
                     "FWPM_CONDITION_ALE_PACKAGE_ID");
    const char *const user = "FWPM_CONDITION_ALE_USER_ID";
    refuse_condition(STATUS_NOT_SUPPORTED, connect_v4, equal(user, SecurityDescriptor{"x"}), user);
    refuse_condition(STATUS_NOT_SUPPORTED, connect_v4, equal(user, Sid{"x"}), user);
}

TEST_F(Edit, CalloutsAreAskedAtTheLayersOfFlowsAndSockets) {
    for (const std::uint16_t layer :
         {DP_LAYER_INBOUND_MAC_FRAME_ETHERNET, DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
          DP_LAYER_DATAGRAM_DATA_V4, DP_LAYER_DATAGRAM_DATA_V6, DP_LAYER_ALE_AUTH_LISTEN_V4,
          DP_LAYER_ALE_AUTH_LISTEN_V6, DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4,
          DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6, DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
          DP_LAYER_ALE_AUTH_RECV_ACCEPT_V6, DP_LAYER_ALE_FLOW_ESTABLISHED_V4,
          DP_LAYER_ALE_FLOW_ESTABLISHED_V6, DP_LAYER_ALE_RESOURCE_RELEASE_V4,
          DP_LAYER_ALE_RESOURCE_RELEASE_V6, DP_LAYER_ALE_ENDPOINT_CLOSURE_V4,
          DP_LAYER_ALE_ENDPOINT_CLOSURE_V6}) {
        const Guid there = new_callout(policy, layer);
        EXPECT_TRUE(add_filter(policy, terminating(layer, there))) << layer_name(layer);
        EXPECT_TRUE(add_filter(policy, inspecting(layer, there))) << layer_name(layer);
        EXPECT_TRUE(add_filter(policy, permit(layer))) << layer_name(layer);
    }
}

TEST_F(Edit, CalloutsAreAskedAboutEachPacket) {
    for (const std::uint16_t v4 :
         {DP_LAYER_INBOUND_IPPACKET_V4, DP_LAYER_OUTBOUND_IPPACKET_V4, DP_LAYER_IPFORWARD_V4,
          DP_LAYER_INBOUND_TRANSPORT_V4, DP_LAYER_OUTBOUND_TRANSPORT_V4,
          DP_LAYER_INBOUND_ICMP_ERROR_V4, DP_LAYER_OUTBOUND_ICMP_ERROR_V4})
        for (const int v6 : {0, DP_LAYER_V6}) {
            const auto layer = static_cast<std::uint16_t>(v4 + v6);
            const Guid there = new_callout(policy, layer);
            EXPECT_TRUE(add_filter(policy, terminating(layer, there))) << layer_name(layer);
        }
}

TEST_F(Edit, NothingIsBlockedWhereALayerOnlyTells) {
    for (const std::uint16_t layer :
         {DP_LAYER_ALE_RESOURCE_RELEASE_V4, DP_LAYER_ALE_RESOURCE_RELEASE_V6,
          DP_LAYER_ALE_ENDPOINT_CLOSURE_V4, DP_LAYER_ALE_ENDPOINT_CLOSURE_V6})
        refuse_filter(STATUS_NOT_SUPPORTED, block(layer), layer_name(layer).c_str());
    for (const std::uint16_t layer : {DP_LAYER_ALE_FLOW_ESTABLISHED_V6, DP_LAYER_DATAGRAM_DATA_V4})
        EXPECT_TRUE(add_filter(policy, block(layer)));
}

TEST_F(Edit, ConditionNotFound) {
    refuse_condition(STATUS_FWP_CONDITION_NOT_FOUND, in_v4,
                     equal("FWPM_CONDITION_ALE_APP_ID", Blob{"x"}), "FWPM_CONDITION_ALE_APP_ID");
    Condition nowhere = equal(protocol, std::uint8_t{6});
    nowhere.field = Guid::random();
    refuse_condition(STATUS_FWP_CONDITION_NOT_FOUND, in_v4, nowhere);
}

TEST_F(Edit, PortsAndProtocolAreOurExtensionAtTheIpPacketLayers) {
    for (const std::uint16_t layer : {in_v4, in_v6}) {
        EXPECT_TRUE(add_filter(policy, permit(layer).when(equal(protocol, std::uint8_t{6}))));
        EXPECT_TRUE(add_filter(policy, permit(layer).when(equal(remote_port, std::uint16_t{6}))));
        EXPECT_TRUE(add_filter(policy, permit(layer).when(equal(local_port, std::uint16_t{6}))));
    }
}

TEST_F(Edit, B4_TypeMismatch) {
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v4, equal(remote_address, v6("::1")));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v6, equal(remote_address, v4("1.2.3.4")));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v6, equal(remote_address, V4Mask{0, 0}));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v4, equal(remote_address, V6Prefix{}));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v4, equal(remote_port, std::uint32_t{80}));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v4, equal(protocol, std::uint16_t{6}));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v4, equal(protocol, Blob{"6"}));
    refuse_condition(STATUS_FWP_TYPE_MISMATCH, in_v4,
                     between(remote_port, std::uint8_t{1}, std::uint8_t{2}));
}

TEST_F(Edit, B5_MatchTypeMismatch) {
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, in_v4,
                     condition(remote_port, FWP_MATCH_RANGE, Scalar{std::uint16_t{80}}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, in_v4,
                     condition(remote_port, FWP_MATCH_EQUAL,
                               Range{Scalar{std::uint16_t{1}}, Scalar{std::uint16_t{2}}}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, in_v4,
                     condition(remote_address, FWP_MATCH_PREFIX, Scalar{v4("10.0.0.0")}));
    refuse_condition(
        STATUS_FWP_MATCH_TYPE_MISMATCH, in_v4,
        condition(remote_port, FWP_MATCH_EQUAL_CASE_INSENSITIVE, Scalar{std::uint16_t{1}}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, in_v4,
                     condition(remote_port, FWP_MATCH_NOT_EQUAL, Scalar{}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, connect_v4,
                     condition("SLUICE_CONDITION_CGROUP", FWP_MATCH_PREFIX, Scalar{Text{"a"}}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, connect_v4,
                     condition("FWPM_CONDITION_ALE_APP_ID", FWP_MATCH_EQUAL_CASE_INSENSITIVE,
                               Scalar{Blob{"a"}}));
    refuse_condition(
        STATUS_FWP_MATCH_TYPE_MISMATCH, DP_LAYER_INBOUND_MAC_FRAME_ETHERNET,
        condition("FWPM_CONDITION_MAC_LOCAL_ADDRESS", FWP_MATCH_LESS, Scalar{Bytes6{}}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, in_v4,
                     condition(remote_address, FWP_MATCH_NOT_EQUAL, Scalar{V4Mask{0, 0xff000000}}));
    refuse_condition(STATUS_FWP_MATCH_TYPE_MISMATCH, in_v6,
                     condition(remote_address, FWP_MATCH_FLAGS_ANY_SET, Scalar{Bytes16{}}));
}

TEST_F(Edit, InvalidEnumerator) {
    refuse_condition(STATUS_FWP_INVALID_ENUMERATOR, in_v4,
                     condition(remote_port, FWP_MATCH_TYPE_MAX, Scalar{std::uint16_t{1}}));
}

TEST_F(Edit, B6_InvalidRange) {
    refuse_condition(STATUS_FWP_INVALID_RANGE, in_v4,
                     between(remote_port, std::uint16_t{2}, std::uint16_t{1}));
    refuse_condition(STATUS_FWP_INVALID_RANGE, in_v4,
                     between(remote_port, std::uint16_t{1}, std::uint32_t{2}));
    refuse_condition(STATUS_FWP_INVALID_RANGE, in_v6,
                     between(remote_address, v6("::2"), v6("::1")));
}

TEST_F(Edit, InvalidNetMask) {
    refuse_condition(STATUS_FWP_INVALID_NET_MASK, in_v4,
                     equal(remote_address, V4Mask{v4("10.0.0.0"), 0xff00ff00}), "holes");
    refuse_condition(STATUS_FWP_INVALID_NET_MASK, in_v6, equal(remote_address, V6Prefix{{}, 129}));
}

TEST_F(Edit, B13_NeverMatch) {
    refuse_condition(STATUS_FWP_NEVER_MATCH, in_v4,
                     condition(remote_port, FWP_MATCH_GREATER, Scalar{std::uint16_t{65535}}));
    refuse_filter(STATUS_FWP_NEVER_MATCH, permit(in_v4)
                                              .when(equal(remote_port, std::uint16_t{1}))
                                              .when(equal(protocol, std::uint8_t{6}))
                                              .when(equal(remote_port, std::uint16_t{2})));
}

TEST_F(Edit, B13_NeverMatchOfFlagsAndOfNoValue) {
    const char *const flags = "FWPM_CONDITION_FLAGS";
    refuse_condition(STATUS_FWP_NEVER_MATCH, in_v4,
                     condition(flags, FWP_MATCH_FLAGS_ANY_SET, Scalar{std::uint32_t{0}}));
    const auto apart = [&](const Condition &a, const Condition &b) {
        return permit(in_v4).when(a).when(equal(protocol, std::uint8_t{6})).when(b);
    };
    refuse_filter(STATUS_FWP_NEVER_MATCH,
                  apart(condition(flags, FWP_MATCH_FLAGS_ALL_SET, Scalar{std::uint32_t{3}}),
                        condition(flags, FWP_MATCH_FLAGS_NONE_SET, Scalar{std::uint32_t{1}})));
    refuse_filter(STATUS_FWP_NEVER_MATCH, apart(equal(remote_port, std::uint16_t{1}),
                                                equal(remote_port, std::monostate{})));
    EXPECT_TRUE(add_filter(
        policy, apart(equal(flags, std::uint32_t{1}),
                      condition(flags, FWP_MATCH_FLAGS_ANY_SET, Scalar{std::uint32_t{1}}))));
}

TEST_F(Edit, OutOfBoundsOfATextThatIsNoPath) {
    refuse_condition(STATUS_FWP_OUT_OF_BOUNDS, connect_v4,
                     equal("FWPM_CONDITION_ALE_APP_ID", Text{std::string(4096, 'a')}), "4096");
}

TEST_F(Edit, InvalidParameterOfAnApplicationIdThatIsNoPath) {
    refuse_condition(STATUS_FWP_INVALID_PARAMETER, connect_v4,
                     equal("FWPM_CONDITION_ALE_APP_ID", Blob{"odd"}));
}

TEST_F(Edit, B2_DuplicateConditionWhereANegativeIsAnAlternative) {
    const char *const flags = "FWPM_CONDITION_FLAGS";
    const Condition none = condition(flags, FWP_MATCH_FLAGS_NONE_SET, Scalar{std::uint32_t{1}});
    refuse_filter(STATUS_FWP_DUPLICATE_CONDITION, permit(in_v4).when(none).when(none));
    const Condition not_end =
        condition("FWPM_CONDITION_ALE_APP_ID", FWP_MATCH_NOT_PREFIX, Scalar{Text{"a"}});
    refuse_filter(STATUS_FWP_DUPLICATE_CONDITION, permit(connect_v4).when(not_end).when(not_end));

    const Condition not_one = condition(remote_port, FWP_MATCH_NOT_EQUAL, Scalar{std::uint16_t{1}});
    const Condition not_two = condition(remote_port, FWP_MATCH_NOT_EQUAL, Scalar{std::uint16_t{2}});
    refuse_filter(STATUS_FWP_DUPLICATE_CONDITION, permit(in_v4).when(not_one).when(not_two));
    EXPECT_TRUE(add_filter(policy, permit(in_v4).when(not_one)));
}

TEST_F(Edit, AlreadyExists) {
    Filter f = permit(in_v4);
    f.key = Guid::random();
    EXPECT_TRUE(add_filter(policy, f));
    refuse_filter(STATUS_FWP_ALREADY_EXISTS, f);
    SubLayer s = policy.sublayers.at(sublayer);
    expect_status(policy::add_sublayer(policy, s), STATUS_FWP_ALREADY_EXISTS);
    Callout c = policy.callouts.at(callout);
    expect_status(policy::add_callout(policy, c), STATUS_FWP_ALREADY_EXISTS);
}

TEST_F(Edit, TooManySublayers) {
    SubLayer s;
    s.name = "s";
    while (policy.sublayers.size() < 65536) {
        s.key = Guid{static_cast<std::uint32_t>(policy.sublayers.size()), 1, 2, {}};
        policy.sublayers.emplace(s.key, s);
    }
    s.key = Guid{};
    expect_status(policy::add_sublayer(policy, s), STATUS_FWP_TOO_MANY_SUBLAYERS);
}

TEST_F(Edit, FilterNotFound) {
    expect_status(delete_filter(policy, 12345, 0), STATUS_FWP_FILTER_NOT_FOUND, "12345");
}

TEST_F(Edit, CalloutIdsAreOneForBothHalvesAndNotReused) {
    const Guid key = Guid::random();
    const auto first = callout_id(policy, key);
    ASSERT_TRUE(first);
    Callout c;
    c.key = key;
    c.name = "c";
    const auto added = policy::add_callout(policy, c);
    ASSERT_TRUE(added);
    EXPECT_EQ(*added, *first);
    EXPECT_EQ(policy.callouts.at(key).id, *first);
    const auto other = callout_id(policy, Guid::random());
    ASSERT_TRUE(other);
    EXPECT_NE(*other, *first);
}

TEST_F(Edit, TooManyCallouts) {
    policy.next_callout_id = ask_callouts().front().id - 1;
    EXPECT_TRUE(callout_id(policy, Guid::random()));
    expect_status(callout_id(policy, Guid::random()), STATUS_FWP_TOO_MANY_CALLOUTS);
    Callout c;
    c.name = "c";
    expect_status(policy::add_callout(policy, c), STATUS_FWP_TOO_MANY_CALLOUTS);
}

} // namespace
} // namespace sluice::policy
