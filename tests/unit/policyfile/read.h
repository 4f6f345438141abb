// SPDX-License-Identifier: Apache-2.0
// Short ways to read a policy file in tests.
#pragma once

#include <gtest/gtest.h>

#include "policyfile/check.h"
#include "policyfile/reader.h"
#include "sluice/fwp.h"

namespace sluice::policyfile {

inline PolicyFile read(const std::string &text) {
    return read_text("p.yaml", text);
}

// A file of one filter with these lines in it.
inline PolicyFile read_filter(const std::string &lines) {
    return read("version: 1\nfilters:\n  - name: f\n" + lines);
}

// A filter at ale_auth_connect_v4 (or `layer`) that blocks, with one condition.
inline PolicyFile read_condition(const std::string &condition,
                                 const std::string &layer = "ale_auth_connect_v4") {
    return read_filter("    layer: " + layer + "\n    action: block\n    conditions:\n      " +
                       condition + "\n");
}

// The places and the texts of all problems, as "LINE:COLUMN text".
inline std::vector<std::string> said(const PolicyFile &file) {
    std::vector<std::string> all;
    for (const auto &problem : file.problems.all())
        all.push_back(std::to_string(problem.place.line) + ":" +
                      std::to_string(problem.place.column) + " " + problem.text);
    return all;
}

} // namespace sluice::policyfile
