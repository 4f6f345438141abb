// SPDX-License-Identifier: Apache-2.0
// A YAML (or JSON) text as a tree with the place of every node. YAML 1.2 contains JSON, so there is
// one parser. What could grow without bound (depth, nodes, what aliases stand for) is limited.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policyfile/problem.h"

namespace sluice::policyfile {

struct Node {
    enum class Kind { null, scalar, list, map };
    Kind kind = Kind::null;
    bool quoted = false; // a scalar in quotation marks
    Place place;
    std::string text;        // of a scalar
    std::vector<Node> items; // of a list; of a map: key, value, key, value ...

    [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
    [[nodiscard]] bool is_list() const { return kind == Kind::list; }
    [[nodiscard]] bool is_map() const { return kind == Kind::map; }
    [[nodiscard]] std::size_t entries() const { return items.size() / 2; }
};

struct Limits {
    int depth = 16;
    std::size_t nodes = 4'000'000;     // of one file
    std::size_t alias_nodes = 100'000; // nodes that aliases stand for, in one file
};

// The one document of sources[source]. Problems: syntax, a limit, a key twice in one map, a key
// that is no plain word, a second document, a tag of its own. Nothing is returned when there is no
// tree to go on with.
std::optional<Node> parse_tree(const Sources &sources, int source, Problems &problems,
                               const Limits &limits = {});
// The same of UTF-8, by the parser for all of YAML.
std::optional<Node> parse_any(const Sources &sources, int source, Problems &problems,
                              const Limits &limits = {});

} // namespace sluice::policyfile
