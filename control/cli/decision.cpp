// SPDX-License-Identifier: Apache-2.0
#include "cli/decision.h"

#include <sstream>

#include "cli/json.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"

namespace sluice::cli {

namespace {

constexpr const char *forms = "a decision is 'permit ID [always]', 'block ID [always]' or "
                              R"({"id": ID, "action": "permit" or "block", "always": true})";

Error wrong(const std::string &what) {
    return Error(0, what + ": " + forms);
}

Result<protocol::HoldDecide> decision(const std::string &action, std::uint64_t id, bool always) {
    protocol::HoldDecide out;
    if (action == "permit")
        out.set_action(FWP_ACTION_PERMIT);
    else if (action == "block")
        out.set_action(FWP_ACTION_BLOCK);
    else
        return wrong("'" + action + "' is none of permit, block");
    out.set_id(id);
    out.set_always(always);
    return out;
}

Result<protocol::HoldDecide> from_json(const std::string &line) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return wrong("this is no JSON object");
    std::string action;
    std::uint64_t id = 0;
    bool has_id = false, always = false;
    for (const auto &[key, value] : json.items()) {
        if (key == "id" && value.is_number_unsigned()) {
            id = value.get<std::uint64_t>();
            has_id = true;
        } else if (key == "action" && value.is_string()) {
            action = value.get<std::string>();
        } else if (key == "always" && value.is_boolean()) {
            always = value.get<bool>();
        } else {
            return wrong("'" + key + "' is not known, or its value is of the wrong kind");
        }
    }
    if (!has_id) return wrong("no id");
    if (action.empty()) return wrong("no action");
    return decision(action, id, always);
}

} // namespace

Result<protocol::HoldDecide> parse_decision(const std::string &line) {
    if (line.starts_with("{")) return from_json(line);
    std::istringstream stream(line);
    std::string action, id, always, more;
    stream >> action >> id >> always >> more;
    const auto number = policyfile::number_of(id);
    if (!number) return wrong("'" + id + "' is no hold's number");
    if (!more.empty() || (!always.empty() && always != "always"))
        return wrong("'" + (more.empty() ? always : more) + "' does not belong here");
    return decision(action, *number, !always.empty());
}

std::vector<Lines::Line> Lines::take(const std::string &bytes) {
    std::vector<Line> out;
    for (const char c : bytes) {
        if (c == '\n') {
            for (auto &line : end())
                out.push_back(std::move(line));
            ++number_;
        } else if (text_.size() < longest) {
            text_ += c;
        }
    }
    return out;
}

std::vector<Lines::Line> Lines::end() {
    std::string text = std::exchange(text_, {});
    text.erase(text.find_last_not_of(" \t\r") + 1);
    text.erase(0, text.find_first_not_of(" \t"));
    if (text.empty()) return {};
    return {{number_, std::move(text)}};
}

} // namespace sluice::cli
