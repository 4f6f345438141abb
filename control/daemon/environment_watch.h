// SPDX-License-Identifier: Apache-2.0
// What the names in the policy's conditions stand for, in each data plane: looked up at each
// commit and again at each round of the sweep. A file that is replaced keeps the identities that
// it had, for as long as sluiced runs: processes of before an upgrade are still that application.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/environment.h"

namespace sluice::daemon {

class EnvironmentWatch {
public:
    using Interfaces = std::function<std::vector<compiler::Interface>(std::uint32_t compartment)>;
    // Where the parts of an environment come from.
    struct Sources {
        std::function<std::optional<compiler::FileId>(const std::string &path)> file;
        std::function<std::optional<std::uint64_t>(const std::string &path)> cgroup;
        std::function<std::map<std::string, std::set<std::uint64_t>>(const std::set<std::string> &)>
            containers;
        Interfaces interfaces;
        std::function<std::uint64_t()> now_ns;
    };
    // Of this machine. cgroup_root empty: the cgroup2 root found in mountinfo.
    static Sources of_system(std::string cgroup_root, Interfaces interfaces);

    explicit EnvironmentWatch(Sources sources) : sources_(std::move(sources)) {}

    // What `names` stand for in a compartment now. keep() says that a policy compiled with it is in
    // force there, forget() that none is: changed() compares with that.
    compiler::Environment look(const compiler::Names &names, std::uint32_t compartment);
    void keep(std::uint32_t compartment, compiler::Names names, compiler::Environment environment);
    void forget(std::uint32_t compartment);
    // Does any compartment's environment differ from the one that was kept? Looks at what is cheap
    // at each call; the tree of cgroups is walked for a tenth of the time at most.
    bool changed();

private:
    void look_at_containers(const compiler::Names &names);
    compiler::Environment assemble(const compiler::Names &names, std::uint32_t compartment);
    struct Kept {
        compiler::Names names;
        compiler::Environment environment;
    };
    Sources sources_;
    std::map<std::uint32_t, Kept> kept_;
    std::map<std::string, std::set<compiler::FileId>> files_; // all that a path ever was
    std::map<std::string, std::set<std::uint64_t>> containers_;
    std::uint64_t containers_after_ns_ = 0;
};

} // namespace sluice::daemon
