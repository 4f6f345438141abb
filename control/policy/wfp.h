// SPDX-License-Identifier: Apache-2.0
// What the generated tables say about layers and condition fields, in this library's terms.
#pragma once

#include <cstdint>
#include <string>

#include <sluice/fwp.h>

#include "core/guid.h"
#include "core/result.h"

namespace sluice::policy {

// The key that the tables give a condition field, sublayer or other object; the name must exist.
Guid table_key(const char *name);
// Name of a condition field, or its GUID as text if no table has it.
std::string field_name(const Guid &field);

bool layer_known(std::uint16_t layer);
std::string layer_name(std::uint16_t layer);
bool layer_has_field(std::uint16_t layer, const Guid &field); // as WFP defines it
// Layers that the data path classifies in this release.
bool layer_supported(std::uint16_t layer);
// Layers at which callouts are asked or told in this release.
bool layer_asks(std::uint16_t layer);
// Layers that say what has happened: callouts are told, nobody decides.
bool layer_only_tells(std::uint16_t layer);
bool layer_is_v6(std::uint16_t layer);       // of a supported layer
std::uint16_t layer_v4(std::uint16_t layer); // the layer itself unless it is the V6 of a pair

// The API's statuses are signed, an Error's is not.
inline Error refuse(NTSTATUS status, std::string what, std::string name = {}) {
    return Error::status(static_cast<std::uint32_t>(status), std::move(what), std::move(name));
}

} // namespace sluice::policy
