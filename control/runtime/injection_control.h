// SPDX-License-Identifier: Apache-2.0
// Socket control data, in Windows' form: what of it an IP header can show.
#pragma once

#include <array>

#include "runtime/injection_packet.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

// Hop limit and traffic class into the header; other items are passed over. False: lengths
// contradict each other.
bool read_control(const SLUICE_CMSGHDR *items, std::size_t bytes, IpHeader &header);

// An item that is a number, as WSA_CMSG_SPACE lays it out.
struct ControlItem {
    SLUICE_CMSGHDR head;
    INT value;
    INT pad;
};
// What would make a header with this hop limit and traffic class: read_control's reverse.
std::array<ControlItem, 2> control_of(const IpHeader &header);

} // namespace sluice::runtime
