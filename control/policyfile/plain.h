// SPDX-License-Identifier: Apache-2.0
// A reader for the part of YAML that policy files consist of, some thirty times faster than the
// whole parser: a file of 100,000 filters is 20 MB. Block maps and lists, scalars on one line, flow
// collections on one line, comments.
#pragma once

#include <optional>
#include <string_view>

#include "policyfile/tree.h"

namespace sluice::policyfile {

// The tree that the whole parser makes of the text. Nullopt: the text has something else in it, or
// something wrong; the whole parser then reads it, or says what it is. The text is known to be
// UTF-8.
std::optional<Node> parse_plain(std::string_view text, int source, const Limits &limits);

} // namespace sluice::policyfile
