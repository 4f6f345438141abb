// SPDX-License-Identifier: Apache-2.0
#include "cli/words.h"

#include <algorithm>

namespace sluice::cli {

namespace {

Result<std::string> full_form(const std::string &word, const std::vector<std::string> &known,
                              const std::string &what) {
    std::vector<std::string> fitting;
    for (const auto &candidate : known) {
        if (candidate == word) return candidate;
        if (candidate.starts_with(word)) fitting.push_back(candidate);
    }
    if (fitting.size() == 1) return fitting[0];
    std::string text = fitting.empty() ? "no " + what + " '" + word + "': one of "
                                       : what + " '" + word + "' may be any of ";
    for (const auto &candidate : fitting.empty() ? known : fitting)
        text += (text.back() == ' ' ? "" : ", ") + candidate;
    return Error(0, text);
}

bool has(const std::vector<std::string> &all, const char *word) {
    return std::find(all.begin(), all.end(), word) != all.end();
}

std::string without_alias(const std::string &word, const std::vector<std::string> &actions) {
    if (word == "ls" && has(actions, "list")) return "list";
    if (word == "rm")
        return has(actions, "delete") ? "delete" : has(actions, "unload") ? "unload" : word;
    return word;
}

// Place of the next word that is neither an option nor the value of one that stands before the
// object.
std::size_t next_word(const std::vector<std::string> &words, std::size_t from) {
    for (; from < words.size(); ++from) {
        if (words[from] == "--socket" || words[from] == "--timeout")
            ++from;
        else if (!words[from].starts_with("-"))
            break;
    }
    return std::min(from, words.size());
}

} // namespace

Result<std::vector<std::string>> expand(std::vector<std::string> words,
                                        const Vocabulary &vocabulary) {
    const std::size_t object_at = next_word(words, 0);
    if (object_at == words.size()) return words;
    std::vector<std::string> objects;
    for (const auto &[object, actions] : vocabulary)
        objects.push_back(object);
    auto object = full_form(words[object_at], objects, "object");
    if (!object) return object.error();
    words[object_at] = *object;
    const auto &actions = vocabulary.at(*object);
    if (actions.empty()) return words;
    const std::size_t action_at = next_word(words, object_at + 1);
    if (action_at == words.size()) {
        const bool asks_help = has(words, "-h") || has(words, "--help");
        if (has(actions, "list") && !asks_help)
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(object_at) + 1, "list");
        return words;
    }
    auto action = full_form(without_alias(words[action_at], actions), actions, *object + " action");
    if (!action) return action.error();
    words[action_at] = *action;
    return words;
}

} // namespace sluice::cli
