// SPDX-License-Identifier: Apache-2.0
// Words of the command line as a filter. Values of conditions are read as policy files write them
// (policyfile/values.h). Errors name the value and what was expected.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/guid.h"
#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::cli {

struct FilterWords {
    std::string layer, action, callout, callout_type = "terminating", sublayer, weight = "auto",
                                        name, description, key, lifetime = "static", deadline,
                                        outcome;
    // Conditions with an option of their own: the word and its alternatives.
    std::vector<std::pair<std::string, std::vector<std::string>>> conditions;
    std::vector<std::string> written; // as in a policy file: "remote_port: {not: 22}"
    bool permit_if_unregistered = false, clear_action_right = false;
};

// What names on the command line stand for; asked of sluiced beforehand.
struct Names {
    std::vector<protocol::CalloutInfo> callouts;
    std::vector<protocol::SubLayer> sublayers;
};

Result<std::uint16_t> parse_layer(
    const std::string &word); // "ale_auth_connect_v4", with or without FWPS_LAYER_, or a number
Result<protocol::Value>
parse_weight(const std::string &word);                  // auto, 0-15, or a 64-bit number above
Result<std::string> parse_key(const std::string &word); // 16 bytes of a GUID's text
Result<protocol::Filter> parse_filter(const FilterWords &words, const Names &names);

} // namespace sluice::cli
