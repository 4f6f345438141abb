// SPDX-License-Identifier: Apache-2.0
#include "runtime/filter_object.h"

#include <algorithm>
#include <cstring>

#include "runtime/layer_fields.h"

namespace sluice::runtime {

FWP_BYTE_BLOB *ValueStore::blob(const std::string &data) {
    auto &copy = bytes_.emplace_back(data.size() / sizeof(std::max_align_t) + 1);
    std::memcpy(copy.data(), data.data(), data.size());
    auto &blob = blobs_.emplace_back();
    blob.size = static_cast<UINT32>(data.size());
    blob.data = reinterpret_cast<UINT8 *>(copy.data());
    return &blob;
}

FWP_VALUE0 ValueStore::uint64(std::uint64_t number) {
    FWP_VALUE0 v{};
    v.type = FWP_UINT64;
    v.uint64 = &words_.emplace_back(number);
    return v;
}

FWP_VALUE0 ValueStore::value(const protocol::Value &from) {
    FWP_VALUE0 v{};
    v.type = static_cast<FWP_DATA_TYPE>(from.type());
    const std::uint64_t number = from.number();
    const std::string &data = from.data();
    const auto low32 = static_cast<UINT32>(number);
    switch (v.type) {
    case FWP_UINT8:
        v.uint8 = static_cast<UINT8>(number);
        break;
    case FWP_INT8:
        v.int8 = static_cast<INT8>(number);
        break;
    case FWP_UINT16:
        v.uint16 = static_cast<UINT16>(number);
        break;
    case FWP_INT16:
        v.int16 = static_cast<INT16>(number);
        break;
    case FWP_UINT32:
        v.uint32 = low32;
        break;
    case FWP_INT32:
        v.int32 = static_cast<INT32>(number);
        break;
    case FWP_FLOAT:
        std::memcpy(&v.float32, &low32, sizeof v.float32);
        break;
    case FWP_UINT64:
    case FWP_INT64:
        v.uint64 = &words_.emplace_back(number);
        break;
    case FWP_DOUBLE:
        std::memcpy(v.double64 = &doubles_.emplace_back(), &number, sizeof number);
        break;
    case FWP_BYTE_ARRAY16_TYPE: {
        auto &array = arrays_.emplace_back();
        std::memcpy(array.byteArray16, data.data(),
                    std::min(data.size(), sizeof array.byteArray16));
        v.byteArray16 = &array;
        break;
    }
    case FWP_BYTE_ARRAY6_TYPE: {
        auto &array = addresses_.emplace_back();
        std::memcpy(array.byteArray6, data.data(), std::min(data.size(), sizeof array.byteArray6));
        v.byteArray6 = &array;
        break;
    }
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SECURITY_DESCRIPTOR_TYPE:
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        v.byteBlob = blob(data);
        break;
    case FWP_SID:
        v.sid = reinterpret_cast<SID *>(blob(data)->data);
        break;
    case FWP_UNICODE_STRING_TYPE:
        v.unicodeString = reinterpret_cast<LPWSTR>(blob(data + std::string(2, '\0'))->data);
        break;
    default:
        v.type = FWP_EMPTY;
    }
    return v;
}

FWP_CONDITION_VALUE0 ValueStore::condition_value(const protocol::Value &from) {
    FWP_CONDITION_VALUE0 v{};
    v.type = static_cast<FWP_DATA_TYPE>(from.type());
    if (v.type == FWP_V4_ADDR_MASK) {
        v.v4AddrMask = &v4_.emplace_back(
            FWP_V4_ADDR_AND_MASK{static_cast<UINT32>(from.number()), from.mask()});
    } else if (v.type == FWP_V6_ADDR_MASK) {
        auto &address = v6_.emplace_back();
        std::memcpy(address.addr, from.data().data(),
                    std::min(from.data().size(), sizeof address.addr));
        address.prefixLength = static_cast<UINT8>(from.mask());
        v.v6AddrMask = &address;
    } else if (v.type == FWP_RANGE_TYPE) {
        const FWP_VALUE0 low = value(from.low()), high = value(from.high());
        v.rangeValue = &ranges_.emplace_back(FWP_RANGE0{low, high});
    } else {
        const FWP_VALUE0 plain = value(from);
        static_assert(sizeof plain == sizeof v);
        std::memcpy(&v, &plain, sizeof v);
    }
    return v;
}

namespace {

UINT16 run_time_flags(std::uint32_t flags) {
    UINT16 out = 0;
    if (flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) out |= FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    if (flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED)
        out |= FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    return out;
}

} // namespace

FilterObject::FilterObject(const protocol::Filter &from, std::uint32_t callout_id) {
    key_ = Guid::from_bytes(from.key()).value_or(Guid{});
    for (const auto &c : from.conditions()) {
        FWPS_FILTER_CONDITION0 condition{};
        const Guid field = Guid::from_bytes(c.field()).value_or(Guid{});
        condition.fieldId = field_index(static_cast<std::uint16_t>(from.layer()), field);
        condition.matchType = static_cast<FWP_MATCH_TYPE>(c.match());
        condition.conditionValue = values_.condition_value(c.value());
        conditions_.push_back(condition);
    }
    filter_.filterId = from.id();
    filter_.weight = values_.uint64(from.effective_weight());
    filter_.subLayerWeight = static_cast<UINT16>(from.sublayer_weight());
    filter_.flags = run_time_flags(from.flags());
    filter_.numFilterConditions = static_cast<UINT32>(conditions_.size());
    filter_.filterCondition = conditions_.empty() ? nullptr : conditions_.data();
    filter_.action.type = from.action();
    filter_.action.calloutId = callout_id;
    filter_.context = from.raw_context();
}

} // namespace sluice::runtime
