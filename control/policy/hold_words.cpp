// SPDX-License-Identifier: Apache-2.0
#include "policy/hold_words.h"

#include <charconv>
#include <cstdint>

#include "shared/policy.h"

namespace sluice::policy {

namespace {

struct Unit {
    const char *word;
    std::uint64_t ms;
};
constexpr Unit units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

struct OutcomeWord {
    const char *word;
    Outcome outcome;
};
constexpr OutcomeWord outcomes[] = {
    {"block", Outcome::block}, {"permit", Outcome::permit}, {"next", Outcome::next_filter}};

} // namespace

Result<std::uint32_t> deadline_of(const std::string &word) {
    if (word == "none") return DP_HOLD_FOREVER;
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), count);
    const std::string unit(error == std::errc() ? end : word.data());
    for (const auto &known : units)
        if (unit == known.word && count != 0 && count < DP_HOLD_FOREVER / known.ms)
            return static_cast<std::uint32_t>(count * known.ms);
    return Error(0, "deadline '" + word +
                        "' is neither a time up to 49 days with a unit, as 500ms, 30s, 5m or 2h, "
                        "nor none");
}

std::string deadline_text(std::uint32_t deadline_ms) {
    if (deadline_ms == 0) return {};
    if (deadline_ms == DP_HOLD_FOREVER) return "none";
    for (const auto &unit : units)
        if (deadline_ms % unit.ms == 0) return std::to_string(deadline_ms / unit.ms) + unit.word;
    return {};
}

Result<Outcome> outcome_of(const std::string &word) {
    for (const auto &known : outcomes)
        if (word == known.word) return known.outcome;
    return Error(0, "outcome '" + word + "' is none of block, permit, next");
}

std::string outcome_text(Outcome outcome) {
    for (const auto &known : outcomes)
        if (outcome == known.outcome) return known.word;
    return {};
}

} // namespace sluice::policy
