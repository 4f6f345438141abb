// SPDX-License-Identifier: Apache-2.0
// The cgroup programs of a data plane at the cgroup2 root, beside those of others
// (BPF_F_ALLOW_MULTI, as links are).
#pragma once

#include <string>

#include "core/result.h"
#include "datapath/pin_dir.h"

namespace sluice::datapath {

Result<std::string> find_cgroup_root();
// As find_cgroup_root, of the given mountinfo text. Empty: none.
std::string cgroup_root_in(const std::string &mountinfo);

// All or none; the programs are opened from the pins.
Result<void> attach_cgroup(const PinDir &pins, const std::string &root);
void detach_cgroup(const PinDir &pins);

// The hooks that only redirections need, where those of attach_cgroup are; what is attached
// already stays. All or those of before.
Result<void> attach_redirect_cgroup(const PinDir &pins);

} // namespace sluice::datapath
