// SPDX-License-Identifier: Apache-2.0
// What Windows would call a kind of interface: the same for filters, which are compiled with it,
// and for callouts, which are told by the kernel's record of a NIC.
#pragma once

#include <cstdint>

namespace sluice::datapath {

std::uint32_t if_type_of(std::uint16_t arphrd);     // IANA ifType; 1 (other) if there is none
std::uint32_t tunnel_type_of(std::uint16_t arphrd); // TUNNEL_TYPE; 0: no tunnel

} // namespace sluice::datapath
