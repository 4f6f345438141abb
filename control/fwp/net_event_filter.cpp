// SPDX-License-Identifier: Apache-2.0
#include "fwp/net_event_filter.h"

#include <algorithm>
#include <map>
#include <vector>

#include "fwp/objects.h"
#include "runtime/callouts.h"
#include "runtime/text.h"

namespace sluice::fwp {

namespace {

std::string big_endian(std::uint64_t number, std::size_t size) {
    std::string out(size, 0);
    for (std::size_t i = size; i > 0; --i, number >>= 8)
        out[i - 1] = static_cast<char>(number);
    return out;
}
std::string number(std::uint64_t n) {
    return big_endian(n, sizeof n);
}

using Take = std::string (*)(const protocol::NetEvent &); // empty: the event has no such value

struct Field {
    Take value;
    std::vector<FWP_DATA_TYPE> types;
};

std::string app_id(const protocol::NetEvent &e) {
    if (e.exe().empty()) return {};
    const std::u16string wide = runtime::to_utf16(e.exe());
    return {reinterpret_cast<const char *>(wide.c_str()), (wide.size() + 1) * sizeof(char16_t)};
}

const std::map<std::string, Field> &fields() {
    const auto key = [](const GUID &g) { return runtime::guid_of(g).bytes(); };
    static const std::map<std::string, Field> all{
        {key(FWPM_CONDITION_IP_PROTOCOL),
         {[](const auto &e) { return number(e.protocol()); }, {FWP_UINT8}}},
        {key(FWPM_CONDITION_IP_LOCAL_PORT),
         {[](const auto &e) { return number(e.local_port()); }, {FWP_UINT16}}},
        {key(FWPM_CONDITION_IP_REMOTE_PORT),
         {[](const auto &e) { return number(e.remote_port()); }, {FWP_UINT16}}},
        {key(FWPM_CONDITION_IP_LOCAL_ADDRESS),
         {[](const auto &e) { return e.local(); },
          {FWP_UINT32, FWP_V4_ADDR_MASK, FWP_BYTE_ARRAY16_TYPE, FWP_V6_ADDR_MASK}}},
        {key(FWPM_CONDITION_IP_REMOTE_ADDRESS),
         {[](const auto &e) { return e.remote(); },
          {FWP_UINT32, FWP_V4_ADDR_MASK, FWP_BYTE_ARRAY16_TYPE, FWP_V6_ADDR_MASK}}},
        {key(FWPM_CONDITION_ALE_APP_ID), {app_id, {FWP_BYTE_BLOB_TYPE}}},
        {key(FWPM_CONDITION_ALE_USER_ID),
         {[](const auto &e) { return e.uid_known() ? number(e.uid()) : std::string(); },
          {FWP_UINT32}}},
        {key(FWPM_CONDITION_NET_EVENT_TYPE),
         {[](const auto &e) { return number(e.type()); }, {FWP_UINT32}}},
        {key(FWPM_CONDITION_DIRECTION),
         {[](const auto &e) { return number(e.direction()); }, {FWP_UINT32}}},
    };
    return all;
}

// A single value as the field's bytes.
std::string bytes_of(const protocol::Value &v, bool address) {
    if (v.type() == FWP_UINT32 && address) return big_endian(v.number(), 4);
    return v.data().empty() ? number(v.number()) : v.data();
}

std::string prefix_mask(std::uint32_t length) {
    std::string mask(16, 0);
    for (std::uint32_t bit = 0; bit < length && bit < 128; ++bit)
        mask[bit / 8] = static_cast<char>(mask[bit / 8] | 0x80 >> bit % 8);
    return mask;
}

std::string masked(std::string value, const std::string &mask) {
    for (std::size_t i = 0; i < mask.size() && i < value.size(); ++i)
        value[i] = static_cast<char>(value[i] & mask[i]);
    return value;
}

} // namespace

Result<NetEventFilter::Test> NetEventFilter::test_of(const FWPM_FILTER_CONDITION0 &condition) {
    protocol::Condition c;
    if (auto good = to_message(condition, c); !good) return good.error();
    const auto field = fields().find(c.field());
    if (field == fields().end())
        return refuse(STATUS_FWP_CONDITION_NOT_FOUND, "compare with a net event");
    const bool range = c.match() == FWP_MATCH_RANGE;
    if (!range && c.match() != FWP_MATCH_EQUAL && c.match() != FWP_MATCH_NOT_EQUAL)
        return refuse(STATUS_FWP_MATCH_TYPE_MISMATCH, "compare with a net event");
    const protocol::Value &one = range ? c.value().low() : c.value();
    if (range != (c.value().type() == FWP_RANGE_TYPE) ||
        std::find(field->second.types.begin(), field->second.types.end(), one.type()) ==
            field->second.types.end() ||
        (range && one.type() != c.value().high().type()))
        return refuse(STATUS_FWP_TYPE_MISMATCH, "compare with a net event");
    const bool address = field->second.types.size() > 1;
    Test test{c.field(), c.match(), {}, {}, {}};
    if (one.type() == FWP_V4_ADDR_MASK) {
        test.mask = big_endian(one.mask(), 4);
        test.low = masked(big_endian(one.number(), 4), test.mask);
    } else {
        if (one.type() == FWP_V6_ADDR_MASK) test.mask = prefix_mask(one.mask());
        test.low = masked(bytes_of(one, address), test.mask);
    }
    test.high = range ? bytes_of(c.value().high(), address) : test.low;
    return test;
}

Result<NetEventFilter> NetEventFilter::make(const FWPM_NET_EVENT_ENUM_TEMPLATE0 *limits) {
    NetEventFilter filter;
    if (!limits) return filter;
    if (limits->numFilterConditions > 0 && !limits->filterCondition)
        return refuse(STATUS_FWP_NULL_POINTER, "read conditions");
    for (UINT32 i = 0; i < limits->numFilterConditions; ++i) {
        auto test = test_of(limits->filterCondition[i]);
        if (!test) return test.error();
        filter.tests_.push_back(*std::move(test));
    }
    return filter;
}

bool NetEventFilter::admits(const protocol::NetEvent &event) const {
    std::map<std::string, bool> held;
    for (const Test &test : tests_) {
        std::string value = fields().at(test.field).value(event);
        const bool comparable = value.size() == test.low.size();
        value = masked(std::move(value), test.mask);
        const bool inside = comparable && test.low <= value && value <= test.high;
        const bool known = !value.empty();
        const bool holds = test.match == FWP_MATCH_NOT_EQUAL ? known && !inside : known && inside;
        held[test.field] = held[test.field] || holds;
    }
    for (const auto &[field, holds] : held)
        if (!holds) return false;
    return true;
}

} // namespace sluice::fwp
