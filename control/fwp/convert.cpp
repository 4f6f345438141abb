// SPDX-License-Identifier: Apache-2.0
#include "fwp/convert.h"

#include <cstring>

#include "runtime/callouts.h"
#include "runtime/text.h"

namespace sluice::fwp {

namespace {

constexpr UINT32 filter_flags = 0x7FFF, callout_flags = FWPM_CALLOUT_FLAG_PERSISTENT |
                                                        FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT |
                                                        0x7FF;

Error refuse(NTSTATUS status, const char *what) {
    return Error::status(std::uint32_t(status), what);
}

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

template <typename Message>
Result<void> display(const FWPM_DISPLAY_DATA0 &data, Message &out) {
    if (!data.name || !data.name[0])
        return refuse(STATUS_FWP_NULL_DISPLAY_NAME, "read display name");
    out.set_name(runtime::to_utf8(data.name));
    out.set_description(runtime::to_utf8(data.description));
    return {};
}

Result<void> null_value() {
    return refuse(STATUS_FWP_NULL_POINTER, "read value");
}

std::size_t sid_bytes(const SID &sid) {
    return offsetof(SID, SubAuthority) + sid.SubAuthorityCount * sizeof(DWORD);
}

Result<void> pointed(const FWP_CONDITION_VALUE0 &v, protocol::Value &out) {
    if (!v.uint64) return null_value(); // any pointer member: they share their place
    switch (v.type) {
    case FWP_UINT64:
    case FWP_INT64:
        out.set_number(*v.uint64);
        break;
    case FWP_DOUBLE: {
        std::uint64_t number = 0;
        std::memcpy(&number, v.double64, sizeof number);
        out.set_number(number);
        break;
    }
    case FWP_BYTE_ARRAY16_TYPE:
        out.set_data(v.byteArray16->byteArray16, sizeof v.byteArray16->byteArray16);
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        out.set_data(v.byteArray6->byteArray6, sizeof v.byteArray6->byteArray6);
        break;
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SECURITY_DESCRIPTOR_TYPE:
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        if (v.byteBlob->size > 0 && !v.byteBlob->data) return null_value();
        out.set_data(v.byteBlob->data, v.byteBlob->size);
        break;
    case FWP_SID:
        out.set_data(v.sid, sid_bytes(*v.sid));
        break;
    case FWP_UNICODE_STRING_TYPE: {
        std::size_t units = 0;
        while (v.unicodeString[units])
            ++units;
        out.set_data(v.unicodeString, units * sizeof(WCHAR));
        break;
    }
    case FWP_V4_ADDR_MASK:
        out.set_number(v.v4AddrMask->addr);
        out.set_mask(v.v4AddrMask->mask);
        break;
    case FWP_V6_ADDR_MASK:
        out.set_data(v.v6AddrMask->addr, sizeof v.v6AddrMask->addr);
        out.set_mask(v.v6AddrMask->prefixLength);
        break;
    case FWP_RANGE_TYPE:
        if (auto low = to_message(v.rangeValue->valueLow, *out.mutable_low()); !low) return low;
        return to_message(v.rangeValue->valueHigh, *out.mutable_high());
    case FWP_TOKEN_INFORMATION_TYPE:
        return refuse(STATUS_FWP_TYPE_MISMATCH, "send token information");
    default:
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read value type");
    }
    return {};
}

} // namespace

Result<void> to_message(const FWP_CONDITION_VALUE0 &v, protocol::Value &out) {
    out.set_type(v.type);
    switch (v.type) {
    case FWP_EMPTY:
        return {};
    case FWP_UINT8:
        out.set_number(v.uint8);
        return {};
    case FWP_UINT16:
        out.set_number(v.uint16);
        return {};
    case FWP_UINT32:
        out.set_number(v.uint32);
        return {};
    case FWP_INT8:
        out.set_number(std::uint64_t(std::int64_t(v.int8)));
        return {};
    case FWP_INT16:
        out.set_number(std::uint64_t(std::int64_t(v.int16)));
        return {};
    case FWP_INT32:
        out.set_number(std::uint64_t(std::int64_t(v.int32)));
        return {};
    case FWP_FLOAT: {
        std::uint32_t number = 0;
        std::memcpy(&number, &v.float32, sizeof number);
        out.set_number(number);
        return {};
    }
    case FWP_UINT64:
    case FWP_INT64:
    case FWP_DOUBLE:
    case FWP_BYTE_ARRAY16_TYPE:
    case FWP_BYTE_ARRAY6_TYPE:
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SECURITY_DESCRIPTOR_TYPE:
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
    case FWP_SID:
    case FWP_UNICODE_STRING_TYPE:
    case FWP_V4_ADDR_MASK:
    case FWP_V6_ADDR_MASK:
    case FWP_RANGE_TYPE:
    case FWP_TOKEN_INFORMATION_TYPE:
        return pointed(v, out);
    default:
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read value type");
    }
}

Result<void> to_message(const FWP_VALUE0 &v, protocol::Value &out) {
    if (v.type > FWP_SINGLE_DATA_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read value type");
    FWP_CONDITION_VALUE0 wide{};
    static_assert(sizeof wide == sizeof v);
    std::memcpy(&wide, &v, sizeof v);
    return to_message(wide, out);
}

Result<void> to_message(const FWPM_FILTER0 &f, protocol::Filter &out) {
    if (auto named = display(f.displayData, out); !named) return named;
    if (f.flags & ~filter_flags) return refuse(STATUS_FWP_INVALID_FLAGS, "read filter flags");
    if (f.flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT)
        return refuse(STATUS_NOT_SUPPORTED, "use provider context");
    if (f.numFilterConditions > 0 && !f.filterCondition)
        return refuse(STATUS_FWP_NULL_POINTER, "read conditions");
    out.set_key(key_or_new(f.filterKey));
    out.set_flags(f.flags);
    out.set_layer_key(bytes_of(f.layerKey));
    if (!is_null(f.subLayerKey)) out.set_sublayer(bytes_of(f.subLayerKey));
    if (auto weight = to_message(f.weight, *out.mutable_weight()); !weight)
        return weight.error().ntstatus == std::uint32_t(STATUS_FWP_NULL_POINTER)
                   ? weight
                   : Result<void>(refuse(STATUS_FWP_INVALID_WEIGHT, "read weight"));
    for (UINT32 i = 0; i < f.numFilterConditions; ++i) {
        const FWPM_FILTER_CONDITION0 &c = f.filterCondition[i];
        auto &condition = *out.add_conditions();
        if (c.matchType >= FWP_MATCH_TYPE_MAX)
            return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read match type");
        condition.set_field(bytes_of(c.fieldKey));
        condition.set_match(c.matchType);
        if (auto value = to_message(c.conditionValue, *condition.mutable_value()); !value)
            return value;
    }
    out.set_action(f.action.type);
    if (f.action.type & FWP_ACTION_FLAG_CALLOUT) out.set_callout(bytes_of(f.action.calloutKey));
    out.set_raw_context(f.rawContext);
    if (f.providerKey) out.set_provider(bytes_of(*f.providerKey));
    return {};
}

Result<void> to_message(const FWPM_SUBLAYER0 &s, protocol::SubLayer &out) {
    if (auto named = display(s.displayData, out); !named) return named;
    if (s.flags & ~FWPM_SUBLAYER_FLAG_PERSISTENT)
        return refuse(STATUS_FWP_INVALID_FLAGS, "read sublayer flags");
    out.set_key(key_or_new(s.subLayerKey));
    out.set_flags(s.flags);
    out.set_weight(s.weight);
    if (s.providerKey) out.set_provider(bytes_of(*s.providerKey));
    return {};
}

Result<void> to_message(const FWPM_CALLOUT0 &c, protocol::Callout &out) {
    if (auto named = display(c.displayData, out); !named) return named;
    if (c.flags & ~callout_flags) return refuse(STATUS_FWP_INVALID_FLAGS, "read callout flags");
    out.set_key(key_or_new(c.calloutKey));
    out.set_flags(c.flags);
    out.set_layer_key(bytes_of(c.applicableLayer));
    if (c.providerKey) out.set_provider(bytes_of(*c.providerKey));
    return {};
}

} // namespace sluice::fwp
