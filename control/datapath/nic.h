// SPDX-License-Identifier: Apache-2.0
// What is attached to one device, as kept in the pinned map `devices`. In the namespace of the
// calling thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "datapath/attach_tc.h"
#include "datapath/attach_xdp.h"
#include "datapath/bpf_map.h"
#include "datapath/loader.h"
#include "datapath/pin_dir.h"

namespace sluice::datapath {

class Nic {
public:
    Nic(const PinDir &pins, std::uint32_t ifindex, const DeviceRecord &record)
        : pins_(pins), ifindex_(ifindex), record_(record) {}

    // dp_tc_ingress and dp_tc_egress. The record says afterwards what to undo.
    Result<void> attach_tc();
    Result<void> attach_xdp(const dp_config &config);
    void detach(); // everything that the record names
    void forget(); // the device is gone: pins only
    // Not in this namespace any more, or another device has its number.
    [[nodiscard]] bool gone() const;
    [[nodiscard]] const DeviceRecord &record() const { return record_; }

private:
    [[nodiscard]] std::string link_name(TcSide side) const;
    Result<void> attach_side(TcSide side);
    void detach_tc();
    [[nodiscard]] XdpAttached xdp() const { return {XdpKind(record_.xdp), record_.xdp_program}; }

    const PinDir &pins_;
    std::uint32_t ifindex_;
    DeviceRecord record_;
};

} // namespace sluice::datapath
