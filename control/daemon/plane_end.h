// SPDX-License-Identifier: Apache-2.0
// A data plane ends: with its last NIC, or with its namespace.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "core/result.h"

namespace sluice::daemon {

struct Core;

// What is held ends as its filters say, then everything of ours in the namespace goes and `then` is
// called. silent: its NICs are set down before nothing judges any more.
void remove_plane(Core &core, std::uint32_t compartment, bool silent,
                  const std::function<void(Result<void>)> &then);

// A namespace in which no process is and that has no name lives on only because sluiced keeps it:
// its data plane is removed, so that the kernel can. A socket of it that a process elsewhere still
// has must not send unjudged then, so its NICs are set down.
class LostNamespaces {
public:
    explicit LostNamespaces(Core &core) : core_(core) {}
    void look(); // at each compartment; what is found lost twice in a row is removed

private:
    Core &core_;
    std::map<std::uint32_t, int> missed_; // how many looks in a row did not find it
};

} // namespace sluice::daemon
