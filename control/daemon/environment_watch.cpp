// SPDX-License-Identifier: Apache-2.0
#include "daemon/environment_watch.h"

#include "daemon/look_up.h"
#include "daemon/loop.h"
#include "datapath/attach_cgroup.h"

namespace sluice::daemon {

using compiler::Environment;
using compiler::Names;

EnvironmentWatch::Sources EnvironmentWatch::of_system(std::string root, Interfaces links) {
    if (root.empty())
        if (auto found = datapath::find_cgroup_root()) root = *found;
    return {.file = file_identity,
            .cgroup = [root](const std::string &path) { return cgroup_id(root, path); },
            .containers =
                [root](const std::set<std::string> &names) { return containers_in(root, names); },
            .interfaces = std::move(links),
            .now_ns = monotonic_ns};
}

void EnvironmentWatch::look_at_containers(const Names &names) {
    if (names.containers.empty()) return;
    const std::uint64_t began = sources_.now_ns();
    containers_ = sources_.containers(names.containers);
    const std::uint64_t now = sources_.now_ns();
    containers_after_ns_ = now + 9 * (now - began);
}

Environment EnvironmentWatch::assemble(const Names &names, std::uint32_t compartment) {
    Environment out;
    if (names.interfaces) out.interfaces = sources_.interfaces(compartment);
    for (const auto &path : names.files) {
        auto &known = files_[path];
        if (const auto now = sources_.file(path)) known.insert(*now);
        out.files[path] = known;
    }
    for (const auto &path : names.cgroups) {
        auto &ids = out.cgroups[path];
        if (const auto id = sources_.cgroup(path)) ids.insert(*id);
    }
    for (const auto &name : names.containers) {
        const auto found = containers_.find(name);
        out.containers[name] =
            found == containers_.end() ? std::set<std::uint64_t>() : found->second;
    }
    return out;
}

Environment EnvironmentWatch::look(const Names &names, std::uint32_t compartment) {
    look_at_containers(names);
    return assemble(names, compartment);
}

void EnvironmentWatch::keep(std::uint32_t compartment, Names names, Environment environment) {
    kept_[compartment] = {std::move(names), std::move(environment)};
}

void EnvironmentWatch::forget(std::uint32_t compartment) {
    kept_.erase(compartment);
}

bool EnvironmentWatch::changed() {
    if (kept_.empty()) return false;
    // The names are those of the one policy in force, in every compartment.
    const Names &names = kept_.begin()->second.names;
    if (sources_.now_ns() >= containers_after_ns_) look_at_containers(names);
    for (const auto &[compartment, kept] : kept_)
        if (assemble(kept.names, compartment) != kept.environment) return true;
    return false;
}

} // namespace sluice::daemon
