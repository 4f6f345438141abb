// SPDX-License-Identifier: Apache-2.0
// Layers by their words: FWPS_LAYER_ALE_AUTH_CONNECT_V4 is ale_auth_connect_v4, and
// ale_auth_connect means both families.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::policyfile {

enum class Family { none, v4, v6 };

std::string layer_name(std::uint16_t layer); // empty: no such layer
// In any case, FWPS_LAYER_ or FWPM_LAYER_ may stand before it.
std::optional<std::uint16_t> layer_number(const std::string &word);
// One layer, or both of a word without family; none: no such layer.
std::vector<std::uint16_t> layers_of(const std::string &word);
Family layer_family(std::uint16_t layer);
std::vector<std::pair<std::uint16_t, std::string>> all_layers();

} // namespace sluice::policyfile
