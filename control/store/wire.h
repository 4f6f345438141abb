// SPDX-License-Identifier: Apache-2.0
// Policy objects as messages and back: the one place that knows both shapes. The control channel
// and the state file carry the same messages.
#pragma once

#include <functional>

#include "core/result.h"
#include "policy/policy.h"
#include "protocol/sluice.pb.h"

namespace sluice::store {

// Each from_message checks what the message's shape allows to be wrong (sizes, types, unknown
// layer); whether the object makes sense in the policy is for policy/edit.h. Owners and
// lifetimes are not part of these messages.
Result<policy::Provider> from_message(const protocol::Provider &message);
Result<policy::ProviderContext> from_message(const protocol::ProviderContext &message);
Result<policy::SubLayer> from_message(const protocol::SubLayer &message);
Result<policy::Callout> from_message(const protocol::Callout &message);
Result<policy::Filter> from_message(const protocol::Filter &message);
Result<policy::HoldOptions> from_message(const protocol::HoldOptions &message);
Result<policy::Condition> from_message(const protocol::Condition &message);
Result<policy::Value> from_message(const protocol::Value &message);

protocol::Provider to_message(const policy::Provider &object);
protocol::ProviderContext to_message(const policy::ProviderContext &object);
protocol::SubLayer to_message(const policy::SubLayer &object);
protocol::Callout to_message(const policy::Callout &object);
protocol::Filter to_message(const policy::Filter &object);
protocol::HoldOptions to_message(const policy::HoldOptions &object);
// The same in a message that was used before: what it has room for is not allocated again.
void write_message(const policy::Filter &object, protocol::Filter &message);
void write_message(const policy::Value &value, protocol::Value &cleared);
// Filters as what a serialized protocol::Objects goes on with.
void append_objects(const policy::Filters &filters,
                    const std::function<bool(const policy::Filter &)> &chosen,
                    std::string &objects);
protocol::Value to_message(const policy::Value &value);

// Names of layers: FWPS_LAYER_ALE_AUTH_CONNECT_V4 is "ale_auth_connect_v4". Empty: no such layer.
std::string layer_name(std::uint16_t layer);
std::optional<std::uint16_t> layer_of_key(const Guid &key);

} // namespace sluice::store
