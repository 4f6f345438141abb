// SPDX-License-Identifier: Apache-2.0
#include "policyfile/conditions.h"

#include <algorithm>

#include "policyfile/complement.h"

namespace sluice::policyfile {

namespace {

using protocol::Value;

struct Comparison {
    const char *word;
    std::uint32_t match;
};
constexpr Comparison comparisons[] = {{"equal", FWP_MATCH_EQUAL},
                                      {"not_equal", FWP_MATCH_NOT_EQUAL},
                                      {"greater", FWP_MATCH_GREATER},
                                      {"less", FWP_MATCH_LESS},
                                      {"greater_or_equal", FWP_MATCH_GREATER_OR_EQUAL},
                                      {"less_or_equal", FWP_MATCH_LESS_OR_EQUAL},
                                      {"range", FWP_MATCH_RANGE},
                                      {"flags_all", FWP_MATCH_FLAGS_ALL_SET},
                                      {"flags_any", FWP_MATCH_FLAGS_ANY_SET},
                                      {"flags_none", FWP_MATCH_FLAGS_NONE_SET},
                                      {"equal_no_case", FWP_MATCH_EQUAL_CASE_INSENSITIVE},
                                      {"ends_with", FWP_MATCH_PREFIX},
                                      {"not_ends_with", FWP_MATCH_NOT_PREFIX}};

const Comparison *comparison(const std::string &word) {
    for (const auto &known : comparisons)
        if (word == known.word) return &known;
    return nullptr;
}

bool compares_flags(std::uint32_t match) {
    return match == FWP_MATCH_FLAGS_ALL_SET || match == FWP_MATCH_FLAGS_ANY_SET ||
           match == FWP_MATCH_FLAGS_NONE_SET;
}

std::string known_comparisons() {
    std::string text = "not, empty";
    for (const auto &known : comparisons)
        text += std::string(", ") + known.word;
    return text;
}

// Reads the values of one field at one layer.
class ValueReader {
public:
    ValueReader(const Field &field, std::uint16_t layer, LayerConditions &out, Problems &problems)
        : field_(field), family_(layer_family(layer)), out_(out), problems_(problems) {}

    void read(const Node &node) {
        const std::size_t before = out_.all.size();
        if (node.is_list()) {
            if (node.items.empty()) problem(node.place, "the list is empty");
            for (const auto &item : node.items)
                one(item);
        } else {
            one(node);
        }
        if (out_.all.size() == before) out_.impossible = true;
    }

private:
    void problem(Place place, const std::string &text) {
        problems_.add(place, field_.word + ": " + text);
    }

    void put(std::uint32_t match, Value value, Place place) {
        PlacedCondition placed;
        placed.condition.set_field(field_.key.bytes());
        placed.condition.set_match(match);
        *placed.condition.mutable_value() = std::move(value);
        placed.place = place;
        out_.all.push_back(std::move(placed));
    }

    void one(const Node &node) {
        if (node.is_scalar()) return plain(node);
        if (!node.is_map()) return problem(node.place, "a value is needed");
        if (node.entries() != 1)
            return problem(node.place, "one comparison belongs to a value, as {not: 22}");
        const Node &word = node.items[0], &operand = node.items[1];
        if (is_type_word(word.text)) return typed(node);
        if (word.text == "not") return negated(operand);
        if (word.text == "empty") return empty(operand);
        const Comparison *known = comparison(word.text);
        if (known == nullptr)
            return problem(word.place, "'" + word.text +
                                           "' is no comparison and no type; the comparisons are " +
                                           known_comparisons());
        if (known->match == FWP_MATCH_RANGE) return range(operand);
        if (compares_flags(known->match)) return flags(known->match, operand);
        if (operand.is_list() && known->match == FWP_MATCH_NOT_EQUAL)
            return problem(operand.place, "not_equal takes one value; `not` takes several");
        if (operand.is_list()) {
            for (const auto &item : operand.items)
                compared(known->match, item);
            return;
        }
        compared(known->match, operand);
    }

    void plain(const Node &node) {
        if (field_.kind == Kind::flags) return flags(FWP_MATCH_FLAGS_ALL_SET, node);
        const auto value = natural(node);
        if (!value) return;
        put(value->type() == FWP_RANGE_TYPE ? FWP_MATCH_RANGE : FWP_MATCH_EQUAL, *value,
            node.place);
    }

    // A scalar as the field's values are written; nullopt: said why, or of the other family.
    std::optional<Value> natural(const Node &node) {
        auto value = parse_value(field_, family_, node.text);
        if (!value) {
            problem(node.place, value.error().text());
            return std::nullopt;
        }
        if (!*value) out_.skipped.push_back(node.place);
        return std::move(*value);
    }

    void typed(const Node &node) {
        if (const auto value = typed_value(node)) put(FWP_MATCH_EQUAL, *value, node.place);
    }

    std::optional<Value> typed_value(const Node &node) {
        if (node.entries() != 1 || !node.items[1].is_scalar()) {
            problem(node.place, "a type and one value are needed, as {uint32: 5}");
            return std::nullopt;
        }
        auto value = parse_typed(node.items[0].text, node.items[1].text);
        if (!value) {
            problem(node.items[1].place, value.error().text());
            return std::nullopt;
        }
        return *value;
    }

    // What stands behind a comparison: a scalar or {TYPE: VALUE}.
    std::optional<Value> operand_value(const Node &node) {
        if (node.is_map()) return typed_value(node);
        if (node.is_scalar()) return natural(node);
        problem(node.place, "a value is needed");
        return std::nullopt;
    }

    void compared(std::uint32_t match, const Node &node) {
        const auto value = operand_value(node);
        if (!value) return;
        if (value->type() == FWP_RANGE_TYPE)
            return problem(node.place, "this comparison takes no range");
        put(match, *value, node.place);
    }

    void range(const Node &node) {
        if (node.is_list() && node.items.size() == 2) {
            const auto low = operand_value(node.items[0]), high = operand_value(node.items[1]);
            if (low && high) put(FWP_MATCH_RANGE, range_value(*low, *high), node.place);
            return;
        }
        if (!node.is_scalar()) return problem(node.place, "a range is A-B or [A, B]");
        const auto value = natural(node);
        if (!value) return;
        if (value->type() != FWP_RANGE_TYPE) return problem(node.place, "a range is A-B or [A, B]");
        put(FWP_MATCH_RANGE, *value, node.place);
    }

    void flags(std::uint32_t match, const Node &node) {
        if (node.is_map()) {
            if (const auto value = typed_value(node)) put(match, *value, node.place);
            return;
        }
        std::uint64_t mask = 0;
        const std::vector<Node> one{node};
        for (const auto &item : node.is_list() ? node.items : one) {
            const auto flag = item.is_scalar()
                                  ? parse_flag(field_, item.text)
                                  : Result<std::uint64_t>(Error(0, "a flag is needed"));
            if (!flag) return problem(item.place, flag.error().text());
            mask |= *flag;
        }
        Value value;
        value.set_type(field_.type);
        value.set_number(mask);
        put(match, std::move(value), node.place);
    }

    void empty(const Node &node) {
        if (!node.is_scalar() || node.text != "true")
            return problem(node.place, "`empty` is written {empty: true}");
        put(FWP_MATCH_EQUAL, Value(), node.place);
    }

    // One value: NOT_EQUAL. Prefixes, ranges and several values: the ranges that are left.
    void negated(const Node &node) {
        if (field_.kind == Kind::flags) return flags(FWP_MATCH_FLAGS_NONE_SET, node);
        std::vector<Value> values;
        const std::vector<Node> one{node};
        for (const auto &item : node.is_list() ? node.items : one) {
            const std::size_t skipped = out_.skipped.size();
            if (auto value = operand_value(item))
                values.push_back(std::move(*value));
            else if (out_.skipped.size() == skipped)
                return;
        }
        if (values.empty()) return;
        if (values.size() == 1 && width_or_text(values[0]))
            return put(FWP_MATCH_NOT_EQUAL, values[0], node.place);
        auto left = complement(values);
        if (!left) return problem(node.place, left.error().text());
        for (const auto &value : *left)
            put(value.type() == FWP_RANGE_TYPE ? FWP_MATCH_RANGE : FWP_MATCH_EQUAL, value,
                node.place);
    }

    static bool width_or_text(const Value &value) {
        return value.type() != FWP_RANGE_TYPE && value.type() != FWP_V4_ADDR_MASK &&
               value.type() != FWP_V6_ADDR_MASK;
    }

    const Field &field_;
    Family family_;
    LayerConditions &out_;
    Problems &problems_;
};

void read_entries(const Node &map, std::uint16_t layer, LayerConditions &out, Problems &problems) {
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
        const Node &word = map.items[i];
        const Field *field = field_of_word(word.text);
        if (field == nullptr) {
            problems.add(word.place, "no condition '" + word.text +
                                         "': `sluice layer show` lists a layer's words");
            continue;
        }
        ValueReader(*field, layer, out, problems).read(map.items[i + 1]);
    }
}

} // namespace

LayerConditions read_conditions(const Node &node, std::uint16_t layer, Problems &problems) {
    LayerConditions out;
    if (node.is_map()) {
        read_entries(node, layer, out, problems);
    } else if (node.is_list()) {
        for (const auto &item : node.items) {
            if (item.is_map())
                read_entries(item, layer, out, problems);
            else
                problems.add(item.place, "a condition is WORD: VALUE");
        }
    } else {
        problems.add(node.place, "conditions are WORD: VALUE, one a line");
    }
    return out;
}

// ---- printing ----

namespace {

Json scalar_json(const std::string &text) {
    const bool number = !text.empty() && text.size() < 18 &&
                        text.find_first_not_of("0123456789") == std::string::npos &&
                        (text.size() == 1 || text[0] != '0');
    return number ? Json(std::stoull(text)) : Json(text);
}

Json typed_json(const Value &value) {
    const auto [type, text] = print_typed(value);
    return Json{{type, scalar_json(text)}};
}

Json operand_json(const Field *field, Family family, const Value &value) {
    if (field != nullptr)
        if (const auto text = print_value(*field, family, value)) return scalar_json(*text);
    return typed_json(value);
}

Json flags_json(const Field *field, const Value &value) {
    const unsigned width = width_of(value);
    if (field == nullptr || value.type() != static_cast<std::uint32_t>(field->type) || width == 0 ||
        width > 64)
        return typed_json(value);
    Json names = Json::array();
    std::uint64_t left = value.number();
    for (const auto &known : field->names) {
        if ((left & known.value) != known.value || known.value == 0) continue;
        names.push_back(known.name);
        left &= ~known.value;
    }
    if (left == 0 && !names.empty()) return names;
    return Json(value.number());
}

const char *comparison_word(std::uint32_t match) {
    for (const auto &known : comparisons)
        if (known.match == match) return known.word;
    return "equal";
}

Json value_json(const Field *field, Family family, const protocol::Condition &condition) {
    const Value &value = condition.value();
    const std::uint32_t match = condition.match();
    const bool flags_field = field != nullptr && field->kind == Kind::flags;
    if (match == FWP_MATCH_EQUAL && value.type() == FWP_EMPTY) return Json{{"empty", true}};
    if (compares_flags(match)) return Json{{comparison_word(match), flags_json(field, value)}};
    if (match == FWP_MATCH_RANGE) {
        Json plain = field != nullptr && print_value(*field, family, value)
                         ? scalar_json(*print_value(*field, family, value))
                         : Json();
        if (!plain.is_null() && !flags_field) return plain;
        return Json{{"range", Json::array({operand_json(field, family, value.low()),
                                           operand_json(field, family, value.high())})}};
    }
    const Json operand = operand_json(field, family, value);
    if (match == FWP_MATCH_EQUAL && !flags_field) return operand;
    const bool mask = value.type() == FWP_V4_ADDR_MASK || value.type() == FWP_V6_ADDR_MASK;
    if (match == FWP_MATCH_NOT_EQUAL && !flags_field && !mask) return Json{{"not", operand}};
    return Json{{comparison_word(match), operand}};
}

bool speaks_icmp(const protocol::Filter &filter, std::uint16_t layer) {
    if (layer_name(layer).find("icmp") != std::string::npos) return true;
    static const std::string protocol_key = field_of_word("protocol")->key.bytes();
    return std::any_of(filter.conditions().begin(), filter.conditions().end(), [](const auto &c) {
        return c.field() == protocol_key && c.match() == FWP_MATCH_EQUAL &&
               (c.value().number() == 1 || c.value().number() == 58);
    });
}

const Field *printed_field(const Guid &key, bool icmp) {
    if (icmp)
        for (const char *word : {"icmp_type", "icmp_code"})
            if (field_of_word(word)->key == key) return field_of_word(word);
    return field_of_key(key);
}

struct Group {
    std::string word;
    Json values = Json::array();
};

std::vector<Group> groups_of(const protocol::Filter &filter, std::uint16_t layer) {
    const bool icmp = speaks_icmp(filter, layer);
    const Family family = layer_family(layer);
    std::vector<Group> groups;
    for (const auto &condition : filter.conditions()) {
        const Guid key = Guid::from_bytes(condition.field()).value_or(Guid());
        const Field *field = printed_field(key, icmp);
        const std::string word = field != nullptr ? field->word : key.text();
        if (groups.empty() || groups.back().word != word) groups.push_back({word});
        groups.back().values.push_back(value_json(field, family, condition));
    }
    return groups;
}

} // namespace

Json print_conditions(const protocol::Filter &filter, std::uint16_t layer) {
    const auto groups = groups_of(filter, layer);
    if (groups.empty()) return {};
    Json map = Json::object(), list = Json::array();
    for (const auto &group : groups) {
        const Json value = group.values.size() == 1 ? group.values[0] : group.values;
        map[group.word] = value;
        list.push_back(Json{{group.word, value}});
    }
    return map.size() == groups.size() ? map : list;
}

namespace {

std::string plain_text(const Json &json) {
    if (json.is_string()) return json.get<std::string>();
    if (!json.is_array()) return json.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::string text;
    for (const auto &item : json)
        text += (text.empty() ? "" : ", ") + plain_text(item);
    return text;
}

} // namespace

std::string condition_text(const protocol::Condition &condition, std::uint16_t layer) {
    const Guid key = Guid::from_bytes(condition.field()).value_or(Guid());
    const Field *field = printed_field(key, layer_name(layer).find("icmp") != std::string::npos);
    const Json value = value_json(field, layer_family(layer), condition);
    const std::string word = field_word(key);
    if (!value.is_object()) return word + " " + plain_text(value);
    std::string comparison = value.begin().key();
    std::replace(comparison.begin(), comparison.end(), '_', ' ');
    if (comparison.starts_with(word + " ")) comparison.erase(0, word.size() + 1); // flags all
    return word + " " + comparison + " " + plain_text(value.begin().value());
}

} // namespace sluice::policyfile
