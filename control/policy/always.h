// SPDX-License-Identifier: Apache-2.0
// "Always for this program and destination": a decision about a hold as a filter.
#pragma once

#include "core/result.h"
#include "policy/policy.h"

namespace sluice::policy {

// What was held. Addresses: UINT32 or Bytes16 by the layer's family.
struct HeldTraffic {
    std::string program; // path; empty: unknown
    std::uint8_t protocol = 0;
    Scalar remote_address;
    std::uint16_t local_port = 0, remote_port = 0;
};

// The filter that decides so before `asked`, the filter that handed the operation to its callout:
// in its sublayer, by the next higher weight, and as lasting as that sublayer allows. Conditions:
// the program and what it talks to; at RECV_ACCEPT the own port and who came, at AUTH_LISTEN the
// own port. Its key says what it is about, so that there is one filter for the same question. An
// error: the program is unknown, or the layer has no such filter.
Result<Filter> always_filter(const Policy &policy, const Filter &asked, const HeldTraffic &traffic,
                             std::uint32_t action);

// Puts it in. False: it is there already, nothing was changed. One that says the opposite goes.
Result<bool> add_always(Policy &policy, Filter filter);

} // namespace sluice::policy
