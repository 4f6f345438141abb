// SPDX-License-Identifier: Apache-2.0
// What the kernel asks or tells, taken out of its frame: the frame's own copy is overwritten by the
// answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "shared/port.h"

namespace sluice::runtime {

struct Upcall {
    dp_upcall header{};
    std::string path;                                 // of the executable, empty: unknown
    std::shared_ptr<const dp_redirect_view> redirect; // null: the flow has none
    std::uint32_t packet_offset = 0;                  // in the frame
    // The flow is the ticket: connect, accept and established. At the other layers the ticket is a
    // packet's, or of an operation.
    [[nodiscard]] bool at_flow() const;
    [[nodiscard]] bool of_operation() const { return header.flags & DP_UPCALL_OPERATION; }
    [[nodiscard]] bool can_pend() const;   // the layer, by FwpsPendOperation0
    [[nodiscard]] bool redirects() const { // CONNECT_REDIRECT
        return header.layer == DP_LAYER_ALE_CONNECT_REDIRECT_V4 ||
               header.layer == DP_LAYER_ALE_CONNECT_REDIRECT_V6;
    }
    [[nodiscard]] bool binds() const { // BIND_REDIRECT
        return header.layer == DP_LAYER_ALE_BIND_REDIRECT_V4 ||
               header.layer == DP_LAYER_ALE_BIND_REDIRECT_V6;
    }
    // The first redirection's key: of the flow that was asked about first.
    [[nodiscard]] std::uint64_t redirection() const {
        return redirect && redirect->id ? redirect->id : header.flow;
    }
    // What callouts know the flow by: unique over compartments, as the ids of the hold list are.
    [[nodiscard]] std::uint64_t flow_handle() const {
        return header.flow ? handle_of(header.compartment, header.flow) : 0;
    }
    static std::uint64_t handle_of(std::uint32_t compartment, std::uint64_t flow) {
        return (std::uint64_t{compartment} - 1) << 40 | flow;
    }
    [[nodiscard]] bool is_tcp() const { return header.key.protocol == 6; }
    [[nodiscard]] bool of_frame() const { // the MAC layers
        return header.layer == DP_LAYER_INBOUND_MAC_FRAME_ETHERNET ||
               header.layer == DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET;
    }
    // False: not an upcall of this layout, or its lengths contradict each other.
    static bool parse(std::span<const std::byte> frame, Upcall &out);
};

} // namespace sluice::runtime
