// SPDX-License-Identifier: Apache-2.0
// What the plain and the typed form of values have in common: messages of values, addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

template <typename... Parts>
Error wrong_value(const Parts &...parts) {
    return Error(0, (std::string() + ... + parts));
}

protocol::Value number_value(std::uint32_t type, std::uint64_t number);
protocol::Value data_value(std::uint32_t type, std::string data);
std::optional<protocol::Value> data_if(std::uint32_t type, std::optional<std::string> data);
std::uint64_t largest(std::uint32_t type); // of an integer type

bool is_v6(const protocol::Value &value); // an address, a prefix or a range of one family
// ADDRESS/LENGTH or ADDRESS/MASK; slash: where it stands.
Result<protocol::Value> parse_prefix(const std::string &word, std::size_t slash);
Result<protocol::Value> any_address(const std::string &word); // of both families; also A-B
std::optional<std::string> print_address(const protocol::Value &value);

} // namespace sluice::policyfile
