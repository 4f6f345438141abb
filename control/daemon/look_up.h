// SPDX-License-Identifier: Apache-2.0
// What a name that a condition mentions stands for at this moment: files, cgroups, containers,
// interfaces. Nothing is remembered here; see environment_watch.h.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "compiler/environment.h"
#include "datapath/link_type.h"
#include "datapath/netlink.h"

namespace sluice::daemon {

// The file as the kernel's programs see it: the device of its superblock, not the one that stat()
// makes up for subvolumes and overlays. Empty: no such file.
std::optional<compiler::FileId> file_identity(const std::string &path);
// Device of a mount (its superblock's s_dev: major << 20 | minor) in a text like
// /proc/self/mountinfo.
std::optional<std::uint32_t> device_of_mount(std::string_view mountinfo, std::uint64_t mount_id);

// Id of the cgroup at `path` below the cgroup2 root; a path that leads out of it has none.
std::optional<std::uint64_t> cgroup_id(const std::string &root, const std::string &path);
// Does the last component of a cgroup's path belong to the container: NAME itself, or as container
// managers write it (docker-NAME.scope, libpod-NAME.scope, cri-containerd-NAME.scope,
// crio-NAME.scope, lxc.payload.NAME)?
bool is_container(std::string_view component, std::string_view name);
// Ids of the cgroups below `root` that belong to each of the containers. Walks the whole tree.
std::map<std::string, std::set<std::uint64_t>> containers_in(const std::string &root,
                                                             const std::set<std::string> &names);

compiler::Interface interface_of(const datapath::netlink::Link &link);

} // namespace sluice::daemon
