// SPDX-License-Identifier: Apache-2.0
// A decision about a hold as a line of text: what `sluice hold watch` takes on standard input.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::cli {

// "permit ID", "block ID always", or {"id": ID, "action": "permit", "always": true}. Errors name
// what is wrong with the line.
Result<protocol::HoldDecide> parse_decision(const std::string &line);

// Cuts what is read into numbered lines.
class Lines {
public:
    struct Line {
        std::uint64_t number;
        std::string text;
    };
    static constexpr std::size_t longest = 4096; // of what is kept; the rest of the line is dropped

    std::vector<Line> take(const std::string &bytes);
    std::vector<Line> end(); // what came behind the last line's end

private:
    std::string text_;
    std::uint64_t number_ = 1;
};

} // namespace sluice::cli
