// SPDX-License-Identifier: Apache-2.0
// The state file: whatever it holds, it is read or refused, and what was read is written and read
// again the same.
#include <google/protobuf/stubs/logging.h>

#include "fuzz.h"
#include "policy/edit.h"
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
    FUZZ_MUST(reread && reread->filters.size() == policy->filters.size());
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
    store::State state;
    store::write_policy(policy, state);
    return {state.SerializeAsString()};
}
