// SPDX-License-Identifier: Apache-2.0
#include "store/wire.h"

#include "sluice/detail/fwp_tables.hpp"
#include "sluice/fwp_status.h"

namespace sluice::store {

namespace {

Guid guid_of(const GUID &g) {
    Guid out;
    static_assert(sizeof g == sizeof out);
    std::memcpy(static_cast<void *>(&out), &g, sizeof out);
    return out;
}

Result<Guid> key_of(const std::string &bytes, const char *what) {
    if (bytes.empty()) return Guid{};
    if (auto key = Guid::from_bytes(bytes)) return *key;
    return Error::status(STATUS_FWP_INVALID_PARAMETER,
                         std::string(what) + " is not a GUID of 16 bytes");
}

std::string key_bytes(const Guid &key) {
    return key.is_null() ? std::string() : key.bytes();
}

template <std::size_t N>
Result<policy::Scalar> array_of(const std::string &data) {
    std::array<std::uint8_t, N> bytes{};
    if (data.size() != N)
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "value of " + std::to_string(data.size()) +
                                                           " bytes where " + std::to_string(N) +
                                                           " are needed");
    std::memcpy(bytes.data(), data.data(), N);
    return policy::Scalar(bytes);
}

template <typename T>
Result<policy::Scalar> integer_of(std::uint64_t number) {
    if (static_cast<T>(number) != number)
        return Error::status(STATUS_FWP_OUT_OF_BOUNDS, "value too large for its type",
                             std::to_string(number));
    return policy::Scalar(static_cast<T>(number));
}

Result<policy::Scalar> v6_prefix_of(const protocol::Value &m) {
    policy::V6Prefix prefix;
    if (m.data().size() != prefix.address.size())
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "IPv6 address is not of 16 bytes");
    if (m.mask() > 128)
        return Error::status(STATUS_FWP_INVALID_NET_MASK, "IPv6 prefix length",
                             std::to_string(m.mask()));
    std::memcpy(prefix.address.data(), m.data().data(), prefix.address.size());
    prefix.prefix = static_cast<std::uint8_t>(m.mask());
    return policy::Scalar(prefix);
}

Result<policy::Scalar> scalar_of(const protocol::Value &m) {
    switch (m.type()) {
    case FWP_EMPTY:
        return policy::Scalar(std::monostate{});
    case FWP_UINT8:
        return integer_of<std::uint8_t>(m.number());
    case FWP_UINT16:
        return integer_of<std::uint16_t>(m.number());
    case FWP_UINT32:
        return integer_of<std::uint32_t>(m.number());
    case FWP_UINT64:
        return integer_of<std::uint64_t>(m.number());
    case FWP_BYTE_ARRAY16_TYPE:
        return array_of<16>(m.data());
    case FWP_BYTE_ARRAY6_TYPE:
        return array_of<6>(m.data());
    case FWP_BYTE_BLOB_TYPE:
        return policy::Scalar(policy::Blob{m.data()});
    case FWP_V4_ADDR_MASK:
        return policy::Scalar(policy::V4Mask{static_cast<std::uint32_t>(m.number()), m.mask()});
    case FWP_V6_ADDR_MASK:
        return v6_prefix_of(m);
    default:
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "values of this type are not supported",
                             std::to_string(m.type()));
    }
}

template <std::size_t N>
std::string text_of(const std::array<std::uint8_t, N> &bytes) {
    return {reinterpret_cast<const char *>(bytes.data()), N};
}

// One overload an alternative of policy::Scalar.
struct ScalarWriter {
    protocol::Value &m;
    void operator()(std::monostate) const { m.set_type(FWP_EMPTY); }
    void operator()(std::uint8_t v) const { number(FWP_UINT8, v); }
    void operator()(std::uint16_t v) const { number(FWP_UINT16, v); }
    void operator()(std::uint32_t v) const { number(FWP_UINT32, v); }
    void operator()(std::uint64_t v) const { number(FWP_UINT64, v); }
    void operator()(const policy::Bytes16 &v) const { data(FWP_BYTE_ARRAY16_TYPE, text_of(v)); }
    void operator()(const policy::Bytes6 &v) const { data(FWP_BYTE_ARRAY6_TYPE, text_of(v)); }
    void operator()(const policy::Blob &v) const { data(FWP_BYTE_BLOB_TYPE, v.bytes); }
    void operator()(const policy::V4Mask &v) const {
        number(FWP_V4_ADDR_MASK, v.address);
        m.set_mask(v.mask);
    }
    void operator()(const policy::V6Prefix &v) const {
        data(FWP_V6_ADDR_MASK, text_of(v.address));
        m.set_mask(v.prefix);
    }
    void number(std::uint32_t type, std::uint64_t value) const {
        m.set_type(type);
        m.set_number(value);
    }
    void data(std::uint32_t type, std::string bytes) const {
        m.set_type(type);
        m.set_data(std::move(bytes));
    }
};

protocol::Value scalar_message(const policy::Scalar &scalar) {
    protocol::Value m;
    std::visit(ScalarWriter{m}, scalar);
    return m;
}

Result<std::uint16_t> layer_from(const std::string &key_bytes, std::uint32_t number) {
    auto key = key_of(key_bytes, "layer key");
    if (!key) return key.error();
    if (!key->is_null()) {
        if (auto layer = layer_of_key(*key)) return *layer;
        return Error::status(STATUS_FWP_LAYER_NOT_FOUND, "no layer", key->text());
    }
    if (number > 0xffff || layer_name(static_cast<std::uint16_t>(number)).empty())
        return Error::status(STATUS_FWP_LAYER_NOT_FOUND, "no layer", std::to_string(number));
    return static_cast<std::uint16_t>(number);
}

} // namespace

std::string layer_name(std::uint16_t layer) {
    constexpr std::string_view prefix = "FWPS_LAYER_";
    for (const auto &row : tables::layers) {
        if (row.id != layer) continue;
        std::string name =
            std::string_view(row.name).starts_with(prefix) ? row.name + prefix.size() : row.name;
        for (char &c : name)
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return name;
    }
    return {};
}

std::optional<std::uint16_t> layer_of_key(const Guid &key) {
    for (const auto &row : tables::layers)
        if (row.management_name != nullptr && guid_of(row.key) == key) return row.id;
    return std::nullopt;
}

Result<policy::Value> from_message(const protocol::Value &m) {
    if (m.type() != FWP_RANGE_TYPE) {
        auto scalar = scalar_of(m);
        if (!scalar) return scalar.error();
        return policy::Value(std::move(*scalar));
    }
    auto low = scalar_of(m.low());
    if (!low) return low.error();
    auto high = scalar_of(m.high());
    if (!high) return high.error();
    return policy::Value(policy::Range{std::move(*low), std::move(*high)});
}

Result<policy::SubLayer> from_message(const protocol::SubLayer &m) {
    policy::SubLayer object;
    auto key = key_of(m.key(), "sublayer key");
    auto provider = key_of(m.provider(), "provider key");
    if (!key) return key.error();
    if (!provider) return provider.error();
    if (m.weight() > 0xffff)
        return Error::status(STATUS_FWP_INVALID_WEIGHT, "sublayer weight",
                             std::to_string(m.weight()));
    object.key = *key;
    object.provider = *provider;
    object.name = m.name();
    object.description = m.description();
    object.flags = m.flags();
    object.weight = static_cast<std::uint16_t>(m.weight());
    return object;
}

Result<policy::Callout> from_message(const protocol::Callout &m) {
    policy::Callout object;
    auto key = key_of(m.key(), "callout key");
    auto provider = key_of(m.provider(), "provider key");
    auto layer = layer_from(m.layer_key(), m.layer());
    if (!key) return key.error();
    if (!provider) return provider.error();
    if (!layer) return layer.error();
    object.key = *key;
    object.provider = *provider;
    object.layer = *layer;
    object.name = m.name();
    object.description = m.description();
    object.flags = m.flags();
    return object;
}

Result<policy::Filter> from_message(const protocol::Filter &m) {
    policy::Filter object;
    auto key = key_of(m.key(), "filter key");
    auto sublayer = key_of(m.sublayer(), "sublayer key");
    auto callout = key_of(m.callout(), "callout key");
    auto provider = key_of(m.provider(), "provider key");
    for (const auto *k : {&key, &sublayer, &callout, &provider})
        if (!*k) return k->error();
    auto layer = layer_from(m.layer_key(), m.layer());
    if (!layer) return layer.error();
    auto weight = from_message(m.weight());
    if (!weight) return weight.error();
    object = {.id = m.id(),
              .key = *key,
              .name = m.name(),
              .description = m.description(),
              .flags = m.flags(),
              .layer = *layer,
              .sublayer = *sublayer,
              .weight = std::move(*weight),
              .effective_weight = m.effective_weight(),
              .conditions = {},
              .action = m.action(),
              .callout = *callout,
              .raw_context = m.raw_context(),
              .provider = *provider,
              .owner = 0};
    for (const auto &c : m.conditions()) {
        auto field = key_of(c.field(), "condition field");
        if (!field) return field.error();
        auto value = from_message(c.value());
        if (!value) return value.error();
        object.conditions.push_back({*field, c.match(), std::move(*value)});
    }
    return object;
}

protocol::Value to_message(const policy::Value &value) {
    if (const auto *scalar = std::get_if<policy::Scalar>(&value)) return scalar_message(*scalar);
    const auto &range = std::get<policy::Range>(value);
    protocol::Value m;
    m.set_type(FWP_RANGE_TYPE);
    *m.mutable_low() = scalar_message(range.low);
    *m.mutable_high() = scalar_message(range.high);
    return m;
}

protocol::SubLayer to_message(const policy::SubLayer &object) {
    protocol::SubLayer m;
    m.set_key(object.key.bytes());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_weight(object.weight);
    m.set_provider(key_bytes(object.provider));
    return m;
}

protocol::Callout to_message(const policy::Callout &object) {
    protocol::Callout m;
    m.set_key(object.key.bytes());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_layer(object.layer);
    m.set_provider(key_bytes(object.provider));
    return m;
}

protocol::Filter to_message(const policy::Filter &object) {
    protocol::Filter m;
    m.set_id(object.id);
    m.set_key(object.key.bytes());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_layer(object.layer);
    m.set_sublayer(key_bytes(object.sublayer));
    *m.mutable_weight() = to_message(object.weight);
    m.set_effective_weight(object.effective_weight);
    m.set_action(object.action);
    m.set_callout(key_bytes(object.callout));
    m.set_raw_context(object.raw_context);
    m.set_provider(key_bytes(object.provider));
    for (const auto &c : object.conditions) {
        auto *out = m.add_conditions();
        out->set_field(c.field.bytes());
        out->set_match(c.match);
        *out->mutable_value() = to_message(c.value);
    }
    return m;
}

} // namespace sluice::store
