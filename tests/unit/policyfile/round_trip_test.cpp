// SPDX-License-Identifier: Apache-2.0
// What is written reads back to the same objects, for random ones.
#include <gtest/gtest.h>
#include <google/protobuf/util/message_differencer.h>
#include <random>

#include "policyfile/names.h"
#include "policyfile/reader.h"
#include "policyfile/values.h"
#include "policyfile/writer.h"
#include "sluice/fwp.h"

namespace sluice::policyfile {
namespace {

using protocol::Value;

class Maker {
public:
    explicit Maker(unsigned seed) : random_(seed) {}

    protocol::Objects objects() {
        protocol::Objects all;
        make_named(*all.mutable_providers(), 2);
        make_named(*all.mutable_sublayers(), 3);
        for (auto &sublayer : *all.mutable_sublayers())
            sublayer.set_weight(below(65536));
        make_named(*all.mutable_callouts(), 2);
        for (auto &callout : *all.mutable_callouts())
            callout.set_layer(layer());
        make_named(*all.mutable_provider_contexts(), 2);
        for (auto &context : *all.mutable_provider_contexts()) {
            context.set_type(FWPM_GENERAL_CONTEXT);
            context.set_data(bytes(below(5)));
        }
        make_named(*all.mutable_filters(), 1 + below(6));
        for (auto &filter : *all.mutable_filters())
            fill(filter, all);
        return all;
    }

private:
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    std::uint32_t layer() {
        static constexpr std::uint32_t layers[] = {0, 2, 8, 12, 14, 16, 32, 34, 44, 46, 48, 50};
        return layers[below(std::size(layers))];
    }
    std::string bytes(std::size_t n) {
        std::string out;
        while (out.size() < n)
            out += static_cast<char>(random_());
        return out;
    }
    std::string text() {
        static const char *parts[] = {"a",  "web", " ",  ": ", "\xc3\xa4",   "#",   "'",
                                      "\"", "- ",  "\n", "~",  "null",       "1",   "{",
                                      "]",  ",",   "\\", "\t", "/usr/bin/x", "\x01"};
        std::string out = "n";
        for (std::uint32_t i = below(5); i > 0; --i)
            out += parts[below(std::size(parts))];
        return below(4) == 0 ? out.substr(out.size() > 1 ? 1 : 0) : out;
    }

    template <typename Objects>
    void make_named(Objects &objects, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            auto &object = *objects.Add();
            object.set_name(text());
            object.set_key(bytes(16));
            if (below(2) == 0) object.set_description(text());
            if (below(3) == 0) object.set_provider_data(bytes(3));
        }
    }

    Value number(std::uint32_t type, std::uint64_t value) {
        Value out;
        out.set_type(type);
        out.set_number(value);
        return out;
    }

    Value plain(std::uint32_t type) {
        Value out;
        out.set_type(type);
        switch (type) {
        case FWP_UINT8:
            return number(type, below(256));
        case FWP_UINT16:
            return number(type, below(65536));
        case FWP_UINT32:
            return number(type, below(3) == 0 ? below(40) : static_cast<std::uint32_t>(random_()));
        case FWP_UINT64:
            return number(type, std::uint64_t{random_()} << 32 | random_());
        case FWP_BYTE_ARRAY16_TYPE:
            out.set_data(bytes(16));
            return out;
        case FWP_BYTE_ARRAY6_TYPE:
            out.set_data(bytes(6));
            return out;
        case FWP_SID:
            out.set_data(std::string("\x01\x02\0\0\0\0\0\x16\x01\0\0\0", 12) + bytes(4));
            return out;
        case FWP_V4_ADDR_MASK:
            out = number(type, static_cast<std::uint32_t>(random_()));
            out.set_mask(below(2) == 0 ? ~0u << below(32) : static_cast<std::uint32_t>(random_()));
            return out;
        case FWP_V6_ADDR_MASK:
            out.set_data(bytes(16));
            out.set_mask(below(129));
            return out;
        case FWP_UNICODE_STRING_TYPE:
            out.set_data(text());
            return out;
        default:
            out.set_data(bytes(1 + below(6)));
            return out;
        }
    }

    Value some_value() {
        static constexpr std::uint32_t types[] = {FWP_UINT8,
                                                  FWP_UINT16,
                                                  FWP_UINT32,
                                                  FWP_UINT64,
                                                  FWP_BYTE_ARRAY16_TYPE,
                                                  FWP_BYTE_ARRAY6_TYPE,
                                                  FWP_SID,
                                                  FWP_V4_ADDR_MASK,
                                                  FWP_V6_ADDR_MASK,
                                                  FWP_UNICODE_STRING_TYPE,
                                                  FWP_BYTE_BLOB_TYPE,
                                                  FWP_SECURITY_DESCRIPTOR_TYPE};
        return plain(types[below(std::size(types))]);
    }

    void fill_condition(protocol::Condition &condition, Family family) {
        const Field &field = fields()[below(static_cast<std::uint32_t>(fields().size()))];
        condition.set_field(field.key.bytes());
        condition.set_match(below(FWP_MATCH_TYPE_MAX));
        const bool natural = below(3) != 0;
        const std::uint32_t type = field.kind == Kind::address && family == Family::v6
                                       ? +FWP_BYTE_ARRAY16_TYPE
                                       : field.type;
        if (condition.match() == FWP_MATCH_RANGE) {
            *condition.mutable_value() = natural ? range_value(plain(type), plain(type))
                                                 : range_value(some_value(), some_value());
            return;
        }
        *condition.mutable_value() = natural ? plain(type) : some_value();
        if (condition.match() == FWP_MATCH_EQUAL && below(8) == 0)
            condition.mutable_value()->Clear();
    }

    void fill(protocol::Filter &filter, const protocol::Objects &all) {
        filter.set_layer(layer());
        filter.set_sublayer(below(3) == 0 ? universal_sublayer() : all.sublayers(below(3)).key());
        const std::uint32_t actions[] = {FWP_ACTION_PERMIT, FWP_ACTION_BLOCK,
                                         FWP_ACTION_CALLOUT_TERMINATING,
                                         FWP_ACTION_CALLOUT_INSPECTION, FWP_ACTION_CALLOUT_UNKNOWN};
        filter.set_action(actions[below(5)]);
        if (filter.action() != FWP_ACTION_PERMIT && filter.action() != FWP_ACTION_BLOCK)
            filter.set_callout(all.callouts(below(2)).key());
        const std::uint32_t lifetimes[] = {0, FWPM_FILTER_FLAG_PERSISTENT,
                                           FWPM_FILTER_FLAG_BOOTTIME};
        filter.set_flags(lifetimes[below(3)] |
                         (below(2) ? FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0u));
        const Value weights[] = {Value(), number(FWP_UINT8, below(16)),
                                 number(FWP_UINT64, first_ordered_weight - below(3)),
                                 number(FWP_UINT64, random_())};
        *filter.mutable_weight() = weights[below(4)];
        if (below(3) == 0) filter.set_raw_context(random_());
        if (below(3) == 0) filter.set_provider(all.providers(0).key());
        if (below(3) == 0) {
            filter.set_provider_context(all.provider_contexts(1).key());
            filter.set_flags(filter.flags() | FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
        }
        for (std::uint32_t i = below(4); i > 0; --i)
            fill_condition(*filter.add_conditions(),
                           layer_family(static_cast<std::uint16_t>(filter.layer())));
    }

    std::mt19937 random_;
};

// By key: the writer orders filters by their weights.
template <typename Objects>
void same(const Objects &wanted, const Objects &got, const std::string &text) {
    ASSERT_EQ(wanted.size(), got.size()) << text;
    for (const auto &object : wanted) {
        const auto found = std::find_if(
            got.begin(), got.end(), [&](const auto &other) { return other.key() == object.key(); });
        ASSERT_NE(found, got.end()) << object.DebugString() << text;
        std::string difference;
        google::protobuf::util::MessageDifferencer differencer;
        differencer.set_message_field_comparison(
            google::protobuf::util::MessageDifferencer::EQUIVALENT);
        differencer.ReportDifferencesToString(&difference);
        ASSERT_TRUE(differencer.Compare(object, *found)) << difference << "\n" << text;
    }
}

void same_objects(const protocol::Objects &wanted, const std::string &text) {
    const auto read = read_text("written", text);
    ASSERT_TRUE(read.good()) << read.errors() << text;
    same(wanted.providers(), read.objects.providers(), text);
    same(wanted.provider_contexts(), read.objects.provider_contexts(), text);
    same(wanted.sublayers(), read.objects.sublayers(), text);
    same(wanted.callouts(), read.objects.callouts(), text);
    same(wanted.filters(), read.objects.filters(), text);
}

TEST(RoundTrip, YamlAndJsonReadBackToTheSameObjects) {
    for (unsigned seed = 0; seed < 1500 && !testing::Test::HasFatalFailure(); ++seed) {
        SCOPED_TRACE(seed);
        const auto objects = Maker(seed).objects();
        const Json tree = to_tree(objects);
        same_objects(objects, to_yaml(tree));
        same_objects(objects, to_json_text(tree));
    }
}

TEST(Writer, LeavesOutWhatGoesWithoutSaying) {
    const std::string text = "version: 1\n"
                             "sublayers:\n"
                             "  - name: front\n"
                             "    weight: 36864\n"
                             "filters:\n"
                             "  - name: web\n"
                             "    layer: ale_auth_connect_v4\n"
                             "    sublayer: front\n"
                             "    action: block\n"
                             "    flags: [hard]\n"
                             "    conditions:\n"
                             "      remote_port: [443, 8000-8999]\n"
                             "      protocol: {not: udp}\n"
                             "      remote_address: 10.0.0.0/8\n"
                             "  - name: ping\n"
                             "    layer: outbound_transport_v4\n"
                             "    weight: {range: 7}\n"
                             "    action: permit\n"
                             "    conditions:\n"
                             "      protocol: icmp\n"
                             "      icmp_type: echo-request\n";
    const auto file = read_text("p", text);
    ASSERT_TRUE(file.good()) << file.errors();
    protocol::Objects objects = file.objects;
    std::swap(*objects.mutable_filters(0), *objects.mutable_filters(1)); // as sluiced lists them
    const std::string written = to_yaml(to_tree(objects));
    for (const char *part : {"    conditions:\n      remote_port: [443, 8000-8999]\n"
                             "      protocol: {not: udp}\n      remote_address: 10.0.0.0/8\n",
                             "    weight: {range: 7}\n", "      icmp_type: echo-request\n",
                             "  - name: front\n    weight: 36864\n"})
        EXPECT_NE(written.find(part), std::string::npos) << written;
    EXPECT_EQ(written.find("key:"), std::string::npos) << written;
    EXPECT_EQ(written.size(), text.size()) << written;
}

TEST(Writer, DeclaresExternalWhatFiltersOnlyName) {
    protocol::Objects objects;
    WriteOptions options;
    auto &callout = *options.external.add_callouts();
    callout.set_name("theirs");
    callout.set_key(std::string(16, 'c'));
    callout.set_layer(48);
    auto &filter = *objects.add_filters();
    filter.set_name("f");
    filter.set_key(derived_key("filter", "f", "ale_auth_connect_v4"));
    filter.set_layer(48);
    filter.set_sublayer(universal_sublayer());
    filter.set_action(FWP_ACTION_CALLOUT_TERMINATING);
    filter.set_callout(callout.key());
    const auto read = read_text("p", to_yaml(to_tree(objects, options)));
    ASSERT_TRUE(read.good()) << read.errors();
    EXPECT_EQ(read.objects.callouts_size(), 0);
    ASSERT_EQ(read.external.callouts_size(), 1);
    EXPECT_EQ(read.objects.filters(0).callout(), callout.key());
}

} // namespace
} // namespace sluice::policyfile
