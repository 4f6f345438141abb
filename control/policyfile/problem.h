// SPDX-License-Identifier: Apache-2.0
// What is wrong in a policy file, and where: file, line, column, the line itself and a caret.
#pragma once

#include <string>
#include <vector>

namespace sluice::policyfile {

// One text that was read. Places point into it by its number in Sources.
struct Source {
    std::string name; // path, or "standard input"
    std::string text;
};
using Sources = std::vector<Source>;

struct Place {
    int source = 0;
    int line = 0;   // from 1; 0: the file as a whole
    int column = 0; // from 1, in bytes as the parser counts
    bool operator==(const Place &) const = default;
};

struct Problem {
    Place place;
    std::string text;
};

// Collects; past `most` nothing is added, so that a file of nonsense ends.
class Problems {
public:
    static constexpr std::size_t most = 50;
    void add(Place place, std::string text);
    [[nodiscard]] bool empty() const { return all_.empty(); }
    [[nodiscard]] bool full() const { return all_.size() >= most; }
    [[nodiscard]] const std::vector<Problem> &all() const { return all_; }

private:
    std::vector<Problem> all_;
};

// "FILE:LINE:COLUMN: text", then the line and a caret under the place. Columns are counted in
// characters. Control characters are replaced.
std::string render(const Problem &problem, const Sources &sources);
std::string render(const Problems &problems, const Sources &sources);

} // namespace sluice::policyfile
