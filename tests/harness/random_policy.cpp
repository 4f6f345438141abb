// SPDX-License-Identifier: Apache-2.0
#include "harness/random_policy.h"

#include <sluice/fwp.h>

#include <algorithm>

#include "harness/random_value.h"

namespace sluice::harness {

using policy::Aspect;
using policy::Condition;
using policy::Field;
using policy::Filter;
using policy::Scalar;

namespace {

bool is_negative(std::uint32_t match) {
    return match == FWP_MATCH_NOT_EQUAL || match == FWP_MATCH_FLAGS_NONE_SET ||
           match == FWP_MATCH_NOT_PREFIX;
}

std::vector<Form> forms_of(const Field &field, bool v6) {
    std::vector<Form> out{{FWP_MATCH_EQUAL, Form::Kind::empty}};
    for (std::uint32_t match = 0; match < FWP_MATCH_TYPE_MAX; ++match) {
        if (!policy::match_exists(field, match, v6)) continue;
        out.push_back({match, Form::Kind::plain});
        const bool equality = match == FWP_MATCH_EQUAL || match == FWP_MATCH_NOT_EQUAL;
        if (field.aspect == Aspect::executable && match != FWP_MATCH_EQUAL_CASE_INSENSITIVE)
            out.push_back({match, Form::Kind::blob});
        if (field.aspect == Aspect::user && equality) {
            out.push_back({match, Form::Kind::sid_user});
            out.push_back({match, Form::Kind::sid_group});
        }
        if (field.aspect == Aspect::cgroup) out.push_back({match, Form::Kind::id});
    }
    if (field.aspect == Aspect::address) out.push_back({FWP_MATCH_EQUAL, Form::Kind::network});
    return out;
}

policy::CalloutAnswer random_answer(Dice &dice) {
    static const std::vector<std::uint32_t> actions{FWP_ACTION_PERMIT, FWP_ACTION_PERMIT,
                                                    FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE,
                                                    FWP_ACTION_NONE};
    return {dice.of(actions), dice.one_in(2)};
}

void act(Filter &f, const std::vector<Guid> &callouts, Dice &dice) {
    static const std::vector<std::uint32_t> plain{FWP_ACTION_PERMIT, FWP_ACTION_PERMIT,
                                                  FWP_ACTION_BLOCK};
    static const std::vector<std::uint32_t> asking{
        FWP_ACTION_CALLOUT_TERMINATING, FWP_ACTION_CALLOUT_UNKNOWN, FWP_ACTION_CALLOUT_INSPECTION};
    const bool asks = !callouts.empty() && dice.one_in(2);
    f.action = dice.of(asks ? asking : plain);
    if (dice.one_in(3)) f.flags |= FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    if (!asks) return;
    f.callout = dice.of(callouts);
    if (f.action != FWP_ACTION_CALLOUT_INSPECTION && dice.one_in(2))
        f.flags |= FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
}

const char *match_name(std::uint32_t match) {
    static const char *const names[] = {"EQUAL",      "GREATER",       "LESS",      "GREATER_EQUAL",
                                        "LESS_EQUAL", "RANGE",         "FLAGS_ALL", "FLAGS_ANY",
                                        "FLAGS_NONE", "EQUAL_NO_CASE", "NOT_EQUAL", "PREFIX",
                                        "NOT_PREFIX"};
    return names[match];
}

} // namespace

std::vector<Cell> cells_at(std::uint16_t layer) {
    std::vector<Cell> out;
    for (const Guid &key : policy::fields_at(layer)) {
        for (const Form &form : forms_of(*policy::field_at(layer, key), policy::layer_is_v6(layer)))
            out.push_back({layer, key, form});
    }
    return out;
}

std::string name_of(const Cell &cell) {
    static const char *const kinds[] = {"",          " none",      " network", " blob",
                                        " user sid", " group sid", " id"};
    return policy::layer_name(cell.layer) + " " + policy::field_name(cell.field) + " " +
           match_name(cell.form.match) + kinds[static_cast<int>(cell.form.kind)];
}

Cell cell_of(std::uint16_t layer, const Condition &condition) {
    Form form{condition.match, Form::Kind::plain};
    const auto *range = std::get_if<policy::Range>(&condition.value);
    const Scalar &value = range != nullptr ? range->low : std::get<Scalar>(condition.value);
    if (value.index() == 0) form.kind = Form::Kind::empty;
    if (std::holds_alternative<policy::V4Mask>(value) ||
        std::holds_alternative<policy::V6Prefix>(value))
        form.kind = Form::Kind::network;
    if (std::holds_alternative<policy::Blob>(value)) form.kind = Form::Kind::blob;
    if (const auto *sid = std::get_if<policy::Sid>(&value))
        form.kind = sid->bytes[8] == 1 ? Form::Kind::sid_user : Form::Kind::sid_group;
    static const Guid cgroup = policy::table_key("SLUICE_CONDITION_CGROUP");
    if (condition.field == cgroup && std::holds_alternative<std::uint64_t>(value))
        form.kind = Form::Kind::id;
    return {layer, condition.field, form};
}

policy::AskCallout Scene::ask(std::uint64_t contexts) const {
    return [this, contexts](const Filter &f, std::uint32_t, bool) -> policy::CalloutReply {
        const auto answer = answers.find(f.id);
        if (answer == answers.end()) return {};
        const auto slot = conditional.find(policy.callouts.at(f.callout).id);
        if (slot != conditional.end() && (contexts >> (slot->second - 1) & 1) == 0)
            return {policy::Asked::passed_over, {}};
        return {policy::Asked::answered, answer->second};
    };
}

SceneMaker::SceneMaker(std::uint16_t layer, const std::set<Guid> &only)
    : layer_(layer), cells_(cells_at(layer)) {
    if (!only.empty())
        std::erase_if(cells_, [&](const Cell &cell) { return !only.contains(cell.field); });
}

Condition SceneMaker::condition(const Cell &cell, Dice &dice) const {
    return {cell.field, cell.form.match, random_value(cell, dice)};
}

Filter SceneMaker::filter(const Cell &cell, Dice &dice) const {
    Filter f;
    f.name = "random";
    f.layer = layer_;
    f.conditions.push_back(condition(cell, dice));
    if (dice.one_in(3) && !is_negative(cell.form.match)) {
        for (int tries = 0; tries < 4 && f.conditions.size() < 3; ++tries) {
            const Cell &other = dice.of(cells_);
            if (other.field == cell.field && !is_negative(other.form.match))
                f.conditions.push_back(condition(other, dice));
        }
        f.conditions.push_back(condition(cell, dice));
    }
    if (dice.one_in(4)) f.conditions.push_back(condition(dice.of(cells_), dice));
    return f;
}

Scene empty_scene(Dice &dice) {
    Scene scene;
    scene.policy = policy::initial();
    for (auto i = dice.below(4); i > 0; --i)
        new_sublayer(scene.policy, static_cast<std::uint16_t>(0x7fff + dice.below(3)));
    return scene;
}

void SceneMaker::fill(Scene &scene, Dice &dice, std::size_t filters, std::uint64_t first) const {
    std::vector<Guid> sublayers;
    for (const auto &[key, sublayer] : scene.policy.sublayers)
        sublayers.push_back(key);
    std::vector<Guid> callouts;
    if (policy::layer_asks(layer_)) {
        for (const std::uint32_t host : {hosts_alive[0], hosts_alive[1], dead_host, 0u}) {
            callouts.push_back(new_callout(scene.policy, layer_));
            const std::uint32_t id = scene.policy.callouts.at(callouts.back()).id;
            scene.hosts[id] = host;
            if (dice.one_in(4)) scene.conditional[id] = 1 + dice.below(DP_CONTEXT_SLOTS);
        }
    }
    for (; filters > 0; --filters, ++first) {
        const Cell &cell = cells_[first % cells_.size()];
        // Some values can never match; those are refused and others tried.
        for (int tries = 0; tries < 8; ++tries) {
            Filter f = filter(cell, dice);
            f.sublayer = dice.of(sublayers);
            if (dice.one_in(2)) f.weight = Scalar{std::uint64_t{dice.below(4)}};
            act(f, callouts, dice);
            const auto id = policy::add_filter(scene.policy, f);
            if (!id) continue;
            if (!f.callout.is_null()) {
                const std::uint32_t host = scene.hosts.at(scene.policy.callouts.at(f.callout).id);
                if (host != 0 && host != dead_host) scene.answers[*id] = random_answer(dice);
            }
            break;
        }
    }
}

} // namespace sluice::harness
