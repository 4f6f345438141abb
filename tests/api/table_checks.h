// SPDX-License-Identifier: Apache-2.0
// What table_checks.py writes and tables_test.cpp reads.
#pragma once

#include <string>
#include <vector>

#include <sluice/fwp.h>

struct GuidRow {
    std::string name;
    std::string text;
    const GUID *exported;
};

extern const std::vector<GuidRow> guid_rows;
