// SPDX-License-Identifier: Apache-2.0
// Filters of a policy file: one entry makes a filter in each of its layers.
#include <algorithm>

#include "core/guid.h"
#include "policy/built_in.h"
#include "policy/hold_words.h"
#include "policyfile/filter_parts.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"
#include "store/wire.h"

namespace sluice::policyfile {

namespace {

struct CalloutType {
    const char *word;
    std::uint32_t action;
};
constexpr CalloutType callout_types[] = {{"terminating", FWP_ACTION_CALLOUT_TERMINATING},
                                         {"inspection", FWP_ACTION_CALLOUT_INSPECTION},
                                         {"unknown", FWP_ACTION_CALLOUT_UNKNOWN}};

bool is_callout_type(const std::string &word) {
    return std::any_of(std::begin(callout_types), std::end(callout_types),
                       [&](const CalloutType &type) { return word == type.word; });
}

protocol::Value weight_value(std::uint32_t type, std::uint64_t number) {
    protocol::Value value;
    value.set_type(type);
    value.set_number(number);
    return value;
}

} // namespace

void ObjectReader::filters(const Node &list) {
    each(list, "filter", [this](const Node &node) { filter(node); });
}

std::vector<std::uint16_t> ObjectReader::layers(const std::vector<const Node *> &words) {
    std::vector<std::uint16_t> all;
    for (const Node *word : words) {
        const auto some = layers_of(word->text);
        if (some.empty())
            problem(word->place, "no layer '" + word->text + "': see `sluice layer list`");
        for (const auto layer : some) {
            if (std::find(all.begin(), all.end(), layer) != all.end())
                problem(word->place, "the layer " + layer_name(layer) + " is given twice");
            else
                all.push_back(layer);
        }
    }
    return all;
}

void ObjectReader::callout_action(const std::string &name, const std::string &type, Place place,
                                  protocol::Filter &filter) {
    for (const auto &known : callout_types)
        if (type == known.word) filter.set_action(known.action);
    if (!is_callout_type(type))
        problem(place, "callout type '" + type + "' is none of terminating, inspection, unknown");
    // The one of the filter's layer, unless somebody else uses the word as a name.
    if (name == policy::ask_word && !names_.key("callout", name))
        return filter.set_callout(policy::ask_callouts().front().key.bytes());
    Node word;
    word.place = place;
    word.text = name;
    filter.set_callout(reference(&word, "callout"));
}

// permit | block | redirect | callout NAME [TYPE] | {callout: NAME, type: TYPE}
void ObjectReader::action(const Node *node, protocol::Filter &filter) {
    if (node->is_map()) {
        Entry entry(*node, "an action", file_.problems);
        const Node *name = entry.take_scalar("callout");
        const Node *type = entry.take_scalar("type");
        entry.finish();
        if (name == nullptr)
            return problem(node->place, "an action is permit, block, redirect or {callout: NAME}");
        return callout_action(name->text, type != nullptr ? type->text : "terminating", name->place,
                              filter);
    }
    const std::string &text = node->text;
    if (node->is_scalar() && (text == "permit" || text == "redirect"))
        return filter.set_action(FWP_ACTION_PERMIT);
    if (node->is_scalar() && text == "block") return filter.set_action(FWP_ACTION_BLOCK);
    constexpr std::string_view prefix = "callout ";
    if (!node->is_scalar() || !text.starts_with(prefix))
        return problem(node->place,
                       "action '" + text +
                           "' is none of permit, block, redirect, callout NAME [TYPE]");
    std::string name = text.substr(prefix.size()), type = "terminating";
    const auto last = name.rfind(' ');
    if (last != std::string::npos && is_callout_type(name.substr(last + 1))) {
        type = name.substr(last + 1);
        name.erase(last);
    }
    callout_action(name, type, node->place, filter);
}

std::uint32_t ObjectReader::filter_flags(const std::vector<const Node *> &words) {
    constexpr std::pair<const char *, std::uint32_t> known[] = {
        {"hard", FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT},
        {"clear-action-right", FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT},
        {"permit-if-unregistered", FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED},
        {"indexed", FWPM_FILTER_FLAG_INDEXED}};
    std::uint32_t flags = 0;
    for (const Node *word : words) {
        const auto *found = std::find_if(std::begin(known), std::end(known), [&](const auto &flag) {
            return word->text == flag.first;
        });
        if (found == std::end(known))
            problem(word->place,
                    "flag '" + word->text + "' is none of hard, permit-if-unregistered, indexed");
        else
            flags |= found->second;
    }
    return flags;
}

// {deadline: 30s | none, outcome: block | permit | next}
void ObjectReader::hold(const Node *node, protocol::Filter &filter) {
    if (node == nullptr) return;
    if (!node->is_map())
        return problem(node->place, "'hold' takes {deadline: TIME, outcome: OUTCOME}");
    Entry entry(*node, "hold", file_.problems);
    const Node *deadline = entry.take_scalar("deadline");
    const Node *outcome = entry.take_scalar("outcome");
    entry.finish();
    policy::HoldOptions options;
    if (deadline != nullptr) {
        auto ms = policy::deadline_of(deadline->text);
        if (!ms) problem(deadline->place, ms.error().text());
        options.deadline_ms = ms ? *ms : 0;
    }
    if (outcome != nullptr) {
        auto known = policy::outcome_of(outcome->text);
        if (!known) problem(outcome->place, known.error().text());
        options.outcome = known ? *known : policy::Outcome::host_default;
    }
    if (options == policy::HoldOptions()) return;
    *filter.mutable_hold() = store::to_message(options);
    if ((filter.action() & FWP_ACTION_FLAG_CALLOUT) == 0 && filter.action() != 0)
        problem(node->place, "'hold' needs a callout that can hold: the action is none");
}

// absent: order of the file | auto | {range: 0-15} | exact
bool ObjectReader::weight(const Node *node, protocol::Filter &filter) {
    if (node == nullptr) return false;
    if (node->is_map()) {
        Entry entry(*node, "a weight", file_.problems);
        const Node *range = entry.take_scalar("range");
        entry.finish();
        const auto number = range != nullptr ? number_of(range->text) : std::nullopt;
        if (!number || *number > 15)
            problem(range != nullptr ? range->place : node->place,
                    "a range of weights is {range: 0} to {range: 15}");
        else
            *filter.mutable_weight() = weight_value(FWP_UINT8, *number);
        return true;
    }
    if (node->is_scalar() && node->text == "auto") return true; // FWP_EMPTY
    const auto number = node->is_scalar() ? number_of(node->text) : std::nullopt;
    if (!number)
        problem(node->place,
                "weight '" + node->text + "' is not auto, {range: 0-15} or a number of 64 bits");
    else
        *filter.mutable_weight() = weight_value(FWP_UINT64, *number);
    return true;
}

void ObjectReader::place_in_order(protocol::Filter &filter) {
    auto &count =
        ordered_[filter.sublayer() + layer_name(static_cast<std::uint16_t>(filter.layer()))];
    *filter.mutable_weight() = weight_value(FWP_UINT64, first_ordered_weight - count++);
}

// `ask` has a key for each layer.
void ObjectReader::ask_at_layer(protocol::Filter &filter, std::uint16_t layer,
                                const FilterPlaces &places) {
    const auto named = Guid::from_bytes(filter.callout());
    if (!named || !policy::is_ask_callout(*named)) return;
    if (const auto key = policy::ask_callout_at(layer)) return filter.set_callout(key->bytes());
    problem(places.action, "nothing can be held for 'ask' at the layer " + layer_name(layer));
}

void ObjectReader::at_layer(protocol::Filter filter, const Head &head, std::uint16_t layer,
                            bool ordered, LayerConditions conditions, FilterPlaces places) {
    Head own = head;
    if (!own.key_given) own.key = derived_key("filter", head.name, layer_name(layer));
    claim("filter", own, layer_name(layer), places.self);
    filter.set_key(own.key);
    filter.set_layer(layer);
    ask_at_layer(filter, layer, places);
    if (ordered) place_in_order(filter);
    for (auto &placed : conditions.all) {
        *filter.add_conditions() = std::move(placed.condition);
        places.conditions.push_back(placed.place);
    }
    *file_.objects.add_filters() = std::move(filter);
    file_.places.filters.push_back(std::move(places));
}

namespace {

// A value that says nothing in any of the filter's layers is a mistake.
void report_skipped(const std::vector<LayerConditions> &all, Problems &problems) {
    for (const Place &place : all.front().skipped) {
        const bool everywhere = std::all_of(all.begin(), all.end(), [&](const auto &one) {
            return std::find(one.skipped.begin(), one.skipped.end(), place) != one.skipped.end();
        });
        if (everywhere)
            problems.add(place, "this is of the other family: none of the filter's layers has it");
    }
}

} // namespace

void ObjectReader::what_it_does(Entry &entry, const Node &node, Parts &parts) {
    const Node *layer = entry.take("layer");
    parts.layers = layers(entry.take_words("layer"));
    if (layer == nullptr)
        problem(node.place, "a filter needs a layer");
    else
        parts.places.layer = layer->place;
    const Node *sublayer = entry.take_scalar("sublayer");
    if (sublayer != nullptr) parts.places.sublayer = sublayer->place;
    parts.base.set_sublayer(sublayer != nullptr ? reference(sublayer, "sublayer")
                                                : universal_sublayer());
    const Node *what = entry.take("action");
    if (what == nullptr) {
        problem(node.place, "a filter needs an action");
    } else {
        parts.places.action = what->place;
        parts.redirects = what->is_scalar() && what->text == "redirect";
        action(what, parts.base);
    }
    hold(entry.take("hold"), parts.base);
    const Node *weight = entry.take("weight");
    if (weight != nullptr) parts.places.weight = weight->place;
    parts.ordered = !this->weight(weight, parts.base);
}

void ObjectReader::what_goes_with_it(Entry &entry, Parts &parts) {
    protocol::Filter &base = parts.base;
    base.set_flags(filter_flags(entry.take_words("flags")) |
                   lifetime(entry, FWPM_FILTER_FLAG_PERSISTENT, true));
    base.set_provider(reference(entry.take_scalar("provider"), "provider"));
    if (const Node *context = entry.take_scalar("provider_context")) {
        parts.places.provider_context = context->place;
        base.set_provider_context(reference(context, "provider context"));
        base.set_flags(base.flags() | FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    }
    if (const Node *raw = entry.take_scalar("raw_context")) {
        const auto number = number_of(raw->text);
        if (!number) problem(raw->place, "'" + raw->text + "' is no number of 64 bits");
        base.set_raw_context(number.value_or(0));
    }
}

void ObjectReader::in_layers(const Node *conditions, const Node &node, Parts &parts) {
    if (parts.head.key_given && parts.layers.size() > 1)
        problem(parts.places.layer, "a key is of one filter, and this makes one in each of " +
                                        std::to_string(parts.layers.size()) +
                                        " layers: leave the key out");
    std::vector<LayerConditions> all;
    for (const auto one : parts.layers)
        all.push_back(conditions != nullptr ? read_conditions(*conditions, one, file_.problems)
                                            : LayerConditions());
    if (!all.empty()) report_skipped(all, file_.problems);
    bool made = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].impossible) continue;
        check_family(parts, parts.layers[i]);
        const bool last = i + 1 == all.size();
        at_layer(last ? std::move(parts.base) : parts.base, parts.head, parts.layers[i],
                 parts.ordered, std::move(all[i]), parts.places);
        made = true;
    }
    if (!made && file_.problems.empty())
        problem(node.place,
                "no layer has traffic that meets all conditions: their addresses are of "
                "different families");
}

void ObjectReader::filter(const Node &node) {
    Entry entry(node, "a filter", file_.problems);
    Parts parts;
    parts.places = {node.place, node.place, node.place, node.place, node.place, node.place, {}};
    parts.head = head(entry, node, "filter");
    parts.base.set_name(parts.head.name);
    parts.base.set_description(parts.head.description);
    parts.base.set_provider_data(parts.head.provider_data);
    what_it_does(entry, node, parts);
    what_goes_with_it(entry, parts);
    redirection(entry, parts);
    const Node *conditions = entry.take("conditions");
    entry.finish();
    in_layers(conditions, node, parts);
}

} // namespace sluice::policyfile
