// SPDX-License-Identifier: Apache-2.0
// What holds before sluiced runs: the boot-time filters of the store, pinned as a data plane of
// their own. sluiced adopts that plane and puts its policy in the filters' place.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compiler/environment.h"
#include "core/result.h"
#include "datapath/datapath.h"
#include "store/store.h"

namespace sluice::boot {

struct Options {
    // With a state file: sluiced ran since the machine started, and is told there that what is
    // pinned is not what it left.
    store::Store::Options store;
    datapath::Datapath::Options plane;
    std::vector<std::string> nics; // empty: those that the store names
};

// What the names in the filters stand for.
using LookUp = std::function<compiler::Environment(const compiler::Names &)>;

struct Loss { // an interface that could not be loaded, and why
    std::string nic, why;
};
struct Outcome {
    std::size_t filters = 0; // boot-time filters in force; 0: there are none, nothing was pinned
    std::vector<datapath::NicInfo> loaded;
    std::vector<Loss> lost;
    std::vector<std::string> notes; // worth telling
};

// The policy that holds at boot: boot-time filters and what they refer to.
policy::Policy policy_at_boot(policy::Policy stored);

// Pins the boot-time filters for the calling thread's network namespace and loads the NICs. An
// interface that is not there is a loss, not a failure; where none can be loaded that is one.
// The caller holds sluiced's lock. Errors, after which nothing is pinned and the store is as it
// was: those of store.h; EEXIST: a data plane is pinned already, it stays in force; ENODEV: no
// interface is named or could be loaded; of the kernel, where the programs cannot be loaded.
// A machine without a store has no boot-time filters, which is no error.
Result<Outcome> pin(const Options &options, const LookUp &look_up);

} // namespace sluice::boot
