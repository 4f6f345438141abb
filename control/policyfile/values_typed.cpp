// SPDX-License-Identifier: Apache-2.0
// Values that say their type: {sid: S-1-22-1-1000}.
#include "policyfile/value_parts.h"
#include "policyfile/values.h"
#include "policyfile/values_text.h"

namespace sluice::policyfile {

using protocol::Value;

namespace {

struct TypeWord {
    const char *word;
    std::uint32_t type;
};
constexpr TypeWord type_words[] = {{"uint8", FWP_UINT8},
                                   {"uint16", FWP_UINT16},
                                   {"uint32", FWP_UINT32},
                                   {"uint64", FWP_UINT64},
                                   {"app_id", FWP_BYTE_BLOB_TYPE},
                                   {"ipv6", FWP_BYTE_ARRAY16_TYPE},
                                   {"mac", FWP_BYTE_ARRAY6_TYPE},
                                   {"blob", FWP_BYTE_BLOB_TYPE},
                                   {"text", FWP_UNICODE_STRING_TYPE},
                                   {"sid", FWP_SID},
                                   {"security_descriptor", FWP_SECURITY_DESCRIPTOR_TYPE},
                                   {"ipv4_mask", FWP_V4_ADDR_MASK},
                                   {"ipv6_prefix", FWP_V6_ADDR_MASK}};

const TypeWord *type_word(const std::string &word) {
    for (const auto &known : type_words)
        if (word == known.word) return &known;
    return nullptr;
}

std::optional<Value> typed(const TypeWord &type, const std::string &word) {
    switch (type.type) {
    case FWP_BYTE_ARRAY16_TYPE:
        return data_if(type.type, ipv6_of(word));
    case FWP_BYTE_ARRAY6_TYPE:
        return data_if(type.type, bytes_of_mac(word));
    case FWP_BYTE_BLOB_TYPE:
        return data_if(type.type,
                       std::string(type.word) == "app_id" ? app_id_of(word) : bytes_of_hex(word));
    case FWP_UNICODE_STRING_TYPE:
        return data_value(type.type, word);
    case FWP_SID:
        return data_if(type.type, bytes_of_sid(word));
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return data_if(type.type, bytes_of_hex(word));
    case FWP_V4_ADDR_MASK:
    case FWP_V6_ADDR_MASK: {
        const auto slash = word.find('/');
        if (slash == std::string::npos) return std::nullopt;
        auto value = parse_prefix(word, slash);
        if (!value || value->type() != type.type) return std::nullopt;
        return *value;
    }
    default: {
        const auto number = number_of(word);
        if (!number || *number > largest(type.type)) return std::nullopt;
        return number_value(type.type, *number);
    }
    }
}

} // namespace

bool is_type_word(const std::string &word) {
    return type_word(word) != nullptr;
}

Result<Value> parse_typed(const std::string &type, const std::string &word) {
    const TypeWord *known = type_word(type);
    if (known == nullptr) return wrong_value("'", type, "' is no type of a value");
    auto value = typed(*known, word);
    if (!value) return wrong_value("'", word, "' is no value of the type ", type);
    return *value;
}

std::pair<std::string, std::string> print_typed(const Value &value) {
    switch (value.type()) {
    case FWP_BYTE_ARRAY16_TYPE:
        return {"ipv6", ipv6_text(value.data())};
    case FWP_BYTE_ARRAY6_TYPE:
        return {"mac", mac_text(value.data())};
    case FWP_BYTE_BLOB_TYPE:
        if (const auto path = path_of_app_id(value.data())) return {"app_id", *path};
        return {"blob", hex_text(value.data())};
    case FWP_UNICODE_STRING_TYPE:
        return {"text", value.data()};
    case FWP_SID:
        return {"sid", sid_text(value.data())};
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return {"security_descriptor", hex_text(value.data())};
    case FWP_V4_ADDR_MASK:
        return {"ipv4_mask", *print_address(value)};
    case FWP_V6_ADDR_MASK:
        return {"ipv6_prefix", *print_address(value)};
    default:
        for (const auto &known : type_words)
            if (known.type == value.type()) return {known.word, std::to_string(value.number())};
        return {"uint32", std::to_string(value.number())};
    }
}

} // namespace sluice::policyfile
