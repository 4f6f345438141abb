// SPDX-License-Identifier: Apache-2.0
#include "store/wire.h"

#include <algorithm>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

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

Result<std::uint16_t> layer_from(const std::string &key_bytes, std::uint32_t number) {
    auto key = key_of(key_bytes, "layer key");
    if (!key) return key.error();
    if (!key->is_null()) {
        if (auto layer = layer_of_key(*key)) return *layer;
        return Error::status(STATUS_FWP_LAYER_NOT_FOUND, "no layer", key->text());
    }
    const bool known = std::any_of(std::begin(tables::layers), std::end(tables::layers),
                                   [number](const auto &row) { return row.id == number; });
    if (!known)
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

Result<policy::Provider> from_message(const protocol::Provider &m) {
    policy::Provider object;
    auto key = key_of(m.key(), "provider key");
    if (!key) return key.error();
    object.key = *key;
    object.name = m.name();
    object.description = m.description();
    object.flags = m.flags();
    object.data = m.provider_data();
    object.service_name = m.service_name();
    return object;
}

Result<policy::ProviderContext> from_message(const protocol::ProviderContext &m) {
    policy::ProviderContext object;
    auto key = key_of(m.key(), "provider context key");
    auto provider = key_of(m.provider(), "provider key");
    if (!key) return key.error();
    if (!provider) return provider.error();
    object.id = m.id();
    object.key = *key;
    object.name = m.name();
    object.description = m.description();
    object.flags = m.flags();
    object.provider = *provider;
    object.provider_data = m.provider_data();
    object.type = m.type();
    object.data = m.data();
    return object;
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
    object.provider_data = m.provider_data();
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
    object.id = m.id();
    object.name = m.name();
    object.description = m.description();
    object.flags = m.flags();
    object.provider_data = m.provider_data();
    return object;
}

Result<policy::Condition> from_message(const protocol::Condition &m) {
    auto field = key_of(m.field(), "condition field");
    if (!field) return field.error();
    auto value = from_message(m.value());
    if (!value) return value.error();
    return policy::Condition{*field, m.match(), std::move(*value)};
}

Result<policy::HoldOptions> from_message(const protocol::HoldOptions &m) {
    if (!protocol::Outcome_IsValid(m.outcome()))
        return Error::status(STATUS_FWP_INVALID_ENUMERATOR, "outcome of a hold",
                             std::to_string(m.outcome()));
    return policy::HoldOptions{m.deadline_ms(), static_cast<policy::Outcome>(m.outcome())};
}

protocol::HoldOptions to_message(const policy::HoldOptions &object) {
    protocol::HoldOptions m;
    m.set_deadline_ms(object.deadline_ms);
    m.set_outcome(static_cast<protocol::Outcome>(object.outcome));
    return m;
}

protocol::Filter to_message(const policy::Filter &object) {
    protocol::Filter m;
    write_message(object, m);
    return m;
}

Result<policy::Filter> from_message(const protocol::Filter &m) {
    policy::Filter object;
    auto key = key_of(m.key(), "filter key");
    auto sublayer = key_of(m.sublayer(), "sublayer key");
    auto callout = key_of(m.callout(), "callout key");
    auto provider = key_of(m.provider(), "provider key");
    auto context = key_of(m.provider_context(), "provider context key");
    for (const auto *k : {&key, &sublayer, &callout, &provider, &context})
        if (!*k) return k->error();
    auto layer = layer_from(m.layer_key(), m.layer());
    if (!layer) return layer.error();
    auto weight = from_message(m.weight());
    if (!weight) return weight.error();
    auto hold = from_message(m.hold());
    if (!hold) return hold.error();
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
              .owner = 0,
              .provider_data = m.provider_data(),
              .provider_context = *context,
              .hold = *hold};
    for (const auto &c : m.conditions()) {
        auto condition = from_message(c);
        if (!condition) return condition.error();
        object.conditions.push_back(std::move(*condition));
    }
    return object;
}

protocol::Provider to_message(const policy::Provider &object) {
    protocol::Provider m;
    m.set_key(object.key.bytes());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_provider_data(object.data);
    m.set_service_name(object.service_name);
    return m;
}

protocol::ProviderContext to_message(const policy::ProviderContext &object) {
    protocol::ProviderContext m;
    m.set_id(object.id);
    m.set_key(object.key.bytes());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_provider(key_bytes(object.provider));
    m.set_provider_data(object.provider_data);
    m.set_type(object.type);
    m.set_data(object.data);
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
    m.set_provider_data(object.provider_data);
    return m;
}

protocol::Callout to_message(const policy::Callout &object) {
    protocol::Callout m;
    m.set_key(object.key.bytes());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_layer(object.layer);
    m.set_id(object.id);
    m.set_provider(key_bytes(object.provider));
    m.set_provider_data(object.provider_data);
    return m;
}

namespace {

// Into the bytes that the message has.
void write_key(const Guid &key, std::string &bytes) {
    bytes.assign(reinterpret_cast<const char *>(&key), sizeof key);
}
void write_key_or_none(const Guid &key, std::string &bytes) {
    if (!key.is_null()) write_key(key, bytes);
}

} // namespace

void write_message(const policy::Filter &object, protocol::Filter &m) {
    m.Clear();
    m.set_id(object.id);
    write_key(object.key, *m.mutable_key());
    m.set_name(object.name);
    m.set_description(object.description);
    m.set_flags(object.flags);
    m.set_layer(object.layer);
    write_key_or_none(object.sublayer, *m.mutable_sublayer());
    write_message(object.weight, *m.mutable_weight());
    m.set_effective_weight(object.effective_weight);
    m.set_action(object.action);
    write_key_or_none(object.callout, *m.mutable_callout());
    m.set_raw_context(object.raw_context);
    write_key_or_none(object.provider, *m.mutable_provider());
    m.set_provider_data(object.provider_data);
    write_key_or_none(object.provider_context, *m.mutable_provider_context());
    if (object.hold != policy::HoldOptions()) *m.mutable_hold() = to_message(object.hold);
    for (const auto &c : object.conditions) {
        auto *out = m.add_conditions();
        write_key(c.field, *out->mutable_field());
        out->set_match(c.match);
        write_message(c.value, *out->mutable_value());
    }
}

void append_objects(const policy::Filters &filters,
                    const std::function<bool(const policy::Filter &)> &chosen,
                    std::string &objects) {
    protocol::Filter message;
    google::protobuf::io::StringOutputStream stream(&objects);
    google::protobuf::io::CodedOutputStream out(&stream);
    for (const auto &[id, filter] : filters) {
        if (!chosen(filter)) continue;
        write_message(filter, message);
        (void)message.ByteSizeLong(); // which WriteMessage takes for known
        google::protobuf::internal::WireFormatLite::WriteMessage(
            protocol::Objects::kFiltersFieldNumber, message, &out);
    }
}

} // namespace sluice::store
