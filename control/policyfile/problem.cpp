// SPDX-License-Identifier: Apache-2.0
#include "policyfile/problem.h"

#include <algorithm>

namespace sluice::policyfile {

namespace {

std::string line_of(const std::string &text, int line) {
    std::size_t begin = 0;
    for (int at = 1; at < line; ++at) {
        begin = text.find('\n', begin);
        if (begin == std::string::npos) return {};
        ++begin;
    }
    return text.substr(begin, text.find('\n', begin) - begin);
}

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// What a terminal may be sent: tabs stay, so that the caret's line can repeat them.
std::string shown(const std::string &line) {
    std::string out;
    for (const char c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\r') continue;
        out += (byte < 0x20 && c != '\t') || byte == 0x7f ? '?' : c;
    }
    return out;
}

struct Caret {
    std::string indent;
    std::size_t column = 1; // in characters
};

Caret caret_of(const std::string &line, int byte_column) {
    Caret caret;
    const auto before = static_cast<std::size_t>(byte_column > 0 ? byte_column - 1 : 0);
    for (std::size_t i = 0; i < before && i < line.size(); ++i) {
        if (continues_character(line[i])) continue;
        caret.indent += line[i] == '\t' ? '\t' : ' ';
        ++caret.column;
    }
    return caret;
}

} // namespace

void Problems::add(Place place, std::string text) {
    // One value is read once for each layer of its filter.
    const bool said = std::any_of(all_.begin(), all_.end(), [&](const Problem &problem) {
        return problem.place == place && problem.text == text;
    });
    if (!full() && !said) all_.push_back({place, std::move(text)});
}

std::string render(const Problem &problem, const Sources &sources) {
    const auto number = static_cast<std::size_t>(problem.place.source);
    if (number >= sources.size()) return shown(problem.text) + "\n";
    const Source &source = sources[number];
    if (problem.place.line == 0) return shown(source.name + ": " + problem.text) + "\n";
    const std::string line = line_of(source.text, problem.place.line);
    const Caret caret = caret_of(line, problem.place.column);
    return shown(source.name) + ":" + std::to_string(problem.place.line) + ":" +
           std::to_string(caret.column) + ": " + shown(problem.text) + "\n  " + shown(line) +
           "\n  " + caret.indent + "^\n";
}

std::string render(const Problems &problems, const Sources &sources) {
    std::string text;
    for (const auto &problem : problems.all())
        text += render(problem, sources);
    if (problems.full())
        text += "only the first " + std::to_string(Problems::most) + " are shown\n";
    return text;
}

} // namespace sluice::policyfile
