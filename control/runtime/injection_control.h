// SPDX-License-Identifier: Apache-2.0
// Socket control data, in Windows' form: what of it an IP header can show.
#pragma once

#include "runtime/injection_packet.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

// Hop limit and traffic class into the header; other items are passed over. False: lengths
// contradict each other.
bool read_control(const SLUICE_CMSGHDR *items, std::size_t bytes, IpHeader &header);

} // namespace sluice::runtime
