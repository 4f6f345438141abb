// SPDX-License-Identifier: Apache-2.0
#include "boot/boot.h"

#include <cerrno>

#include "compiler/compile.h"
#include "policy/edit.h"
#include "store/state_file.h"

namespace sluice::boot {

namespace {

using datapath::Datapath;
using datapath::NetNs;

struct Stored {
    policy::Policy policy;
    std::vector<std::string> nics;
};

// The store is closed again on return: sluiced may be started at any moment.
Result<Stored> read_store(const store::Store::Options &options) {
    auto lasting_only = options;
    lasting_only.state.clear();
    auto opened = store::Store::open_existing(lasting_only);
    if (!opened && opened.error().code == ENOENT) return Stored{};
    if (!opened) return opened.error();
    auto policy = opened->load();
    if (!policy) return policy.error();
    return Stored{std::move(*policy), opened->boot_nics()};
}

// A sluiced that finds its state takes what is pinned for its own policy; this is not.
Result<void> tell_next_daemon(const std::string &state_path) {
    store::StateFile file(state_path);
    auto state = file.read();
    if (!state) return state.error();
    if (!*state) return {};
    (*state)->set_publishing(true);
    return file.write(**state);
}

Result<void> load_nics(Datapath &plane, const std::vector<std::string> &names, Outcome &outcome) {
    for (const auto &name : names) {
        std::string note;
        auto loaded = plane.attach_nic(name, datapath::XdpMode::automatic, note);
        if (!note.empty()) outcome.notes.push_back(note);
        if (loaded)
            outcome.loaded.push_back(std::move(*loaded));
        else
            outcome.lost.push_back({name, loaded.error().text()});
    }
    if (!outcome.loaded.empty()) return {};
    return Error(ENODEV, "load boot-time filters: " + outcome.lost.front().why);
}

} // namespace

policy::Policy policy_at_boot(policy::Policy stored) {
    erase_if(stored.filters, [](const auto &entry) {
        return policy::lifetime(entry.second) != policy::Lifetime::boot_time;
    });
    return stored;
}

Result<Outcome> pin(const Options &options, const LookUp &look_up) {
    auto stored = read_store(options.store);
    if (!stored) return stored.error();
    const auto policy = policy_at_boot(std::move(stored->policy));
    Outcome outcome;
    outcome.filters = policy.filters.size();
    if (outcome.filters == 0) return outcome;
    const auto &nics = options.nics.empty() ? stored->nics : options.nics;
    if (nics.empty())
        return Error(ENODEV, "load boot-time filters: the store names no interface (those that "
                             "sluiced loads are kept there), and neither does --nic");
    auto plan = compiler::compile(policy, policy.generation, look_up(compiler::names_of(policy)));
    if (!plan) return plan.error();
    if (auto r = tell_next_daemon(options.store.state); !r) return r.error();
    auto ns = NetNs::current();
    if (!ns) return ns.error();
    auto plane = Datapath::create(std::move(*ns), options.plane, *plan);
    if (!plane && plane.error().code == EEXIST)
        return Error(EEXIST, "boot-time filters are not loaded, what is pinned stays in force",
                     plane.error().object);
    if (!plane) return plane.error();
    if (auto r = load_nics(**plane, nics, outcome); !r) {
        (void)(*plane)->remove();
        return r.error();
    }
    return outcome;
}

} // namespace sluice::boot
