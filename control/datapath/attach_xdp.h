// SPDX-License-Identifier: Apache-2.0
// The XDP program on a NIC, in native mode: beside others through libxdp's dispatcher where the
// kernel can replace functions, else alone. In the network namespace of the calling thread.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "datapath/pin_dir.h"
#include "shared/config.h"

namespace sluice::datapath {

enum class XdpKind : std::uint32_t { none = 0, single = 1, dispatcher = 2 };

struct XdpAttached {
    XdpKind kind = XdpKind::none;
    std::uint32_t program = 0; // id
};

Result<XdpAttached> attach_xdp(const PinDir &pins, const dp_config &config, std::uint32_t ifindex);
void detach_xdp(std::uint32_t ifindex, const XdpAttached &attached);
// The device is gone: what libxdp pinned for it is not.
void forget_xdp(std::uint32_t ifindex, const XdpAttached &attached);

} // namespace sluice::datapath
