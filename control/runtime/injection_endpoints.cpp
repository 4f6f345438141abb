// SPDX-License-Identifier: Apache-2.0
#include "runtime/injection_endpoints.h"

namespace sluice::runtime {

void Endpoints::saw(const dp_upcall &upcall) {
    const bool unbound = upcall.key.local.hi == 0 && upcall.key.local.lo == 0;
    if (upcall.endpoint == 0 || unbound) return;
    Lock lock(mutex_);
    const Endpoint seen{upcall.key.local, upcall.key.protocol};
    if (!known_.insert_or_assign(upcall.endpoint, seen).second) return;
    order_.push_back(upcall.endpoint);
    if (order_.size() <= kept) return;
    known_.erase(order_.front());
    order_.pop_front();
}

std::optional<Endpoint> Endpoints::find(std::uint64_t endpoint) const {
    Lock lock(mutex_);
    const auto at = known_.find(endpoint);
    if (at == known_.end()) return std::nullopt;
    return at->second;
}

} // namespace sluice::runtime
