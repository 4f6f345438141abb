// SPDX-License-Identifier: Apache-2.0
// The report of `sluiced --boot`, line by line, words parted by tabs (control/boot/report.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/json.h"

namespace sluice::cli {

struct BootReport {
    unsigned filters = 0;
    std::vector<std::pair<std::string, std::string>> loaded; // interface, mode
    std::vector<std::pair<std::string, std::string>> lost;   // interface, why
    std::vector<std::string> notes;
    std::string error; // empty: done
    int exit_code = 0;
};

// A report that ends without its last line is an error: the program died.
BootReport read_boot_report(const std::string &text);
std::string summary(const BootReport &report);
std::string losses(const BootReport &report);
Json to_json(const BootReport &report);

} // namespace sluice::cli
