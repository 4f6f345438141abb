// SPDX-License-Identifier: Apache-2.0
// The objects of parsed documents. Names are collected from all of them first: order is free.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "policyfile/conditions.h"
#include "policyfile/entry.h"
#include "policyfile/names.h"
#include "policyfile/reader.h"

namespace sluice::policyfile {

class ObjectReader {
public:
    ObjectReader(PolicyFile &file, const protocol::Objects &known) : file_(file), names_(known) {}

    // Each takes the value of its key in a document; filters last, they use names.
    void providers(const Node &list);
    void provider_contexts(const Node &list);
    void sublayers(const Node &list);
    void callouts(const Node &list);
    void filters(const Node &list);

private:
    struct Head { // what every kind of object has
        std::string name, key, description, provider_data;
        bool key_given = false;
    };
    void each(const Node &list, const char *kind, const std::function<void(const Node &)> &one);
    Head head(Entry &entry, const Node &node, const std::string &kind);
    void claim(const std::string &kind, const Head &head, const std::string &layer, Place place);
    std::string reference(const Node *word, const std::string &kind);
    std::uint32_t lifetime(Entry &entry, std::uint32_t persistent, bool may_boot = false);
    void problem(Place place, std::string text) { file_.problems.add(place, std::move(text)); }

    void filter(const Node &node);
    struct Parts; // of one entry
    void what_it_does(Entry &entry, const Node &node, Parts &parts);
    void what_goes_with_it(Entry &entry, Parts &parts);
    void redirection(Entry &entry, Parts &parts);
    [[nodiscard]] bool redirection_fits(const Parts &parts, const Node *to, const Node *told);
    std::string redirect_context(const Parts &parts, Place place);
    void check_family(const Parts &parts, std::uint16_t layer);
    void in_layers(const Node *conditions, const Node &node, Parts &parts);
    std::vector<std::uint16_t> layers(const std::vector<const Node *> &words);
    void action(const Node *node, protocol::Filter &filter);
    void callout_action(const std::string &name, const std::string &type, Place place,
                        protocol::Filter &filter);
    std::uint32_t filter_flags(const std::vector<const Node *> &words);
    void hold(const Node *node, protocol::Filter &filter);   // after the action
    bool weight(const Node *node, protocol::Filter &filter); // false: by the order of the file
    void ask_at_layer(protocol::Filter &filter, std::uint16_t layer, const FilterPlaces &places);
    void place_in_order(protocol::Filter &filter);
    void at_layer(protocol::Filter filter, const Head &head, std::uint16_t layer, bool ordered,
                  LayerConditions conditions, FilterPlaces places);

    PolicyFile &file_;
    Names names_;
    struct Claimed {
        bool key_given;
        int line;
    };
    std::unordered_map<std::string, Claimed> claimed_; // kind, name and layer
    std::unordered_set<std::string> keys_;             // kind and key
    std::map<std::string, std::uint64_t> ordered_;     // sublayer and layer: filters so far
};

} // namespace sluice::policyfile
