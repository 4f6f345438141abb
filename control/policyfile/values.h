// SPDX-License-Identifier: Apache-2.0
// Values of conditions as words and back. Errors name the word and what was expected.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "core/result.h"
#include "policyfile/fields.h"
#include "policyfile/layers.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

// nullopt: the word is good, but of the other family (an IPv6 address at a v4 layer).
using ParsedValue = Result<std::optional<protocol::Value>>;

// A word as the field's values are written: one value, ADDRESS/LENGTH, or A-B where the field has
// an order. At a layer without family addresses of both are taken.
ParsedValue parse_value(const Field &field, Family family, const std::string &word);
// Flags: names or numbers, joined.
Result<std::uint64_t> parse_flag(const Field &field, const std::string &word);

// The words that say a value's type outright: uint8, uint16, uint32, uint64, ipv6, mac, blob,
// app_id, text, sid, security_descriptor, ipv4_mask, ipv6_prefix.
bool is_type_word(const std::string &word);
Result<protocol::Value> parse_typed(const std::string &type, const std::string &word);
std::pair<std::string, std::string> print_typed(const protocol::Value &value); // type word, text

// As parse_value reads it; nullopt: only the typed form says it.
std::optional<std::string> print_value(const Field &field, Family family,
                                       const protocol::Value &value);

protocol::Value range_value(const protocol::Value &low, const protocol::Value &high);
bool same_value(const protocol::Value &a, const protocol::Value &b);
// Inclusive complement of an interval list has the same width; 0: the type has no order in numbers.
unsigned width_of(const protocol::Value &value); // bits: 8, 16, 32, 64, 128

} // namespace sluice::policyfile
