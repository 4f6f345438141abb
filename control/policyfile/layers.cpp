// SPDX-License-Identifier: Apache-2.0
#include "policyfile/layers.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <unordered_map>

#include "sluice/detail/fwp_tables.hpp"

namespace sluice::policyfile {

namespace {

std::string plain(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : std::tolower(c); });
    for (const std::string_view prefix : {"fwps_layer_", "fwpm_layer_"})
        if (name.starts_with(prefix)) return name.substr(prefix.size());
    return name;
}

const std::unordered_map<std::string, std::uint16_t> &numbers() {
    static const auto all = [] {
        std::unordered_map<std::string, std::uint16_t> made;
        for (const auto &row : tables::layers)
            made.emplace(plain(row.name), row.id);
        return made;
    }();
    return all;
}

} // namespace

std::string layer_name(std::uint16_t layer) {
    static const auto names = [] {
        std::unordered_map<std::uint16_t, std::string> made;
        for (const auto &row : tables::layers)
            made.emplace(row.id, plain(row.name));
        return made;
    }();
    const auto found = names.find(layer);
    return found == names.end() ? std::string() : found->second;
}

std::optional<std::uint16_t> layer_number(const std::string &word) {
    const auto found = numbers().find(plain(word));
    if (found == numbers().end()) return std::nullopt;
    return found->second;
}

std::vector<std::uint16_t> layers_of(const std::string &word) {
    if (const auto one = layer_number(word)) return {*one};
    std::vector<std::uint16_t> both;
    for (const char *family : {"_v4", "_v6"})
        if (const auto layer = layer_number(word + family)) both.push_back(*layer);
    return both;
}

Family layer_family(std::uint16_t layer) {
    const std::string name = layer_name(layer);
    if (name.find("_v4") != std::string::npos) return Family::v4;
    return name.find("_v6") != std::string::npos ? Family::v6 : Family::none;
}

std::vector<std::pair<std::uint16_t, std::string>> all_layers() {
    std::vector<std::pair<std::uint16_t, std::string>> all;
    for (const auto &row : tables::layers)
        all.emplace_back(row.id, plain(row.name));
    return all;
}

} // namespace sluice::policyfile
