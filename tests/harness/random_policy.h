// SPDX-License-Identifier: Apache-2.0
// Policies and packets from rapidcheck, over few values so that they meet. Call inside a property.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "harness/policy_builder.h"

namespace sluice::harness {

struct Scene {
    policy::Policy policy;
    std::map<std::uint64_t, policy::CalloutAnswer> answers; // by filter; none: unregistered
    std::set<std::uint32_t> registered;                     // run-time ids of callouts

    // For arbitrate(): what the scene's callouts say.
    [[nodiscard]] policy::AskCallout ask() const;
};

// Up to four sublayers with up to `filters` filters at each of `layers`; about half of the callouts
// are registered.
Scene random_scene(const std::vector<std::uint16_t> &layers, int filters);
policy::Packet random_packet(std::uint16_t layer);

} // namespace sluice::harness
