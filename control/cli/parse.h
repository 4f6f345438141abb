// SPDX-License-Identifier: Apache-2.0
// Words of the command line as a filter. Values of conditions are read as policy files write them
// (policyfile/values.h). Errors name the value and what was expected.
#pragma once

#include <optional>
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
                                        outcome, redirect, context, provider;
    // Conditions with an option of their own: the word and its alternatives.
    std::vector<std::pair<std::string, std::vector<std::string>>> conditions;
    std::vector<std::string> written; // as in a policy file: "remote_port: {not: 22}"
    bool permit_if_unregistered = false, clear_action_right = false, proxy_v2 = false;
};

// What names on the command line stand for; asked of sluiced beforehand.
struct Names {
    std::vector<protocol::CalloutInfo> callouts;
    std::vector<protocol::SubLayer> sublayers;
    std::string provider; // key of the one that is named
};

Result<std::uint16_t> parse_layer(
    const std::string &word); // "ale_auth_connect_v4", with or without FWPS_LAYER_, or a number
Result<protocol::Value>
parse_weight(const std::string &word);                  // auto, 0-15, or a 64-bit number above
Result<std::string> parse_key(const std::string &word); // 16 bytes of a GUID's text
Result<protocol::Filter> parse_filter(const FilterWords &words, const Names &names);
// The provider context that a filter of parse_filter needs and that is to be added before it: its
// target, if it redirects. A filter that does has a key.
Result<std::optional<protocol::ProviderContext>> parse_redirect(const FilterWords &words,
                                                                const protocol::Filter &filter);

} // namespace sluice::cli
