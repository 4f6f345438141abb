// SPDX-License-Identifier: Apache-2.0
// TC programs on a device: TCX where the kernel has it, first in the chain; else clsact at a fixed
// place, beside other filters. All in the network namespace of the calling thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace sluice::datapath {

enum class TcKind : std::uint32_t { none = 0, tcx = 1, clsact = 2 };
enum class TcSide : std::uint32_t { ingress = 0, egress = 1 };

bool tcx_works();

// A link, pinned at `pin`; the pin is the attachment.
Result<void> tcx_link(int program, std::uint32_t ifindex, TcSide side, const std::string &pin);
bool tcx_link_alive(int link); // its device is still there
// Without a link: lives as long as the device, before what is there. For devices of our own.
Result<void> tcx_attach(int program, std::uint32_t ifindex, TcSide side);

// True if it made the device's clsact qdisc.
Result<bool> clsact_make(std::uint32_t ifindex);
// place: behind so many others of ours.
Result<void> clsact_attach(int program, std::uint32_t ifindex, TcSide side,
                           std::uint32_t place = 0);
void clsact_detach(std::uint32_t ifindex, TcSide side);
// Deletes the qdisc if nobody's filter is left in it; to be called only for one that we made.
void clsact_delete_if_empty(std::uint32_t ifindex);

} // namespace sluice::datapath
