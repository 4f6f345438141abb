// SPDX-License-Identifier: Apache-2.0
// Policies at random over the cells of the table: a layer, a field, and a way to compare it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/policy_builder.h"
#include "harness/world.h"

namespace sluice::harness {

// A way to compare: a match type, or one that the type of value makes a different matter.
struct Form {
    enum class Kind { plain, empty, network, blob, sid_user, sid_group, id };
    std::uint32_t match = 0; // FWP_MATCH_*
    Kind kind = Kind::plain;
    auto operator<=>(const Form &) const = default;
};
struct Cell {
    std::uint16_t layer = 0;
    Guid field;
    Form form;
    auto operator<=>(const Cell &) const = default;
};
std::vector<Cell> cells_at(std::uint16_t layer);
std::string name_of(const Cell &cell);
// The cell that a condition belongs to.
Cell cell_of(std::uint16_t layer, const policy::Condition &condition);

struct Scene {
    policy::Policy policy;
    std::map<std::uint64_t, policy::CalloutAnswer> answers; // by filter; none: unregistered
    std::map<std::uint32_t, std::uint32_t>
        hosts; // of run-time ids of callouts; 0 and dead_host: nobody
    std::map<std::uint32_t, std::uint32_t> conditional; // slots of those that are on flows only

    // For arbitrate(): what the scene's callouts say about a flow with these contexts.
    [[nodiscard]] policy::AskCallout ask(std::uint64_t contexts = 0) const;
};
inline constexpr std::uint32_t hosts_alive[] = {1, 2};
inline constexpr std::uint32_t dead_host = 3;

// A policy of up to four sublayers and nothing in them.
Scene empty_scene(Dice &dice);

// Makes filters of one layer, each over the next of the layer's cells. `only`: conditions on these
// fields, all if empty.
class SceneMaker {
public:
    explicit SceneMaker(std::uint16_t layer, const std::set<Guid> &only = {});
    // Adds `filters` filters, the first over the cell at `first`; callouts of two living hosts, of
    // a dead one and of none where the layer hands packets over.
    void fill(Scene &scene, Dice &dice, std::size_t filters, std::uint64_t first) const;
    [[nodiscard]] std::size_t cells() const { return cells_.size(); }
    [[nodiscard]] std::uint16_t layer() const { return layer_; }

private:
    policy::Condition condition(const Cell &cell, Dice &dice) const;
    policy::Filter filter(const Cell &cell, Dice &dice) const;

    std::uint16_t layer_;
    std::vector<Cell> cells_;
};

} // namespace sluice::harness
