// SPDX-License-Identifier: Apache-2.0
// Values and the parts that all objects share, from messages to the structures of the API.
#pragma once

#include "core/guid.h"
#include "protocol/sluice.pb.h"
#include "runtime/arena.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

FWP_VALUE0 to_value(Arena &arena, const protocol::Value &from);
FWP_CONDITION_VALUE0 to_condition_value(Arena &arena, const protocol::Value &from);
FWP_VALUE0 to_value(Arena &arena, std::uint64_t number); // FWP_UINT64

FWP_BYTE_BLOB to_blob(Arena &arena, std::string_view bytes);
GUID to_guid(std::string_view bytes);                         // zero if it is none
GUID *to_optional_guid(Arena &arena, std::string_view bytes); // null if empty

// The object with its key, texts, provider and data; the four versions have one layout.
void fill(Arena &arena, const protocol::ProviderContext &from, FWPM_PROVIDER_CONTEXT3 &to);

template <typename Message>
FWPM_DISPLAY_DATA0 to_display(Arena &arena, const Message &from) {
    const auto text = [&](const std::string &utf8) {
        return utf8.empty() ? nullptr : reinterpret_cast<LPWSTR>(arena.text(utf8));
    };
    return {text(from.name()), text(from.description())};
}

} // namespace sluice::runtime
