// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstring>

#include "fwp/convert.h"
#include "runtime/callouts.h"
#include "runtime/text.h"

namespace sluice::fwp {

namespace {

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
    case FWP_UNICODE_STRING_TYPE:
        out.set_data(runtime::to_utf8(v.unicodeString));
        break;
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

Result<void> to_message(const FWPM_FILTER_CONDITION0 &c, protocol::Condition &out) {
    if (c.matchType >= FWP_MATCH_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "read match type");
    out.set_field(runtime::guid_of(c.fieldKey).bytes());
    out.set_match(c.matchType);
    return to_message(c.conditionValue, *out.mutable_value());
}

} // namespace sluice::fwp
