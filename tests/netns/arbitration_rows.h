// SPDX-License-Identifier: Apache-2.0
// The rows of test_arbitration.py, as the program that adds them to the engine and the oracle's
// read them: one line each, FAMILY PROTOCOL PORT PLACE PLACE PLACE. A place is a sublayer, the
// first one has the highest weight; it holds words with commas between, the first one weighs most:
//   permit  permit!  block     a plain filter; ! clears the right to change the action
//   A=permit  A=block!  ...    a terminating callout of judge_a that answers so (B: judge_b)
//   A?continue  A~block        the same as callout of type unknown, as inspection
//   N=permit  N=block          a callout that nobody registers, with and without PERMIT_IF_...
//   -                          nothing
#pragma once

#include <cctype>
#include <cstdint>
#include <cstring>
#include <istream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <sluice/fwp.h>

#include "judge.h"

namespace arbitration {

constexpr const char *sublayer_names[3] = {"arbitration 1", "arbitration 2", "arbitration 3"};
constexpr UINT16 sublayer_weights[3] = {0x9000, 0x6000, 0x3000};

struct Wanted {
    std::string callout; // name; empty: a plain filter
    FWP_ACTION_TYPE action = FWP_ACTION_PERMIT;
    UINT32 flags = 0;
    UINT64 context = 0;
    int place = 0;
    UINT64 weight = 0;
};

struct Combination {
    int family = 4;
    UINT8 protocol = 0;
    UINT16 port = 0;
    std::vector<Wanted> filters;
};

[[noreturn]] inline void wrong(const std::string &what) {
    throw std::invalid_argument(what);
}

inline UINT64 answer_of(const std::string &word) {
    const std::map<std::string, UINT64> known = {{"permit", judge_permits},
                                                 {"block", judge_blocks},
                                                 {"continue", judge_continues},
                                                 {"pend", judge_pends}};
    const auto found = known.find(word);
    if (found == known.end()) wrong("no answer '" + word + "'");
    return found->second;
}

inline Wanted parse_word(std::string word, const Combination &of, int place) {
    Wanted w;
    w.place = place;
    const bool hard = word.back() == '!';
    if (hard) word.pop_back();
    if (word.size() < 3 || std::strchr("=?~", word[1]) == nullptr) {
        w.action = word == "permit" ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK;
        if (w.action == FWP_ACTION_BLOCK && word != "block") wrong("no action '" + word + "'");
        w.flags = hard ? FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0;
        return w;
    }
    const char host = static_cast<char>(std::tolower(word[0]));
    w.callout = std::string("judge_") + host + (of.family == 4 ? "_v4" : "_v6");
    w.action = word[1] == '='   ? FWP_ACTION_CALLOUT_TERMINATING
               : word[1] == '?' ? FWP_ACTION_CALLOUT_UNKNOWN
                                : FWP_ACTION_CALLOUT_INSPECTION;
    const UINT64 answer = answer_of(word.substr(2));
    w.context = answer | (hard ? judge_hard : 0) | UINT64(place + 1) << judge_place_shift;
    if (host == 'n' && answer == judge_permits)
        w.flags = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    return w;
}

inline Combination parse_line(const std::string &line) {
    std::istringstream in(line);
    Combination c;
    int protocol = 0;
    in >> c.family >> protocol >> c.port;
    c.protocol = static_cast<UINT8>(protocol);
    for (int place = 0; place < 3; ++place) {
        std::string words, word;
        if (!(in >> words)) wrong("'" + line + "' lacks a place");
        if (words == "-") continue;
        std::istringstream list(words);
        for (UINT64 weight = 100; std::getline(list, word, ','); --weight) {
            c.filters.push_back(parse_word(word, c, place));
            c.filters.back().weight = weight;
        }
    }
    return c;
}

inline std::vector<Combination> read(std::istream &in) {
    std::vector<Combination> all;
    for (std::string line; std::getline(in, line);)
        all.push_back(parse_line(line));
    return all;
}

} // namespace arbitration
