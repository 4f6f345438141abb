// SPDX-License-Identifier: Apache-2.0
// A filter as a client sends it: refused with the policy unchanged, or added, compiled, and the
// same again on the wire.
#include <google/protobuf/stubs/logging.h>
#include <sluice/fwp.h>

#include "compiler/compile.h"
#include "fuzz.h"
#include "policy/edit.h"
#include "store/wire.h"

using namespace sluice;

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
    return seeds;
}
