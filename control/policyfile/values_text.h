// SPDX-License-Identifier: Apache-2.0
// Small texts of values: numbers with units, durations, addresses, bytes, SIDs, executables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

std::optional<std::uint64_t> number_of(const std::string &word);     // decimal, or 0x hexadecimal
std::optional<std::uint64_t> size_in_bytes(const std::string &word); // 1500, 64KiB, 1MB
std::optional<std::uint64_t>
milliseconds_of(const std::string &word); // 250ms, 5s, 2m, 1h; bare: seconds
std::string hex_text(const std::string &bytes);
std::optional<std::string> bytes_of_hex(const std::string &hex); // whole bytes, 0x may stand before
std::string mac_text(const std::string &bytes);
std::optional<std::string> bytes_of_mac(const std::string &word);
std::string ipv4_text(std::uint32_t address);
std::optional<std::uint32_t> ipv4_of(const std::string &word);
std::string ipv6_text(const std::string &bytes); // of 16 bytes
std::optional<std::string> ipv6_of(const std::string &word);
// The blob that FwpmGetAppIdFromFileName0 gives for a path: UTF-16LE with its terminating zero.
std::optional<std::string> app_id_of(const std::string &path);
std::optional<std::string> path_of_app_id(const std::string &blob);
std::string sid_text(const std::string &bytes); // S-1-22-1-1000; empty: no SID
std::optional<std::string> bytes_of_sid(const std::string &text);
std::optional<std::uint32_t> user_id(const std::string &name); // name or number
std::optional<std::uint32_t> group_id(const std::string &name);
std::string user_text(std::uint32_t uid); // name where the system has one
std::string group_text(std::uint32_t gid);

} // namespace sluice::policyfile
