// SPDX-License-Identifier: Apache-2.0
// The conditions of a filter as a policy file writes them, both ways. A value is
//   VALUE                     equal, within a prefix or a range
//   [VALUE, VALUE]            alternatives
//   {COMPARISON: VALUE}       not, greater, less, greater_or_equal, less_or_equal, range,
//   flags_all,
//                             flags_any, flags_none, equal_no_case, ends_with, not_ends_with,
//                             equal, not_equal, empty
//   {TYPE: VALUE}             a value of a type that is not the field's usual one
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "policyfile/tree.h"
#include "policyfile/values.h"

namespace sluice::policyfile {

using Json = nlohmann::ordered_json;

struct PlacedCondition {
    protocol::Condition condition;
    Place place;
};

// The conditions of one layer. skipped: values of the other family, which say nothing there.
struct LayerConditions {
    std::vector<PlacedCondition> all;
    std::vector<Place> skipped;
    bool impossible =
        false; // a condition all of whose values were skipped: no traffic of the layer
};

// `node`: a map of conditions, or a list of maps of one. Everything wrong goes to `problems`.
LayerConditions read_conditions(const Node &node, std::uint16_t layer, Problems &problems);

// What read_conditions makes the same conditions of. Null: there are none.
Json print_conditions(const protocol::Filter &filter, std::uint16_t layer);
// One condition for people: "remote_port = 443", "app ends with curl".
std::string condition_text(const protocol::Condition &condition, std::uint16_t layer);

} // namespace sluice::policyfile
