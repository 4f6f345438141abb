// SPDX-License-Identifier: Apache-2.0
#include "runtime/bind_requests.h"

namespace sluice::runtime {

BindRequests::BindRequests(const Upcall &upcall) : v6_(layer_fields(upcall.header.layer).v6) {
    const dp_upcall &h = upcall.header;
    add({h.key.local, h.key.local_port}, 0);
    if (h.injected.context != 0) add({h.key.remote, h.key.remote_port}, h.injected.context);
    shown_ = versions_.size() - 1;
}

void BindRequests::add(const SocketEnd &end, std::uint64_t filter) {
    FWPS_BIND_REQUEST0 request{};
    request.localAddressAndPort = to_sockaddr(end, v6_);
    request.modifierFilterId = filter;
    request.previousVersion = versions_.empty() ? nullptr : &versions_.back();
    versions_.push_back(request);
}

FWPS_BIND_REQUEST0 *BindRequests::add_copy() {
    FWPS_BIND_REQUEST0 copy = versions_.back();
    copy.previousVersion = &versions_.back();
    copy.modifierFilterId = 0;
    versions_.push_back(copy);
    return &versions_.back();
}

} // namespace sluice::runtime
