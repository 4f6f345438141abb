// SPDX-License-Identifier: Apache-2.0
// The state file: whatever it holds, it is read or refused, and of what was read everything is
// written and read again that does not belong into the database.
#include <google/protobuf/stubs/logging.h>

#include "fuzz.h"
#include "policy/edit.h"
#include "store/contents.h"
#include "store/snapshot.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    store::State state;
    if (!state.ParseFromArray(data, static_cast<int>(size))) return 0;
    const auto policy = store::read_policy(state);
    if (!policy) {
        FUZZ_MUST(!policy.error().text().empty());
        return 0;
    }
    store::State again;
    store::write_policy(*policy, again);
    const auto reread = store::read_policy(again);
    FUZZ_MUST(reread);
    for (const auto &[id, filter] : policy->filters)
        FUZZ_MUST(reread->filters.contains(id) != store::lasting(filter));
    for (const auto &[key, provider] : policy->providers)
        FUZZ_MUST(reread->providers.contains(key) != store::lasting(provider));
    FUZZ_MUST(reread->next_filter_id == policy->next_filter_id);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    google::protobuf::SetLogHandler(nullptr); // it reports each string that is no UTF-8
    policy::Policy policy = policy::initial();
    policy::Filter filter;
    filter.name = "kept";
    filter.layer = 48;
    filter.action = 0x1001;
    policy::SubLayer sublayer;
    sublayer.name = "ours";
    sublayer.weight = 7;
    FUZZ_MUST(policy::add_sublayer(policy, sublayer));
    FUZZ_MUST(policy::add_filter(policy, filter));
    policy::Provider provider;
    provider.name = "vendor";
    FUZZ_MUST(policy::add_provider(policy, provider));
    policy::ProviderContext context;
    context.name = "data";
    context.type = 8; // FWPM_GENERAL_CONTEXT
    FUZZ_MUST(policy::add_provider_context(policy, context));
    store::State state;
    store::write_policy(policy, state);
    return {state.SerializeAsString()};
}
