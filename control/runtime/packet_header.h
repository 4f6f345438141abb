// SPDX-License-Identifier: Apache-2.0
// IP headers in front of the data of lists.
#pragma once

#include "runtime/net_buffer.h"

namespace sluice::runtime {

struct HeaderWanted {
    ADDRESS_FAMILY family = SLUICE_AF_UNSPEC;
    std::size_t included = 0; // bytes at the start of the data that the header replaces
    const UCHAR *source = nullptr, *target = nullptr; // 4 or 16 bytes, network order
    std::uint8_t protocol = 0;
    const SLUICE_CMSGHDR *control = nullptr;
    std::size_t control_bytes = 0;
};

// Every buffer begins with its IP header then, all checksums are right and nothing is left to a
// device. On failure nothing has changed.
NTSTATUS construct_ip_header(BufferList &list, const HeaderWanted &wanted);

} // namespace sluice::runtime
