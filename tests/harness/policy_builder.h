// SPDX-License-Identifier: Apache-2.0
// Short words for policies in tests:
//   add(policy, permit(in_v4).in(sublayer).weighing(7).when(equal(remote_port,
//   std::uint16_t{80})));
#pragma once

#include <stdexcept>
#include <string>

#include "policy/arbitrate.h"
#include "policy/edit.h"
#include "policy/wfp.h"

namespace sluice::harness {

inline constexpr std::uint16_t in_v4 = 0, in_v6 = 2, connect_v4 = 48, connect_v6 = 50;
inline constexpr std::uint16_t stream_v4 = 20; // a layer without filters in this release

inline const char *const local_address = "FWPM_CONDITION_IP_LOCAL_ADDRESS";
inline const char *const remote_address = "FWPM_CONDITION_IP_REMOTE_ADDRESS";
inline const char *const local_port = "FWPM_CONDITION_IP_LOCAL_PORT";
inline const char *const remote_port = "FWPM_CONDITION_IP_REMOTE_PORT";
inline const char *const protocol = "FWPM_CONDITION_IP_PROTOCOL";

std::uint32_t v4(const char *text);
policy::Bytes16 v6(const char *text);

policy::Condition condition(const char *field, std::uint32_t match, policy::Value value);
policy::Condition equal(const char *field, policy::Scalar value);
policy::Condition between(const char *field, policy::Scalar low, policy::Scalar high);

class FilterOf {
public:
    FilterOf(std::uint16_t layer, std::uint32_t action);
    FilterOf in(const Guid &sublayer) &&;
    FilterOf weighing(std::uint64_t weight) &&;
    FilterOf when(policy::Condition condition) &&;
    FilterOf flagged(std::uint32_t flags) &&;
    FilterOf owned_by(policy::SessionId session) &&;
    FilterOf asking(const Guid &callout) &&;
    operator policy::Filter() const { return filter_; } // NOLINT: reads as the filter it is

private:
    policy::Filter filter_;
};

FilterOf permit(std::uint16_t layer);
FilterOf block(std::uint16_t layer);
FilterOf terminating(std::uint16_t layer, const Guid &callout);
FilterOf inspecting(std::uint16_t layer, const Guid &callout);
FilterOf unknown(std::uint16_t layer, const Guid &callout);

// Add it or throw: a test that builds a bad policy by mistake must not pass.
std::uint64_t add(policy::Policy &policy, policy::Filter filter);
Guid new_sublayer(policy::Policy &policy, std::uint16_t weight, policy::SessionId owner = 0);
Guid new_callout(policy::Policy &policy, std::uint16_t layer, policy::SessionId owner = 0);

// 192.0.2.1:1000 -> us, or the same in 2001:db8::/32; protocol TCP, local port 80. No other field
// has a value.
policy::Packet packet_at(std::uint16_t layer);
policy::Packet &show(policy::Packet &packet, const char *field, policy::Scalar value);
policy::Packet &hide(policy::Packet &packet, const char *field); // it is unknown from now on

} // namespace sluice::harness
