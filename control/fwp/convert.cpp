// SPDX-License-Identifier: Apache-2.0
#include "fwp/convert.h"

#include "runtime/callouts.h"
#include "runtime/text.h"

namespace sluice::fwp {

namespace {

constexpr UINT32 filter_flags = 0x7FFF, callout_flags = FWPM_CALLOUT_FLAG_PERSISTENT |
                                                        FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT |
                                                        0x7FF;
constexpr UINT32 filter_enum_flags =
    FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH | FWP_FILTER_ENUM_FLAG_SORTED |
    FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME |
    FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED;

std::string bytes_of(const GUID &g) {
    return runtime::guid_of(g).bytes();
}
bool is_null(const GUID &g) {
    return runtime::guid_of(g).is_null();
}
// Generated here, so that the caller's process knows what it added.
std::string key_or_new(const GUID &g) {
    return is_null(g) ? Guid::random().bytes() : bytes_of(g);
}

Result<void> blob(const FWP_BYTE_BLOB &from, std::string &out) {
    if (from.size > 0 && !from.data) return refuse(STATUS_FWP_NULL_POINTER, "read data");
    out.assign(reinterpret_cast<const char *>(from.data), from.size);
    return {};
}

// Key, texts, flags and data, which every object has.
template <typename Struct, typename Message>
Result<void> common(const Struct &from, const GUID &key, UINT32 known_flags, Message &out) {
    const FWPM_DISPLAY_DATA0 &display = from.displayData;
    if (!display.name || !display.name[0])
        return refuse(STATUS_FWP_NULL_DISPLAY_NAME, "read display name");
    if (from.flags & ~known_flags) return refuse(STATUS_FWP_INVALID_FLAGS, "read flags");
    out.set_key(key_or_new(key));
    out.set_name(runtime::to_utf8(display.name));
    out.set_description(runtime::to_utf8(display.description));
    out.set_flags(from.flags);
    return blob(from.providerData, *out.mutable_provider_data());
}

Result<void> conditions(const FWPM_FILTER_CONDITION0 *from, UINT32 count,
                        google::protobuf::RepeatedPtrField<protocol::Condition> &out) {
    if (count > 0 && !from) return refuse(STATUS_FWP_NULL_POINTER, "read conditions");
    for (UINT32 i = 0; i < count; ++i)
        if (auto good = to_message(from[i], *out.Add()); !good) return good;
    return {};
}

Result<void> weight(const FWP_VALUE0 &from, protocol::Value &out) {
    auto good = to_message(from, out);
    if (good || good.error().ntstatus == std::uint32_t(STATUS_FWP_NULL_POINTER)) return good;
    return refuse(STATUS_FWP_INVALID_WEIGHT, "read weight");
}

} // namespace

Result<void> to_message(const FWPM_PROVIDER0 &p, protocol::Provider &out) {
    if (auto good = common(p, p.providerKey, FWPM_PROVIDER_FLAG_PERSISTENT, out); !good)
        return good;
    out.set_service_name(runtime::to_utf8(p.serviceName));
    return {};
}

Result<void> to_message(const FWPM_PROVIDER_CONTEXT0 &c, protocol::ProviderContext &out) {
    if (auto good = common(c, c.providerContextKey, FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT, out);
        !good)
        return good;
    if (c.type >= FWPM_PROVIDER_CONTEXT_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read provider context type");
    if (c.type != FWPM_GENERAL_CONTEXT)
        return refuse(STATUS_NOT_SUPPORTED, "use a provider context that is not general");
    if (!c.dataBuffer) return refuse(STATUS_FWP_NULL_POINTER, "read provider context data");
    if (c.providerKey) out.set_provider(bytes_of(*c.providerKey));
    out.set_type(c.type);
    return blob(*c.dataBuffer, *out.mutable_data());
}

Result<void> to_message(const FWPM_SUBLAYER0 &s, protocol::SubLayer &out) {
    if (auto good = common(s, s.subLayerKey, FWPM_SUBLAYER_FLAG_PERSISTENT, out); !good)
        return good;
    out.set_weight(s.weight);
    if (s.providerKey) out.set_provider(bytes_of(*s.providerKey));
    return {};
}

Result<void> to_message(const FWPM_CALLOUT0 &c, protocol::Callout &out) {
    if (auto good = common(c, c.calloutKey, callout_flags, out); !good) return good;
    out.set_layer_key(bytes_of(c.applicableLayer));
    if (c.providerKey) out.set_provider(bytes_of(*c.providerKey));
    return {};
}

Result<void> to_message(const FWPM_FILTER0 &f, protocol::Filter &out) {
    if (auto good = common(f, f.filterKey, filter_flags, out); !good) return good;
    out.set_layer_key(bytes_of(f.layerKey));
    if (!is_null(f.subLayerKey)) out.set_sublayer(bytes_of(f.subLayerKey));
    if (auto good = weight(f.weight, *out.mutable_weight()); !good) return good;
    if (auto good = conditions(f.filterCondition, f.numFilterConditions, *out.mutable_conditions());
        !good)
        return good;
    out.set_action(f.action.type);
    if (f.action.type & FWP_ACTION_FLAG_CALLOUT) out.set_callout(bytes_of(f.action.calloutKey));
    if (f.flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT)
        out.set_provider_context(bytes_of(f.providerContextKey));
    else
        out.set_raw_context(f.rawContext);
    if (f.providerKey) out.set_provider(bytes_of(*f.providerKey));
    return {};
}

// ---- templates ----

Result<void> to_message(const FWPM_PROVIDER_ENUM_TEMPLATE0 &, protocol::ObjectEnum &) {
    return {};
}

Result<void> to_message(const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 &t, protocol::ObjectEnum &out) {
    if (t.providerContextType >= FWPM_PROVIDER_CONTEXT_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read provider context type");
    if (t.providerKey) out.set_provider(bytes_of(*t.providerKey));
    out.set_provider_context_type(t.providerContextType);
    return {};
}

Result<void> to_message(const FWPM_SUBLAYER_ENUM_TEMPLATE0 &t, protocol::ObjectEnum &out) {
    if (t.providerKey) out.set_provider(bytes_of(*t.providerKey));
    return {};
}

Result<void> to_message(const FWPM_CALLOUT_ENUM_TEMPLATE0 &t, protocol::ObjectEnum &out) {
    if (t.providerKey) out.set_provider(bytes_of(*t.providerKey));
    if (!is_null(t.layerKey)) out.set_layer_key(bytes_of(t.layerKey));
    return {};
}

Result<void> to_message(const FWPM_FILTER_ENUM_TEMPLATE0 &t, protocol::ObjectEnum &out) {
    if (t.enumType >= FWP_FILTER_ENUM_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read enumeration type");
    if (t.flags & ~filter_enum_flags) return refuse(STATUS_FWP_INVALID_FLAGS, "read flags");
    if (t.providerKey) out.set_provider(bytes_of(*t.providerKey));
    if (!is_null(t.layerKey)) out.set_layer_key(bytes_of(t.layerKey));
    out.set_enum_type(t.enumType);
    out.set_flags(t.flags);
    if (t.providerContextTemplate)
        if (auto good = to_message(*t.providerContextTemplate, out); !good) return good;
    out.set_action_mask(t.actionMask == ~UINT32{0} ? 0 : t.actionMask);
    if (t.calloutKey) out.set_callout(bytes_of(*t.calloutKey));
    return conditions(t.filterCondition, t.numFilterConditions, *out.mutable_conditions());
}

} // namespace sluice::fwp
