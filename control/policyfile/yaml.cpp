// SPDX-License-Identifier: Apache-2.0
// The tree as text. JSON strings are YAML's double-quoted ones, so one escape serves both.
#include "policyfile/writer.h"

namespace sluice::policyfile {

namespace {

bool plain_first(unsigned char c) {
    return std::isalnum(c) || c == '/' || c == '_';
}

bool plain_char(unsigned char c) {
    return plain_first(c) || c == '.' || c == '-' || c == '+';
}

// Words that mean the same in block and in flow style without quotes.
bool is_plain(const std::string &text) {
    if (text.empty() || !plain_first(static_cast<unsigned char>(text[0]))) return false;
    if (text == "null" || text == "Null" || text == "NULL") return false;
    for (std::size_t i = 1; i < text.size(); ++i) {
        const bool space_inside = text[i] == ' ' && i + 1 < text.size() &&
                                  plain_first(static_cast<unsigned char>(text[i + 1]));
        if (!plain_char(static_cast<unsigned char>(text[i])) && !space_inside) return false;
    }
    return true;
}

std::string scalar(const Json &value) {
    if (value.is_string() && is_plain(value.get_ref<const std::string &>()))
        return value.get<std::string>();
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_scalar(const Json &value) {
    return !value.is_object() && !value.is_array();
}

std::string flow(const Json &value) {
    if (is_scalar(value)) return scalar(value);
    std::string text;
    for (const auto &[key, item] : value.items())
        text +=
            (text.empty() ? "" : ", ") + (value.is_object() ? scalar(key) + ": " : "") + flow(item);
    return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

bool fits_in_line(const Json &value) {
    if (value.is_object()) return value.size() <= 2 && flow(value).size() < 80;
    for (const auto &item : value)
        if (item.is_object() && item.size() > 1) return false;
    return true;
}

void block(const Json &value, const std::string &indent, std::string &out);

void pair(const std::string &key, const Json &value, const std::string &indent, std::string &out,
          bool in_line) {
    out += scalar(key) + ":";
    if (is_scalar(value) || value.empty() || (in_line && fits_in_line(value))) {
        out += " " + flow(value) + "\n";
        return;
    }
    out += "\n";
    block(value, indent + "  ", out);
}

void block(const Json &value, const std::string &indent, std::string &out) {
    if (value.is_object()) {
        for (const auto &[key, item] : value.items()) {
            out += indent;
            pair(key, item, indent, out, key != "conditions");
        }
        return;
    }
    for (const auto &item : value) {
        if (!item.is_object()) {
            out += indent + "- " + flow(item) + "\n";
            continue;
        }
        bool first = true;
        for (const auto &[key, entry] : item.items()) {
            out += indent + (first ? "- " : "  ");
            pair(key, entry, indent + "  ", out, key != "conditions");
            first = false;
        }
    }
}

} // namespace

std::string to_yaml(const Json &tree) {
    std::string out;
    for (const auto &[key, value] : tree.items())
        pair(key, value, "", out, false);
    return out;
}

std::string to_json_text(const Json &tree) {
    return tree.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace sluice::policyfile
