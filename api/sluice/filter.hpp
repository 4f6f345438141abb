// SPDX-License-Identifier: Apache-2.0
// Filters, put together one condition at a time. The builder owns everything that the C structure
// points to, hence deques: their elements do not move.
#pragma once

#include <array>
#include <deque>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "text.hpp"

namespace sluice {

struct PrefixV4 {
    UINT32 address; // host order
    UINT8 length = 32;
};

struct PrefixV6 {
    std::array<UINT8, 16> address; // network order
    UINT8 length = 128;
};

constexpr PrefixV4 v4(UINT8 a, UINT8 b, UINT8 c, UINT8 d, UINT8 length = 32) {
    return {UINT32{a} << 24 | UINT32{b} << 16 | UINT32{c} << 8 | d, length};
}

class Filter {
public:
    explicit Filter(std::string_view name) : name_(name) {
        filter_.displayData.name = name_.data();
        filter_.action.type = FWP_ACTION_PERMIT;
    }
    Filter(const Filter &) = delete;
    Filter &operator=(const Filter &) = delete;

    Filter &layer(const GUID &key) { return filter_.layerKey = key, *this; }
    Filter &sublayer(const GUID &key) { return filter_.subLayerKey = key, *this; }
    Filter &context(UINT64 raw) { return filter_.rawContext = raw, *this; }
    Filter &flags(UINT32 flags) { return filter_.flags = flags, *this; } // FWPM_FILTER_FLAG_*
    Filter &persistent() { return filter_.flags |= FWPM_FILTER_FLAG_PERSISTENT, *this; }
    Filter &boot_time() { return filter_.flags |= FWPM_FILTER_FLAG_BOOTTIME, *this; }
    Filter &key(const GUID &key) { return filter_.filterKey = key, *this; }
    Filter &provider(const GUID &key) {
        provider_ = key;
        filter_.providerKey = &provider_;
        return *this;
    }
    // In place of context(): the callout finds a copy in filter().providerContext.
    Filter &provider_context(const GUID &key) {
        filter_.providerContextKey = key;
        filter_.flags |= FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        return *this;
    }
    Filter &weight(UINT64 exact) {
        weight_ = exact;
        filter_.weight.type = FWP_UINT64;
        filter_.weight.uint64 = &weight_;
        return *this;
    }

    Filter &permit() { return filter_.action.type = FWP_ACTION_PERMIT, *this; }
    Filter &block() { return filter_.action.type = FWP_ACTION_BLOCK, *this; }
    Filter &callout(const GUID &key, FWP_ACTION_TYPE kind = FWP_ACTION_CALLOUT_TERMINATING) {
        filter_.action.type = kind;
        filter_.action.calloutKey = key;
        return *this;
    }

    // How its callout may hold, in milliseconds; set by Engine::add.
    Filter &hold_deadline(UINT32 ms) { return hold_.deadlineInMSec = ms, *this; }
    Filter &hold_outcome(SLUICE_HOLD_OUTCOME what) { return hold_.outcome = what, *this; }

    Filter &protocol(UINT8 number) {
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_UINT8;
        value.uint8 = number;
        return where(FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, value);
    }
    Filter &remote(PrefixV4 p) { return address(FWPM_CONDITION_IP_REMOTE_ADDRESS, p); }
    Filter &remote(const PrefixV6 &p) { return address(FWPM_CONDITION_IP_REMOTE_ADDRESS, p); }
    Filter &local(PrefixV4 p) { return address(FWPM_CONDITION_IP_LOCAL_ADDRESS, p); }
    Filter &local(const PrefixV6 &p) { return address(FWPM_CONDITION_IP_LOCAL_ADDRESS, p); }
    Filter &remote_port(UINT16 low, UINT16 high) {
        return port(FWPM_CONDITION_IP_REMOTE_PORT, low, high);
    }
    Filter &remote_port(UINT16 number) { return remote_port(number, number); }
    Filter &local_port(UINT16 low, UINT16 high) {
        return port(FWPM_CONDITION_IP_LOCAL_PORT, low, high);
    }
    Filter &local_port(UINT16 number) { return local_port(number, number); }

    // Who: the executable at this path (which must exist; throws Error), a user, a group, what runs
    // in a cgroup (path below the cgroup2 root) or container.
    Filter &app(std::string_view path) {
        FWP_BYTE_BLOB *id = nullptr;
        Text text(path);
        check(FwpmGetAppIdFromFileName0(text.data(), &id), "FwpmGetAppIdFromFileName0");
        auto &bytes = bytes_.emplace_back(id->data, id->data + id->size);
        FwpmFreeMemory0(reinterpret_cast<void **>(&id));
        blobs_.push_back({static_cast<UINT32>(bytes.size()), bytes.data()});
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_BYTE_BLOB_TYPE;
        value.byteBlob = &blobs_.back();
        return where(FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL, value);
    }
    Filter &user(UINT32 uid) { return number(FWPM_CONDITION_ALE_USER_ID, uid); }
    Filter &group(UINT32 gid) { return number(SLUICE_CONDITION_ALE_GROUP_ID, gid); }
    Filter &cgroup(std::string_view path) { return text(SLUICE_CONDITION_CGROUP, path); }
    Filter &container(std::string_view name) { return text(SLUICE_CONDITION_CONTAINER, name); }

    // Where and how.
    Filter &interface_index(UINT32 index) { return number(FWPM_CONDITION_INTERFACE_INDEX, index); }
    Filter &interface_name(std::string_view name) {
        return text(SLUICE_CONDITION_INTERFACE_NAME, name);
    }
    Filter &interface_alias(std::string_view alias) {
        return text(SLUICE_CONDITION_INTERFACE_ALIAS, alias);
    }
    Filter &packet_length(UINT32 low, UINT32 high) {
        FWP_RANGE0 &range = ranges_.emplace_back();
        range.valueLow.type = range.valueHigh.type = FWP_UINT32;
        range.valueLow.uint32 = low;
        range.valueHigh.uint32 = high;
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_RANGE_TYPE;
        value.rangeValue = &range;
        return where(SLUICE_CONDITION_PACKET_LENGTH, FWP_MATCH_RANGE, value);
    }
    // FWP_CONDITION_FLAG_*: all, any or none of them.
    Filter &flags_all(UINT32 f) { return number(FWPM_CONDITION_FLAGS, f, FWP_MATCH_FLAGS_ALL_SET); }
    Filter &flags_any(UINT32 f) { return number(FWPM_CONDITION_FLAGS, f, FWP_MATCH_FLAGS_ANY_SET); }
    Filter &flags_none(UINT32 f) {
        return number(FWPM_CONDITION_FLAGS, f, FWP_MATCH_FLAGS_NONE_SET);
    }
    // A field that holds 32 bits, or text.
    Filter &number(const GUID &field, UINT32 n, FWP_MATCH_TYPE match = FWP_MATCH_EQUAL) {
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_UINT32;
        value.uint32 = n;
        return where(field, match, value);
    }
    Filter &text(const GUID &field, std::string_view utf8, FWP_MATCH_TYPE match = FWP_MATCH_EQUAL) {
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_UNICODE_STRING_TYPE;
        value.unicodeString = texts_.emplace_back(utf8).data();
        return where(field, match, value);
    }

    // Any condition. What `value` points to stays the caller's and must live until the filter is
    // added.
    Filter &where(const GUID &field, FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 &value) {
        conditions_.push_back({field, match, value});
        filter_.filterCondition = conditions_.data();
        filter_.numFilterConditions = static_cast<UINT32>(conditions_.size());
        return *this;
    }

    const FWPM_FILTER0 &get() const noexcept { return filter_; }
    // Null: nothing was said about holds.
    const SLUICE_HOLD_OPTIONS0 *hold() const noexcept {
        const bool said = hold_.deadlineInMSec != SLUICE_HOLD_DEADLINE_DEFAULT ||
                          hold_.outcome != SLUICE_HOLD_OUTCOME_DEFAULT;
        return said ? &hold_ : nullptr;
    }

private:
    Filter &address(const GUID &field, PrefixV4 p) {
        const UINT32 mask = p.length == 0 ? 0 : ~UINT32{0} << (32 - p.length);
        v4_.push_back({p.address & mask, mask});
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_V4_ADDR_MASK;
        value.v4AddrMask = &v4_.back();
        return where(field, FWP_MATCH_EQUAL, value);
    }
    Filter &address(const GUID &field, const PrefixV6 &p) {
        FWP_V6_ADDR_AND_MASK &stored = v6_.emplace_back();
        for (std::size_t i = 0; i < p.address.size(); ++i)
            stored.addr[i] = p.address[i];
        stored.prefixLength = p.length;
        FWP_CONDITION_VALUE0 value{};
        value.type = FWP_V6_ADDR_MASK;
        value.v6AddrMask = &stored;
        return where(field, FWP_MATCH_EQUAL, value);
    }
    Filter &port(const GUID &field, UINT16 low, UINT16 high) {
        FWP_CONDITION_VALUE0 value{};
        if (low == high) {
            value.type = FWP_UINT16;
            value.uint16 = low;
            return where(field, FWP_MATCH_EQUAL, value);
        }
        FWP_RANGE0 &range = ranges_.emplace_back();
        range.valueLow.type = range.valueHigh.type = FWP_UINT16;
        range.valueLow.uint16 = low;
        range.valueHigh.uint16 = high;
        value.type = FWP_RANGE_TYPE;
        value.rangeValue = &range;
        return where(field, FWP_MATCH_RANGE, value);
    }

    Text name_;
    FWPM_FILTER0 filter_{};
    UINT64 weight_ = 0;
    std::vector<FWPM_FILTER_CONDITION0> conditions_;
    std::deque<FWP_V4_ADDR_AND_MASK> v4_;
    std::deque<FWP_V6_ADDR_AND_MASK> v6_;
    std::deque<FWP_RANGE0> ranges_;
    std::deque<Text> texts_;
    std::deque<std::vector<UINT8>> bytes_;
    std::deque<FWP_BYTE_BLOB> blobs_;
    GUID provider_{};
    SLUICE_HOLD_OPTIONS0 hold_{};
};

} // namespace sluice
