// SPDX-License-Identifier: Apache-2.0
#include "store/wire.h"

#include <gtest/gtest.h>

#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::store {
namespace {

TEST(Wire, EveryValueComesBackAsItWas) {
    const std::vector<policy::Value> values{
        policy::Scalar(std::monostate{}),
        policy::Scalar(std::uint8_t{200}),
        policy::Scalar(std::uint16_t{65535}),
        policy::Scalar(std::uint32_t{0xc0a80001}),
        policy::Scalar(std::uint64_t{1} << 63),
        policy::Scalar(policy::Bytes16{1, 2, 3}),
        policy::Scalar(policy::Bytes6{9}),
        policy::Scalar(policy::Blob{std::string("a\0b", 3)}),
        policy::Scalar(policy::V4Mask{0x0a000000, 0xff000000}),
        policy::Scalar(policy::V6Prefix{{0x20, 0x01}, 32}),
        policy::Scalar(policy::Text{"/usr/bin/caf\u00e9"}),
        policy::Scalar(policy::Sid{std::string("\1\2\0\0", 4)}),
        policy::Scalar(policy::SecurityDescriptor{std::string("\1\0\x04\x80", 4)}),
        policy::Range{std::uint16_t{80}, std::uint16_t{90}},
    };
    for (const auto &value : values) {
        auto back = from_message(to_message(value));
        ASSERT_TRUE(back) << back.error().text();
        EXPECT_EQ(*back, value) << "alternative " << values.size();
    }
}

TEST(Wire, RefusesValuesThatDoNotFitTheirType) {
    protocol::Value value;
    value.set_type(FWP_UINT8);
    value.set_number(256);
    auto r = from_message(value);
    ASSERT_FALSE(r);
    EXPECT_NE(r.error().text().find("256"), std::string::npos);
    value.set_type(FWP_BYTE_ARRAY16_TYPE);
    value.set_data("short");
    EXPECT_FALSE(from_message(value));
    value.set_type(FWP_UNICODE_STRING_TYPE);
    value.set_data(std::string("eth0\0eth1", 9));
    EXPECT_FALSE(from_message(value));
    value.set_type(FWP_TOKEN_INFORMATION_TYPE);
    EXPECT_EQ(from_message(value).error().ntstatus,
              static_cast<std::uint32_t>(STATUS_FWP_TYPE_MISMATCH));
}

TEST(Wire, ProvidersAndTheirContextsComeBackAsTheyWere) {
    policy::Provider provider;
    provider.key = Guid::random();
    provider.name = "p";
    provider.description = "of a test";
    provider.flags = FWPM_PROVIDER_FLAG_PERSISTENT;
    provider.data = std::string("\0data", 5);
    provider.service_name = "svc";
    auto p = from_message(to_message(provider));
    ASSERT_TRUE(p) << p.error().text();
    EXPECT_EQ(to_message(*p).SerializeAsString(), to_message(provider).SerializeAsString());
    EXPECT_EQ(p->data, provider.data);
    EXPECT_EQ(p->service_name, "svc");

    policy::ProviderContext context;
    context.id = 7;
    context.key = Guid::random();
    context.name = "c";
    context.provider = provider.key;
    context.type = FWPM_GENERAL_CONTEXT;
    context.data = std::string("a\0b", 3);
    context.provider_data = "mine";
    auto c = from_message(to_message(context));
    ASSERT_TRUE(c) << c.error().text();
    EXPECT_EQ(to_message(*c).SerializeAsString(), to_message(context).SerializeAsString());
    EXPECT_EQ(c->id, 7u);
    EXPECT_EQ(c->data, context.data);
    EXPECT_EQ(c->provider, provider.key);
}

TEST(Wire, AFilterKeepsItsProviderContextAndData) {
    policy::Filter filter;
    filter.key = Guid::random();
    filter.name = "f";
    filter.layer = 48;
    filter.provider_context = Guid::random();
    filter.provider_data = std::string("x\0y", 3);
    auto back = from_message(to_message(filter));
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(back->provider_context, filter.provider_context);
    EXPECT_EQ(back->provider_data, filter.provider_data);
}

TEST(Wire, AFilterNamesItsLayerByKeyOrNumber) {
    protocol::Filter message;
    message.set_layer(48);
    ASSERT_TRUE(from_message(message));
    EXPECT_EQ(from_message(message)->layer, 48);
    message.set_layer_key(
        Guid::parse("4a72393b-319f-44bc-84c3-ba54dcb3b6b4")->bytes()); // the key wins
    EXPECT_EQ(from_message(message)->layer, 50);
    message.set_layer_key(Guid::random().bytes());
    EXPECT_EQ(from_message(message).error().ntstatus,
              static_cast<std::uint32_t>(STATUS_FWP_LAYER_NOT_FOUND));
    message.set_layer_key("three");
    EXPECT_FALSE(from_message(message));
}

TEST(Wire, LayersHaveTheirShortNames) {
    EXPECT_EQ(layer_name(48), "ale_auth_connect_v4");
    EXPECT_EQ(layer_name(0), "inbound_ippacket_v4");
    EXPECT_EQ(layer_name(9999), "");
}

} // namespace
} // namespace sluice::store
