// SPDX-License-Identifier: Apache-2.0
#include "compiler/environment.h"
#include "policy/condition.h"

namespace sluice::compiler {

namespace {

struct Collect {
    Names &into;

    void operator()(const policy::IsEmpty &empty) const {
        into.interfaces |= policy::is_interface_property(empty.aspect);
    }
    void operator()(const policy::IsInterface &) const { into.interfaces = true; }
    void operator()(const policy::IsFile &file) const { into.files.insert(file.path); }
    void operator()(const policy::IsInCgroup &cgroup) const {
        const auto *name = std::get_if<std::string>(&cgroup.which);
        if (name != nullptr) (cgroup.container ? into.containers : into.cgroups).insert(*name);
    }
    template <typename Other>
    void operator()(const Other &) const {} // numbers, and texts that the kernel compares
};

} // namespace

void add_names(const policy::Filter &filter, Names &names) {
    for (const policy::Condition &condition : filter.conditions) {
        const auto test = policy::understand(condition, filter.layer);
        if (test) std::visit(Collect{names}, test->question);
    }
}

Names names_of(const policy::Policy &policy) {
    Names names;
    for (const auto &[id, filter] : policy.filters)
        add_names(filter, names);
    return names;
}

} // namespace sluice::compiler
