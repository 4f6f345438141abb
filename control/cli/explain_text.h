// SPDX-License-Identifier: Apache-2.0
// The way of traffic through the layers: evaluated, as text and as JSON.
#pragma once

#include <map>
#include <set>

#include "cli/explain_packet.h"
#include "cli/json.h"
#include "policy/explain.h"

namespace sluice::cli {

// What is assumed of callouts, which decide in their own processes.
struct Answers {
    std::map<std::string, policy::CalloutAnswer> by_name; // name or key
    std::set<Guid> unregistered;                          // known not to be there
};
// "NAME=permit|block|continue[,hard]"
Result<std::pair<std::string, policy::CalloutAnswer>> parse_answer(const std::string &word);

struct LayerWay {
    policy::Explanation steps;
    std::set<Guid> assumed; // callouts whose answer was taken to be permit
    // What comes out if these block instead; the same action when they do not matter.
    policy::Verdict otherwise;
};
Result<std::vector<LayerWay>> explain_way(const policy::Policy &policy, const Traffic &traffic,
                                          const std::vector<std::uint16_t> &layers,
                                          const Answers &answers);

std::string way_text(const policy::Policy &policy, const Traffic &traffic,
                     const std::vector<LayerWay> &way);
Json way_json(const policy::Policy &policy, const Traffic &traffic,
              const std::vector<LayerWay> &way);

} // namespace sluice::cli
