// SPDX-License-Identifier: Apache-2.0
#include "boot/report.h"

#include <algorithm>
#include <cerrno>

namespace sluice::boot {

namespace {

// Texts come from the kernel and from file names too: they may not end a line.
std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
    return text;
}

std::string line(const std::string &first, const std::string &second, const std::string &third) {
    return first + "\t" + one_line(second) + (third.empty() ? "" : "\t" + one_line(third)) + "\n";
}

} // namespace

std::string report(const Outcome &outcome) {
    std::string text;
    for (const auto &nic : outcome.loaded)
        text += line("loaded", nic.name, nic.mode);
    for (const auto &loss : outcome.lost)
        text += line("lost", loss.nic, loss.why);
    for (const auto &note : outcome.notes)
        text += line("note", note, "");
    return text + line("filters", std::to_string(outcome.filters), "");
}

std::string report(const Error &error) {
    const bool permission = error.code == EPERM || error.code == EACCES;
    return line("error", permission ? "permission" : "refused", error.text());
}

} // namespace sluice::boot
