// SPDX-License-Identifier: Apache-2.0
// UTF-16 of the API to UTF-8 and back. What is malformed becomes U+FFFD.
#pragma once

#include <string>
#include <string_view>

#include "sluice/fwp.h"

namespace sluice::runtime {

std::string to_utf8(const WCHAR *text); // ends in zero; null gives ""
std::string to_utf8(const WCHAR *text, std::size_t units);
std::u16string to_utf16(std::string_view text);

} // namespace sluice::runtime
