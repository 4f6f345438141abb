// SPDX-License-Identifier: Apache-2.0
// The rules of arbitration as a pure function over plain values: the oracle against which compiler
// and BPF programs are checked. A linear walk; shares nothing with compiler/ but the value types.
#pragma once

#include <functional>

#include "policy/policy.h"

namespace sluice::policy {

struct Packet {
    std::uint16_t layer = 0;
    bool v6 = false;
    std::uint32_t local4 = 0, remote4 = 0; // host order
    Bytes16 local6{}, remote6{};
    std::uint8_t protocol = 0;
    std::uint16_t local_port = 0, remote_port = 0;
    bool local_known = true; // false in connect(): local address and port unknown
};

struct CalloutAnswer {
    std::uint32_t action = 0;
    bool clear_right = false;
};
enum class Asked { answered, unregistered };
struct CalloutReply {
    Asked asked = Asked::unregistered;
    CalloutAnswer answer;
};
// Called for each callout filter that matches, in order, with the running action and whether it may
// be written.
using AskCallout =
    std::function<CalloutReply(const Filter &, std::uint32_t running_action, bool writable)>;

struct Verdict {
    std::uint32_t action = 0;
    bool hard = false;
    std::uint64_t filter = 0;
};

bool matches(const Filter &filter, const Packet &packet);
// action is FWP_ACTION_PERMIT (also when nothing decided; filter is then 0) or FWP_ACTION_BLOCK.
Verdict arbitrate(const Policy &policy, const Packet &packet, const AskCallout &ask);

} // namespace sluice::policy
