// SPDX-License-Identifier: Apache-2.0
// A map of a policy file whose keys are taken one by one: wrong kinds of values and, at the end,
// keys that nobody took are problems.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "policyfile/tree.h"

namespace sluice::policyfile {

class Entry {
public:
    // what: "a filter", for messages.
    Entry(const Node &map, std::string what, Problems &problems)
        : map_(map), what_(std::move(what)), problems_(problems),
          taken_(map.is_map() ? map.entries() : 0) {}

    // The value of a key, which is a literal; null: not there.
    const Node *take(const char *key) {
        known_.push_back(key);
        if (!map_.is_map()) return nullptr;
        for (std::size_t i = 0; i < map_.entries(); ++i) {
            if (map_.items[2 * i].text != key) continue;
            taken_[i] = true;
            return &map_.items[2 * i + 1];
        }
        return nullptr;
    }

    // A scalar; anything else is a problem.
    const Node *take_scalar(const char *key) {
        const Node *node = take(key);
        if (node == nullptr || node->is_scalar()) return node;
        problems_.add(node->place, std::string("'") + key + "' takes one value");
        return nullptr;
    }

    // A list of scalars, or one.
    std::vector<const Node *> take_words(const char *key) {
        const Node *node = take(key);
        if (node == nullptr) return {};
        std::vector<const Node *> words;
        if (node->is_scalar()) words.push_back(node);
        if (node->is_list())
            for (const auto &item : node->items)
                words.push_back(&item);
        const bool bad = !node->is_scalar() && !node->is_list();
        for (const Node *word : words)
            if (!word->is_scalar())
                problems_.add(word->place, std::string("'") + key + "' takes words");
        if (bad) problems_.add(node->place, std::string("'") + key + "' takes words");
        std::erase_if(words, [](const Node *word) { return !word->is_scalar(); });
        return words;
    }

    std::string take_text(const char *key) {
        const Node *node = take_scalar(key);
        return node != nullptr ? node->text : std::string();
    }

    bool take_flag(const char *key) {
        const Node *node = take_scalar(key);
        if (node == nullptr) return false;
        if (node->text != "true" && node->text != "false")
            problems_.add(node->place, std::string("'") + key + "' is true or false");
        return node->text == "true";
    }

    void finish() {
        if (!map_.is_map()) return;
        for (std::size_t i = 0; i < map_.entries(); ++i)
            if (!taken_[i]) problems_.add(map_.items[2 * i].place, unknown(map_.items[2 * i].text));
    }

private:
    [[nodiscard]] std::string unknown(const std::string &key) const {
        std::string text = "'" + key + "' does not belong into " + what_ + ": known are ";
        const auto differs = [](const char *a) {
            return [a](const char *b) { return std::strcmp(a, b) != 0; };
        };
        for (auto one = known_.begin(); one != known_.end(); ++one)
            if (std::all_of(known_.begin(), one, differs(*one)))
                text += (one == known_.begin() ? "" : ", ") + std::string(*one);
        return text;
    }

    const Node &map_;
    std::string what_;
    Problems &problems_;
    std::vector<bool> taken_;
    std::vector<const char *> known_; // literals, in the order in which they were asked for
};

} // namespace sluice::policyfile
