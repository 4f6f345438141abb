// SPDX-License-Identifier: Apache-2.0
// Policy file -> protocol objects. The format is docs/policy-file.md. Everything that is wrong is
// reported at once, each with its place; with problems the objects are not to be used.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "policyfile/problem.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

// Where the parts of a filter stand; conditions in the order of the filter's.
struct FilterPlaces {
    Place self, layer, sublayer, weight, action, provider_context;
    std::vector<Place> conditions;
};

// Parallel to protocol::Objects.
struct Places {
    std::vector<Place> providers, provider_contexts, sublayers, callouts;
    std::vector<FilterPlaces> filters;
};

struct PolicyFile {
    Sources sources;
    Problems problems;
    protocol::Objects objects;
    Places places;
    // Declared as `external: true`: they exist already, the file only names them.
    protocol::Objects external;
    Places external_places;

    [[nodiscard]] bool good() const { return problems.empty(); }
    [[nodiscard]] std::string errors() const { return render(problems, sources); }
};

inline constexpr std::size_t most_bytes = 64u << 20; // of all files together
inline constexpr int most_include_depth = 8;

// The file with what it includes and the directory beside it (policy.yaml: policy.d/, its *.yaml,
// *.yml and *.json by name). "-": standard input, which includes nothing. known: objects of the
// engine that the file may name. YAML and JSON are told apart by what they hold, not by name.
PolicyFile read_file(const std::string &path, const protocol::Objects &known = {});
// A text of which `name` is shown in errors; it includes nothing.
PolicyFile read_text(const std::string &name, std::string text,
                     const protocol::Objects &known = {});

// The key of an object that gives none: always the same for kind, name and layer.
std::string derived_key(const std::string &kind, const std::string &name,
                        const std::string &layer = {});

// Filters without `weight` stand in the order of the file: the first of a layer's sublayer has this
// weight, each further one a weight less. It is the band of {range: 8}.
inline constexpr std::uint64_t first_ordered_weight = 0x8fffffffffffffff;

// One condition: a word and its alternatives as scalars. As add_conditions otherwise.
Result<void> add_condition(const std::string &word, const std::vector<std::string> &values,
                           std::uint16_t layer, protocol::Filter &filter);

// Reads a condition as `sluice filter add --condition` takes it: "remote_port: [80, 443]". Appends
// to filter.conditions; a text of what is wrong otherwise, and the filter as it was.
Result<void> add_conditions(const std::string &text, std::uint16_t layer, protocol::Filter &filter);

} // namespace sluice::policyfile
