// SPDX-License-Identifier: Apache-2.0
// The policy in force. A commit makes the next one effective everywhere or leaves the old one in
// force.
#pragma once

#include <set>

#include "compiler/compile.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

class Engine {
public:
    explicit Engine(Core &core);

    [[nodiscard]] const policy::Policy &policy() const { return policy_; }
    [[nodiscard]] Result<compiler::Plan>
    plan() const; // of the policy in force, for a new data plane

    // Compiled, written to the state file, told to hosts, published; in this order.
    Result<void> commit(policy::Policy next);
    // The same objects under a new generation, so that every flow is judged again. Soon: once for
    // many causes.
    void republish();
    void republish_soon();

    // The run-time id of a callout key, also while a transaction is open on a copy of the policy.
    Result<std::uint32_t> callout_id(const Guid &key, policy::Policy *open);
    // Numbers that an abandoned copy has used are not used again.
    void keep_numbers(const policy::Policy &abandoned);

    Result<void> load(const store::State &state);
    void save(store::State &state) const;

private:
    Result<void> put_in_force();
    void go_back(policy::Policy old);
    void tell_hosts(const policy::Policy &old);

    Core &core_;
    policy::Policy policy_;
    bool republish_pending_ = false;
};

} // namespace sluice::daemon
