// SPDX-License-Identifier: Apache-2.0
// What names in conditions stand for on this machine just now: interfaces, executables, cgroups.
// The compiler turns names into numbers with it; when it changes the policy is compiled again.
// Pure values; who fills it is the daemon (environment_watch).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace sluice::compiler {

struct Interface {
    std::uint32_t index = 0;
    std::string name, alias;
    std::uint32_t type = 0;   // IANA ifType: 6 Ethernet, 24 loopback, 131 tunnel, ...
    std::uint32_t tunnel = 0; // TUNNEL_TYPE: 0 none, 1 other, 2 direct, 11 6to4, ...
    policy::Bytes6 mac{};
    bool has_mac = false;
    // NET_LUID: type in the upper 16 bits, index in the next 24.
    [[nodiscard]] std::uint64_t luid() const {
        return std::uint64_t{type} << 48 | std::uint64_t{index} << 24;
    }
    bool operator==(const Interface &) const = default;
};

struct FileId {
    std::uint32_t device = 0; // as the kernel's s_dev: major << 20 | minor
    std::uint64_t inode = 0;
    auto operator<=>(const FileId &) const = default;
};

struct Environment {
    std::vector<Interface> interfaces;
    std::map<std::string, std::set<FileId>> files; // by path, also those that it was before
    std::map<std::string, std::set<std::uint64_t>> cgroups;    // ids by path below the cgroup2 root
    std::map<std::string, std::set<std::uint64_t>> containers; // ids by container name or id
    bool operator==(const Environment &) const = default;
};

// The names that a policy's conditions mention; what must be looked up before it is compiled.
struct Names {
    bool interfaces = false;
    std::set<std::string> files, cgroups, containers;
    void add(const Names &more) {
        interfaces |= more.interfaces;
        files.insert(more.files.begin(), more.files.end());
        cgroups.insert(more.cgroups.begin(), more.cgroups.end());
        containers.insert(more.containers.begin(), more.containers.end());
    }
    bool operator==(const Names &) const = default;
};
Names names_of(const policy::Policy &policy);
void add_names(const policy::Filter &filter, Names &names);

} // namespace sluice::compiler
