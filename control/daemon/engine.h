// SPDX-License-Identifier: Apache-2.0
// The policy in force. A commit makes the next one effective everywhere or leaves the old one in
// force.
#pragma once

#include <map>
#include <set>

#include "compiler/compiler.h"
#include "daemon/environment_watch.h"
#include "policy/policy.h"
#include "protocol/sluice.pb.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

// One policy as each data plane gets it: names stand for other numbers in each namespace.
struct Plans {
    compiler::Names names;
    std::map<std::uint32_t, compiler::Environment> environments; // by compartment
    std::map<std::uint32_t, compiler::Plan> plans;
};

class Engine {
public:
    explicit Engine(Core &core);

    [[nodiscard]] const policy::Policy &policy() const { return policy_; }
    // Of the policy in force, for a data plane that is being made; kept() once it is there.
    [[nodiscard]] Result<Plans> plan_for(std::uint32_t compartment);
    void kept(Plans plans);
    void forget(std::uint32_t compartment) {
        watch_.forget(compartment);
        compilers_.erase(compartment);
    }

    // Compiled, written to the store, told to hosts, published; in this order. by: the session
    // whose change it is, whose subscriptions do not hear of it. last_good: the policy whose file
    // objects a rollback brings back from now on; null: they stay.
    Result<void> commit(policy::Policy next, std::uint64_t by,
                        const policy::Policy *last_good = nullptr);
    // Would this policy be accepted? Changes nothing.
    Result<void> check(const policy::Policy &next);
    // The same objects under a new generation, so that every flow is judged again. Soon: once for
    // many causes.
    void republish();
    void republish_soon();
    // Publishes again if a name in the policy stands for something else by now.
    void look_at_environment();

    // The run-time id of a callout key, also while a transaction is open on a copy of the policy.
    Result<std::uint32_t> callout_id(const Guid &key, policy::Policy *open);
    // Numbers that an abandoned copy has used are not used again.
    void keep_numbers(const policy::Policy &abandoned);
    // A filter's number, given before the filter is there: its host is asked about it first.
    std::uint64_t reserve_filter_id() { return policy_.next_filter_id++; }

    void load(policy::Policy policy) { policy_ = std::move(policy); }

private:
    Result<Plans> compile(const policy::Policy &policy);
    const compiler::Names &names_in(const policy::Policy &policy);
    Result<void> publish(Plans plans);
    // Once no program judges flows by an older policy: it would be missed.
    void reauthorize_soon();
    void save_soon();
    void go_back(policy::Policy old);
    void tell_hosts(const policy::Policy &old);
    void tell_of_the_change(const policy::Policy &old, std::uint64_t by);

    Core &core_;
    policy::Policy policy_;
    EnvironmentWatch watch_;
    // By compartment, each with what it compiled last; 0: while there is no data plane.
    std::map<std::uint32_t, compiler::Compiler> compilers_;
    policy::Filters named_;
    compiler::Names names_; // in them
    bool republish_pending_ = false, save_pending_ = false;
};

} // namespace sluice::daemon
