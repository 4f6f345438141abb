// SPDX-License-Identifier: Apache-2.0
#include "policy/built_in.h"

#include <algorithm>
#include <array>

#include <sluice/fwp.h>

#include "policy/wfp.h"
#include "shared/policy.h"

namespace sluice::policy {

namespace {

constexpr std::uint32_t count = 6;

std::array<BuiltInCallout, count> make() {
    struct Row {
        const char *table_name, *name;
        std::uint16_t layer;
    };
    constexpr std::array<Row, count> rows{
        {{"SLUICE_CALLOUT_ASK_CONNECT_V4", "ask_connect_v4", FWPS_LAYER_ALE_AUTH_CONNECT_V4},
         {"SLUICE_CALLOUT_ASK_CONNECT_V6", "ask_connect_v6", FWPS_LAYER_ALE_AUTH_CONNECT_V6},
         {"SLUICE_CALLOUT_ASK_ACCEPT_V4", "ask_accept_v4", FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4},
         {"SLUICE_CALLOUT_ASK_ACCEPT_V6", "ask_accept_v6", FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6},
         {"SLUICE_CALLOUT_ASK_LISTEN_V4", "ask_listen_v4", FWPS_LAYER_ALE_AUTH_LISTEN_V4},
         {"SLUICE_CALLOUT_ASK_LISTEN_V6", "ask_listen_v6", FWPS_LAYER_ALE_AUTH_LISTEN_V6}}};
    std::array<BuiltInCallout, count> out{};
    for (std::uint32_t i = 0; i < count; ++i)
        out[i] = {table_key(rows[i].table_name), rows[i].name, rows[i].layer,
                  DP_CALLOUTS_MAX - count + i};
    return out;
}

} // namespace

std::span<const BuiltInCallout> ask_callouts() {
    static const auto all = make();
    return all;
}

bool is_ask_callout(const Guid &key) {
    if (key.is_null()) return false; // most filters
    const auto all = ask_callouts();
    return std::any_of(all.begin(), all.end(), [&](const auto &one) { return one.key == key; });
}

std::optional<Guid> ask_callout_at(std::uint16_t layer) {
    for (const auto &one : ask_callouts())
        if (one.layer == layer) return one.key;
    return std::nullopt;
}

} // namespace sluice::policy
