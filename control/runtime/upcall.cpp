// SPDX-License-Identifier: Apache-2.0
#include "runtime/upcall.h"

#include <cstring>

#include "sluice/fwp.h"

namespace sluice::runtime {

bool Upcall::parse(std::span<const std::byte> frame, Upcall &out) {
    if (frame.size() < sizeof(dp_upcall)) return false;
    std::memcpy(&out.header, frame.data(), sizeof out.header);
    const dp_upcall &h = out.header;
    std::size_t least = sizeof(dp_upcall);
    if (h.flags & DP_UPCALL_HAS_PATH) least += DP_EXE_PATH_MAX;
    const std::size_t redirect = least;
    if (h.flags & DP_UPCALL_HAS_REDIRECT) least += sizeof(dp_redirect_view);
    if (h.magic != DP_UPCALL_MAGIC || h.version != DP_LAYOUT_VERSION) return false;
    if (h.header_bytes < least || h.header_bytes > frame.size()) return false;
    const std::size_t packet = frame.size() - h.header_bytes;
    if (h.ip_offset > packet || h.l4_offset > packet) return false;
    if (h.kind < DP_UPCALL_CLASSIFY || h.kind > DP_UPCALL_FORWARDED) return false;
    if (h.flags & DP_UPCALL_HAS_PATH) {
        const auto *text = reinterpret_cast<const char *>(frame.data()) + sizeof(dp_upcall);
        out.path.assign(text, ::strnlen(text, DP_EXE_PATH_MAX));
    }
    if (h.flags & DP_UPCALL_HAS_REDIRECT) {
        auto view = std::make_shared<dp_redirect_view>();
        std::memcpy(view.get(), frame.data() + redirect, sizeof *view);
        if (view->versions > DP_REDIRECT_VERSIONS_MAX || view->record.hops > DP_RECORD_HOPS_MAX)
            return false;
        out.redirect = std::move(view);
    }
    out.packet_offset = h.header_bytes;
    return true;
}

bool Upcall::at_flow() const {
    switch (header.layer) {
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V4:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V6:
        return header.flow != 0 && !of_operation();
    default:
        return false;
    }
}

bool Upcall::can_pend() const {
    switch (header.layer) {
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
        return true;
    default:
        return false;
    }
}

} // namespace sluice::runtime
