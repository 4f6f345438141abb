// SPDX-License-Identifier: Apache-2.0
#include "runtime/values.h"

#include <algorithm>
#include <cstring>

namespace sluice::runtime {

namespace {

template <typename T>
T *array(Arena &arena, const std::string &bytes) {
    T *to = arena.make<T>();
    std::memcpy(to, bytes.data(), std::min(bytes.size(), sizeof(T)));
    return to;
}

template <typename T>
T *number_at(Arena &arena, std::uint64_t number) {
    static_assert(sizeof(T) == sizeof number);
    T *to = arena.make<T>();
    std::memcpy(to, &number, sizeof number);
    return to;
}

FWP_BYTE_BLOB *blob_at(Arena &arena, const std::string &bytes) {
    auto *to = arena.make<FWP_BYTE_BLOB>();
    *to = to_blob(arena, bytes);
    return to;
}

// Held in the structure itself; false for the other types.
bool plain(FWP_VALUE0 &v, std::uint64_t number) {
    const auto low32 = static_cast<UINT32>(number);
    switch (v.type) {
    case FWP_UINT8:
        v.uint8 = static_cast<UINT8>(number);
        return true;
    case FWP_INT8:
        v.int8 = static_cast<INT8>(number);
        return true;
    case FWP_UINT16:
        v.uint16 = static_cast<UINT16>(number);
        return true;
    case FWP_INT16:
        v.int16 = static_cast<INT16>(number);
        return true;
    case FWP_UINT32:
        v.uint32 = low32;
        return true;
    case FWP_INT32:
        v.int32 = static_cast<INT32>(number);
        return true;
    case FWP_FLOAT:
        std::memcpy(&v.float32, &low32, sizeof v.float32);
        return true;
    default:
        return false;
    }
}

} // namespace

FWP_BYTE_BLOB to_blob(Arena &arena, std::string_view bytes) {
    return {static_cast<UINT32>(bytes.size()), static_cast<UINT8 *>(arena.copy(bytes))};
}

GUID to_guid(std::string_view bytes) {
    GUID key{};
    if (bytes.size() == sizeof key) std::memcpy(&key, bytes.data(), sizeof key);
    return key;
}

GUID *to_optional_guid(Arena &arena, std::string_view bytes) {
    if (bytes.empty()) return nullptr;
    auto *key = arena.make<GUID>();
    *key = to_guid(bytes);
    return key;
}

FWP_VALUE0 to_value(Arena &arena, std::uint64_t number) {
    FWP_VALUE0 v{};
    v.type = FWP_UINT64;
    v.uint64 = number_at<UINT64>(arena, number);
    return v;
}

FWP_VALUE0 to_value(Arena &arena, const protocol::Value &from) {
    FWP_VALUE0 v{};
    v.type = static_cast<FWP_DATA_TYPE>(from.type());
    if (plain(v, from.number())) return v;
    switch (v.type) {
    case FWP_UINT64:
        v.uint64 = number_at<UINT64>(arena, from.number());
        break;
    case FWP_INT64:
        v.int64 = number_at<INT64>(arena, from.number());
        break;
    case FWP_DOUBLE:
        v.double64 = number_at<double>(arena, from.number());
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        v.byteArray16 = array<FWP_BYTE_ARRAY16>(arena, from.data());
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        v.byteArray6 = array<FWP_BYTE_ARRAY6>(arena, from.data());
        break;
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SECURITY_DESCRIPTOR_TYPE:
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        v.byteBlob = blob_at(arena, from.data());
        break;
    case FWP_SID:
        v.sid = reinterpret_cast<SID *>(arena.copy(from.data()));
        break;
    case FWP_UNICODE_STRING_TYPE:
        v.unicodeString = reinterpret_cast<LPWSTR>(arena.text(from.data()));
        break;
    default:
        v.type = FWP_EMPTY;
    }
    return v;
}

FWP_CONDITION_VALUE0 to_condition_value(Arena &arena, const protocol::Value &from) {
    FWP_CONDITION_VALUE0 v{};
    v.type = static_cast<FWP_DATA_TYPE>(from.type());
    if (v.type == FWP_V4_ADDR_MASK) {
        v.v4AddrMask = arena.make<FWP_V4_ADDR_AND_MASK>();
        *v.v4AddrMask = {static_cast<UINT32>(from.number()), from.mask()};
    } else if (v.type == FWP_V6_ADDR_MASK) {
        v.v6AddrMask = arena.make<FWP_V6_ADDR_AND_MASK>();
        std::memcpy(v.v6AddrMask->addr, from.data().data(),
                    std::min(from.data().size(), sizeof v.v6AddrMask->addr));
        v.v6AddrMask->prefixLength = static_cast<UINT8>(from.mask());
    } else if (v.type == FWP_RANGE_TYPE) {
        v.rangeValue = arena.make<FWP_RANGE0>();
        *v.rangeValue = {to_value(arena, from.low()), to_value(arena, from.high())};
    } else {
        const FWP_VALUE0 same = to_value(arena, from);
        static_assert(sizeof same == sizeof v);
        std::memcpy(&v, &same, sizeof v);
    }
    return v;
}

void fill(Arena &arena, const protocol::ProviderContext &from, FWPM_PROVIDER_CONTEXT3 &to) {
    to.providerContextKey = to_guid(from.key());
    to.displayData = to_display(arena, from);
    to.flags = from.flags();
    to.providerKey = to_optional_guid(arena, from.provider());
    to.providerData = to_blob(arena, from.provider_data());
    to.type = static_cast<FWPM_PROVIDER_CONTEXT_TYPE>(from.type());
    to.dataBuffer = blob_at(arena, from.data());
    to.providerContextId = from.id();
}

} // namespace sluice::runtime
