// SPDX-License-Identifier: Apache-2.0
// Words of the command line as values of a filter. Errors name the value and what was expected.
#pragma once

#include <string>
#include <vector>

#include "core/guid.h"
#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::cli {

struct FilterWords {
    std::string layer, action, callout, callout_type = "terminating", sublayer, weight = "auto",
                                        name, lifetime = "static";
    std::vector<std::string> remote, local, remote_port, local_port, protocol;
    bool permit_if_unregistered = false, clear_action_right = false;
};

// What names on the command line stand for; asked of sluiced beforehand.
struct Names {
    std::vector<protocol::CalloutInfo> callouts;
    std::vector<protocol::SubLayer> sublayers;
};

Result<std::uint16_t> parse_layer(
    const std::string &word); // "ale_auth_connect_v4", with or without FWPS_LAYER_, or a number
Result<protocol::Value> parse_address(const std::string &word,
                                      bool v6);              // ADDR, ADDR/LENGTH, ADDR-ADDR
Result<protocol::Value> parse_port(const std::string &word); // N, N-M
Result<std::uint8_t> parse_protocol(const std::string &word);
Result<protocol::Value>
parse_weight(const std::string &word); // auto, 0-15, or a 64-bit number above
Result<protocol::Filter> parse_filter(const FilterWords &words, const Names &names);

} // namespace sluice::cli
