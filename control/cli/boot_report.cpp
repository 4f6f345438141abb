// SPDX-License-Identifier: Apache-2.0
#include "cli/boot.h"

#include <cstdlib>
#include <sstream>

#include "cli/daemon_client.h"

namespace sluice::cli {

namespace {

std::vector<std::string> split(const std::string &line) {
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; std::getline(in, word, '\t');)
        words.push_back(word);
    words.resize(3);
    return words;
}

Json named(const char *second, const std::vector<std::pair<std::string, std::string>> &pairs) {
    Json all = Json::array();
    for (const auto &[name, value] : pairs)
        all.push_back({{"name", name}, {second, value}});
    return all;
}

} // namespace

BootReport read_boot_report(const std::string &text) {
    BootReport report;
    bool complete = false;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        const auto words = split(line);
        if (words[0] == "loaded") report.loaded.emplace_back(words[1], words[2]);
        if (words[0] == "lost") report.lost.emplace_back(words[1], words[2]);
        if (words[0] == "note") report.notes.push_back(words[1]);
        if (words[0] == "error") {
            report.error = words[2];
            report.exit_code = words[1] == "permission" ? exit_permission : exit_refused;
        }
        complete = words[0] == "error" || words[0] == "filters";
        if (words[0] == "filters")
            report.filters = static_cast<unsigned>(std::strtoul(words[1].c_str(), nullptr, 10));
    }
    if (!complete) {
        report.error = "sluiced --boot ended without a word of what it did";
        report.exit_code = exit_refused;
    }
    return report;
}

std::string summary(const BootReport &report) {
    if (report.filters == 0) return "there are no boot-time filters";
    std::string text = std::to_string(report.filters) + " boot-time filter";
    text += report.filters == 1 ? " holds on" : "s hold on";
    const char *between = " ";
    for (const auto &[name, mode] : report.loaded) {
        text += between + name + " (" + mode + ")";
        between = ", ";
    }
    return text;
}

std::string losses(const BootReport &report) {
    std::string text;
    for (const auto &[name, why] : report.lost)
        text +=
            (text.empty() ? "" : "; ") + ("boot-time filters do not hold on " + name) + ": " + why;
    return text;
}

Json to_json(const BootReport &report) {
    return {{"schema", schema},
            {"boot",
             {{"filters", report.filters},
              {"nics", named("mode", report.loaded)},
              {"lost", named("why", report.lost)}}}};
}

} // namespace sluice::cli
