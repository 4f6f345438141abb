// SPDX-License-Identifier: Apache-2.0
// What `--json` prints. Scripts rely on the keys: they are added to, never renamed. "schema" counts
// incompatible changes.
#pragma once

#include <nlohmann/json.hpp>

#include "protocol/sluice.pb.h"

namespace sluice::cli {

using Json = nlohmann::ordered_json;

inline constexpr int schema = 1;
Json document(const char *list, Json entries); // {"schema": 1, "<list>": [...]}

Json to_json(const protocol::Nic &nic);
Json to_json(const protocol::Plugin &plugin);
Json to_json(const protocol::Host &host);
Json to_json(const protocol::CalloutInfo &callout);
Json to_json(const protocol::Filter &filter);
Json to_json(const protocol::SubLayer &sublayer);
Json to_json(const protocol::Provider &provider);
Json to_json(const protocol::Callout &callout); // the object; CalloutInfo is who answers for it
Json to_json(const protocol::PolicyDifference &difference); // a document
Json to_json(const protocol::Hold &hold);
Json to_json(const protocol::Redirect &redirect);
Json to_json(const protocol::Counter &counter);
Json to_json(const protocol::StatusInfo &status);
std::string
print(const Json &json); // text that is not UTF-8 (a path, say) is replaced, never an exception

} // namespace sluice::cli
