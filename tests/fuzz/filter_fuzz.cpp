// SPDX-License-Identifier: Apache-2.0
// A filter as a client sends it: refused with the policy unchanged, or added, compiled, compared
// with a packet, found again by its own conditions, and the same again on the wire.
#include <google/protobuf/stubs/logging.h>
#include <sluice/fwp.h>
#include <sluice/sluice_conditions.h>

#include <algorithm>

#include "compiler/compile.h"
#include "fuzz.h"
#include "policy/arbitrate.h"
#include "policy/edit.h"
#include "policy/enumerate.h"
#include "store/wire.h"

using namespace sluice;

namespace {

bool has_test_for_none(const policy::Filter &filter) {
    return std::any_of(filter.conditions.begin(), filter.conditions.end(), [](const auto &c) {
        const auto *value = std::get_if<policy::Scalar>(&c.value);
        return value != nullptr && value->index() == 0;
    });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    protocol::Filter message;
    if (!message.ParseFromArray(data, static_cast<int>(size))) return 0;
    auto filter = store::from_message(message);
    if (!filter) {
        FUZZ_MUST(!filter.error().text().empty());
        return 0;
    }
    policy::Policy policy = policy::initial();
    const auto id = policy::add_filter(policy, *filter);
    FUZZ_MUST(policy.filters.size() == (id ? 1u : 0u));
    if (!id) {
        FUZZ_MUST(id.error().ntstatus != 0);
        return 0;
    }
    const auto plan = compiler::compile(policy, 1);
    if (plan) FUZZ_MUST(plan->filter_ids.size() == 1 && plan->image.size() > DP_LAYERS_MAX);
    const policy::Filter &added = policy.filters.at(*id);
    FUZZ_MUST(plan ||
              plan.error().ntstatus == static_cast<std::uint32_t>(STATUS_FWP_OUT_OF_BOUNDS));
    policy::Packet packet;
    packet.layer = added.layer;
    const bool asks_for_values = !added.conditions.empty() && !has_test_for_none(added);
    FUZZ_MUST(!asks_for_values || policy::matches(added, packet) == policy::Match::no);
    for (const policy::Condition &condition : added.conditions)
        packet.unknown.insert(condition.field);
    FUZZ_MUST(policy::matches(added, packet) !=
              (added.conditions.empty() ? policy::Match::no : policy::Match::yes));
    const compiler::Names names = compiler::names_of(policy);
    FUZZ_MUST(names.files.size() + names.cgroups.size() + names.containers.size() <=
              added.conditions.size());
    policy::Template same;
    same.layer = added.layer;
    same.flags = FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME;
    same.action_mask = 0xffffffff;
    if (added.conditions.size() == 1) same.conditions = added.conditions;
    const auto found = policy::enumerate_filters(policy, same);
    FUZZ_MUST(found && found->size() == 1);
    const auto again = store::from_message(store::to_message(policy.filters.at(*id)));
    FUZZ_MUST(again && again->conditions.size() == policy.filters.at(*id).conditions.size());
    return 0;
}

namespace {

std::string key(const GUID &guid) {
    return {reinterpret_cast<const char *>(&guid), sizeof guid};
}

protocol::Filter base(std::uint32_t layer) {
    protocol::Filter m;
    m.set_name("fuzz");
    m.set_layer(layer);
    m.set_action(FWP_ACTION_BLOCK);
    return m;
}

std::string one(std::uint32_t layer, const GUID &field, std::uint32_t match, std::uint32_t type,
                const std::string &data) {
    protocol::Filter m = base(layer);
    auto *condition = m.add_conditions();
    condition->set_field(key(field));
    condition->set_match(match);
    condition->mutable_value()->set_type(type);
    condition->mutable_value()->set_data(data);
    return m.SerializeAsString();
}

} // namespace

std::vector<std::string> fuzz_seeds() {
    google::protobuf::SetLogHandler(nullptr); // it reports each string that is no UTF-8
    std::vector<std::string> seeds;
    protocol::Filter m = base(48);
    auto *address = m.add_conditions();
    address->set_field(key(FWPM_CONDITION_IP_REMOTE_ADDRESS));
    address->mutable_value()->set_type(FWP_V4_ADDR_MASK);
    address->mutable_value()->set_number(0x0a000000);
    address->mutable_value()->set_mask(0xff000000);
    auto *port = m.add_conditions();
    port->set_field(key(FWPM_CONDITION_IP_REMOTE_PORT));
    port->set_match(FWP_MATCH_RANGE);
    port->mutable_value()->set_type(FWP_RANGE_TYPE);
    port->mutable_value()->mutable_low()->set_type(FWP_UINT16);
    port->mutable_value()->mutable_low()->set_number(80);
    port->mutable_value()->mutable_high()->set_type(FWP_UINT16);
    port->mutable_value()->mutable_high()->set_number(90);
    seeds.push_back(m.SerializeAsString());
    m = base(2);
    address = m.add_conditions();
    address->set_field(key(FWPM_CONDITION_IP_LOCAL_ADDRESS));
    address->mutable_value()->set_type(FWP_V6_ADDR_MASK);
    address->mutable_value()->set_data(std::string(16, '\x20'));
    address->mutable_value()->set_mask(64);
    m.mutable_weight()->set_type(FWP_UINT8);
    m.mutable_weight()->set_number(7);
    seeds.push_back(m.SerializeAsString());
    seeds.push_back(
        one(50, FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_PREFIX, FWP_UNICODE_STRING_TYPE, "/curl"));
    seeds.push_back(one(48, FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL, FWP_BYTE_BLOB_TYPE,
                        std::string("/\0x\0\0\0", 6)));
    seeds.push_back(one(44, FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_NOT_EQUAL, FWP_SID,
                        std::string("\1\2\0\0\0\0\0\x16\2\0\0\0\7\0\0\0", 16)));
    seeds.push_back(one(56, FWPM_CONDITION_MAC_LOCAL_ADDRESS, FWP_MATCH_EQUAL, FWP_BYTE_ARRAY6_TYPE,
                        std::string(6, '\2')));
    seeds.push_back(one(0, SLUICE_CONDITION_INTERFACE_NAME, FWP_MATCH_EQUAL_CASE_INSENSITIVE,
                        FWP_UNICODE_STRING_TYPE, "ETH0"));
    seeds.push_back(one(28, FWPM_CONDITION_FLAGS, FWP_MATCH_EQUAL, FWP_EMPTY, ""));
    return seeds;
}
