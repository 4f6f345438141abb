// SPDX-License-Identifier: Apache-2.0
#include "cli/names.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <pwd.h>
#include <string_view>

#include "sluice/detail/fwp_tables.hpp"

namespace sluice::cli {

namespace {

constexpr std::string_view prefix = "fwps_layer_";

std::string short_name(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

} // namespace

std::string layer_name(std::uint16_t layer) {
    for (const auto &row : tables::layers)
        if (row.id == layer) return short_name(row.name);
    return {};
}

std::optional<std::uint16_t> layer_number(const std::string &name) {
    const std::string wanted = short_name(name);
    for (const auto &row : tables::layers)
        if (short_name(row.name) == wanted) return row.id;
    return std::nullopt;
}

std::vector<std::pair<std::uint16_t, std::string>> all_layers() {
    std::vector<std::pair<std::uint16_t, std::string>> all;
    for (const auto &row : tables::layers)
        all.emplace_back(row.id, short_name(row.name));
    return all;
}

Guid condition_key(const char *name) {
    Guid key;
    for (const auto &row : tables::conditions)
        if (std::strcmp(row.name, name) == 0)
            std::memcpy(static_cast<void *>(&key), &row.key, sizeof key);
    return key;
}

std::string action_name(std::uint32_t action) {
    switch (action) {
    case FWP_ACTION_PERMIT:
        return "permit";
    case FWP_ACTION_BLOCK:
        return "block";
    case FWP_ACTION_CONTINUE:
        return "continue";
    case FWP_ACTION_CALLOUT_TERMINATING:
        return "callout_terminating";
    case FWP_ACTION_CALLOUT_INSPECTION:
        return "callout_inspection";
    case FWP_ACTION_CALLOUT_UNKNOWN:
        return "callout_unknown";
    default:
        return std::to_string(action);
    }
}

std::string user_name(std::uint32_t uid) {
    const ::passwd *user = ::getpwuid(uid);
    return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string guid_text(const std::string &bytes) {
    const auto key = Guid::from_bytes(bytes);
    return key ? key->text() : "";
}

} // namespace sluice::cli
