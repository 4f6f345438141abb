// SPDX-License-Identifier: Apache-2.0
// What a callout's lambda is asked, and what it may answer.
#pragma once

#include <string>

#include "error.hpp"
#include "text.hpp"

namespace sluice {

struct Verdict {
    FWP_ACTION_TYPE action;
    bool final;  // clears the right to change the action: lower sublayers may only veto
    bool absorb; // drop without a trace
};

constexpr Verdict permit() {
    return {FWP_ACTION_PERMIT, true, false};
}
constexpr Verdict soft_permit() {
    return {FWP_ACTION_PERMIT, false, false};
}
constexpr Verdict block() {
    return {FWP_ACTION_BLOCK, true, false};
}
constexpr Verdict proceed() {
    return {FWP_ACTION_CONTINUE, false, false};
}
// Drops the packet without a trace: the callout sends another in its place, or the same later.
constexpr Verdict absorbed() {
    return {FWP_ACTION_BLOCK, true, true};
}
constexpr Verdict pended() {
    return {FWP_ACTION_BLOCK, true, true};
}

// Where the flags (FWP_CONDITION_FLAG_*) stand among a layer's values; -1: it has none, or callouts
// are not asked there in this release.
constexpr int flags_field(UINT16 layer) {
    switch (layer) {
    case FWPS_LAYER_INBOUND_IPPACKET_V4:
        return FWPS_FIELD_INBOUND_IPPACKET_V4_FLAGS;
    case FWPS_LAYER_INBOUND_IPPACKET_V6:
        return FWPS_FIELD_INBOUND_IPPACKET_V6_FLAGS;
    case FWPS_LAYER_OUTBOUND_IPPACKET_V4:
        return FWPS_FIELD_OUTBOUND_IPPACKET_V4_FLAGS;
    case FWPS_LAYER_OUTBOUND_IPPACKET_V6:
        return FWPS_FIELD_OUTBOUND_IPPACKET_V6_FLAGS;
    case FWPS_LAYER_IPFORWARD_V4:
        return FWPS_FIELD_IPFORWARD_V4_FLAGS;
    case FWPS_LAYER_IPFORWARD_V6:
        return FWPS_FIELD_IPFORWARD_V6_FLAGS;
    case FWPS_LAYER_INBOUND_TRANSPORT_V4:
        return FWPS_FIELD_INBOUND_TRANSPORT_V4_FLAGS;
    case FWPS_LAYER_INBOUND_TRANSPORT_V6:
        return FWPS_FIELD_INBOUND_TRANSPORT_V6_FLAGS;
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V4:
        return FWPS_FIELD_OUTBOUND_TRANSPORT_V4_FLAGS;
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V6:
        return FWPS_FIELD_OUTBOUND_TRANSPORT_V6_FLAGS;
    case FWPS_LAYER_INBOUND_ICMP_ERROR_V4:
        return FWPS_FIELD_INBOUND_ICMP_ERROR_V4_FLAGS;
    case FWPS_LAYER_INBOUND_ICMP_ERROR_V6:
        return FWPS_FIELD_INBOUND_ICMP_ERROR_V6_FLAGS;
    case FWPS_LAYER_OUTBOUND_ICMP_ERROR_V4:
        return FWPS_FIELD_OUTBOUND_ICMP_ERROR_V4_FLAGS;
    case FWPS_LAYER_OUTBOUND_ICMP_ERROR_V6:
        return FWPS_FIELD_OUTBOUND_ICMP_ERROR_V6_FLAGS;
    case FWPS_LAYER_DATAGRAM_DATA_V4:
        return FWPS_FIELD_DATAGRAM_DATA_V4_FLAGS;
    case FWPS_LAYER_DATAGRAM_DATA_V6:
        return FWPS_FIELD_DATAGRAM_DATA_V6_FLAGS;
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
        return FWPS_FIELD_ALE_RESOURCE_ASSIGNMENT_V4_FLAGS;
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
        return FWPS_FIELD_ALE_RESOURCE_ASSIGNMENT_V6_FLAGS;
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
        return FWPS_FIELD_ALE_AUTH_LISTEN_V4_FLAGS;
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
        return FWPS_FIELD_ALE_AUTH_LISTEN_V6_FLAGS;
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
        return FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V4_FLAGS;
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
        return FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V6_FLAGS;
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
        return FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS;
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
        return FWPS_FIELD_ALE_AUTH_CONNECT_V6_FLAGS;
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4:
        return FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_FLAGS;
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6:
        return FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_FLAGS;
    case FWPS_LAYER_ALE_RESOURCE_RELEASE_V4:
        return FWPS_FIELD_ALE_RESOURCE_RELEASE_V4_FLAGS;
    case FWPS_LAYER_ALE_RESOURCE_RELEASE_V6:
        return FWPS_FIELD_ALE_RESOURCE_RELEASE_V6_FLAGS;
    case FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4:
        return FWPS_FIELD_ALE_ENDPOINT_CLOSURE_V4_FLAGS;
    case FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V6:
        return FWPS_FIELD_ALE_ENDPOINT_CLOSURE_V6_FLAGS;
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V4:
        return FWPS_FIELD_ALE_CONNECT_REDIRECT_V4_FLAGS;
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V6:
        return FWPS_FIELD_ALE_CONNECT_REDIRECT_V6_FLAGS;
    case FWPS_LAYER_ALE_BIND_REDIRECT_V4:
        return FWPS_FIELD_ALE_BIND_REDIRECT_V4_FLAGS;
    case FWPS_LAYER_ALE_BIND_REDIRECT_V6:
        return FWPS_FIELD_ALE_BIND_REDIRECT_V6_FLAGS;
    default:
        return -1;
    }
}

class Hold;
class HeldRedirect;
struct BindRedirect;
struct Redirect;
struct CalloutState;

// One classify. Valid only inside the lambda: copy out what must live longer.
class Classification {
public:
    Classification(CalloutState &callout, const FWPS_INCOMING_VALUES0 &values,
                   const FWPS_INCOMING_METADATA_VALUES0 &metadata, void *data, const void *context,
                   const FWPS_FILTER3 &filter, UINT64 flow_context,
                   const FWPS_CLASSIFY_OUT0 &so_far)
        : callout_(callout), values_(values), metadata_(metadata), data_(data), context_(context),
          filter_(filter), flow_context_(flow_context), so_far_(so_far) {}
    Classification(const Classification &) = delete;
    Classification &operator=(const Classification &) = delete;

    UINT16 layer() const { return values_.layerId; }
    // A value by the layer's FWPS_FIELD_* enumerator.
    const FWP_VALUE0 &operator[](UINT32 field) const {
        if (field >= values_.valueCount) throw Error(STATUS_FWP_OUT_OF_BOUNDS, "field");
        return values_.incomingValue[field].value;
    }
    UINT32 flags() const {
        const int field = flags_field(layer());
        return field < 0 ? 0 : (*this)[static_cast<UINT32>(field)].uint32;
    }
    bool reauthorizing() const { return (flags() & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0; }

    const FWPS_INCOMING_METADATA_VALUES0 &metadata() const { return metadata_; }
    bool has(UINT32 metadata_fields) const {
        return FWPS_IS_METADATA_FIELD_PRESENT(&metadata_, metadata_fields);
    }
    UINT64 flow() const { return has(FWPS_METADATA_FIELD_FLOW_HANDLE) ? metadata_.flowHandle : 0; }
    // The socket, the same number at all layers; 0 where it is not known. A connection that was
    // accepted has the listener as its parent.
    UINT64 endpoint() const {
        return has(FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE)
                   ? metadata_.transportEndpointHandle
                   : 0;
    }
    UINT64 parent_endpoint() const {
        return has(FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE) ? metadata_.parentEndpointHandle : 0;
    }
    // What this callout keeps with the flow at this layer; 0: nothing. See FlowContext.
    UINT64 flow_context() const { return flow_context_; }
    UINT64 pid() const { return has(FWPS_METADATA_FIELD_PROCESS_ID) ? metadata_.processId : 0; }
    // UTF-8; empty where the process is not known.
    std::string program() const {
        if (!has(FWPS_METADATA_FIELD_PROCESS_PATH) || metadata_.processPath == nullptr) return {};
        const FWP_BYTE_BLOB &blob = *metadata_.processPath;
        return to_utf8(reinterpret_cast<const WCHAR *>(blob.data), blob.size / sizeof(WCHAR));
    }

    bool redirects() const { // ALE_CONNECT_REDIRECT
        return layer() == FWPS_LAYER_ALE_CONNECT_REDIRECT_V4 ||
               layer() == FWPS_LAYER_ALE_CONNECT_REDIRECT_V6;
    }
    bool redirects_bind() const { // ALE_BIND_REDIRECT
        return layer() == FWPS_LAYER_ALE_BIND_REDIRECT_V4 ||
               layer() == FWPS_LAYER_ALE_BIND_REDIRECT_V6;
    }
    NET_BUFFER_LIST *packets() const { // or null
        return redirects() || redirects_bind() ? nullptr : static_cast<NET_BUFFER_LIST *>(data_);
    }
    // Where the connection goes, with its history; null at other layers.
    const FWPS_CONNECT_REQUEST0 *request() const {
        return redirects() ? static_cast<const FWPS_CONNECT_REQUEST0 *>(data_) : nullptr;
    }
    // Where the socket is to be bound, with its history; null at other layers.
    const FWPS_BIND_REQUEST0 *bind_request() const {
        return redirects_bind() ? static_cast<const FWPS_BIND_REQUEST0 *>(data_) : nullptr;
    }
    const FWPS_FILTER3 &filter() const { return filter_; }
    // The decision of the sublayers before, and whether this one may still change it.
    FWP_ACTION_TYPE action_so_far() const { return so_far_.actionType; }
    bool may_write() const { return (so_far_.rights & FWPS_RIGHT_ACTION_WRITE) != 0; }

    // Suspends the operation until the hold is completed; return pended() afterwards. Throws Error
    // where the layer cannot pend or this classify re-authorises. A bind or listen has returned to
    // the application already: its socket's traffic is what waits, and a block ends the socket.
    Hold pend();

    // Sends the connection elsewhere; return the verdict. Throws Error where that is not possible.
    Verdict redirect(const Redirect &to);
    // Gives the socket another local end; the same.
    Verdict redirect(const BindRedirect &to);
    // Suspends it until the object is told where to; return pended() afterwards.
    HeldRedirect pend_redirect();

private:
    friend struct CalloutState;
    CalloutState &callout_;
    const FWPS_INCOMING_VALUES0 &values_;
    const FWPS_INCOMING_METADATA_VALUES0 &metadata_;
    void *data_;
    const void *context_;
    const FWPS_FILTER3 &filter_;
    const UINT64 flow_context_;
    const FWPS_CLASSIFY_OUT0 &so_far_;
    bool pended_ = false;
};

} // namespace sluice
