// SPDX-License-Identifier: Apache-2.0
// OBJECT and ACTION as `ip` takes them: unambiguous beginnings, `ls` and `rm`, and `list` when no
// action is given.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/result.h"

namespace sluice::cli {

using Vocabulary =
    std::map<std::string, std::vector<std::string>>; // object -> actions; none: the object alone

// Words that name something are replaced by their full form; options and what follows stay.
Result<std::vector<std::string>> expand(std::vector<std::string> words,
                                        const Vocabulary &vocabulary);

} // namespace sluice::cli
