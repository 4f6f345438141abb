// SPDX-License-Identifier: Apache-2.0
#include "policyfile/complement.h"

#include <algorithm>
#include <bit>

#include "policyfile/values.h"

namespace sluice::policyfile {

namespace {

using protocol::Value;
using Number = unsigned __int128;
struct Interval {
    Number low = 0, high = 0; // inclusive
};

Number number_of_bytes(const std::string &bytes) {
    Number number = 0;
    for (const char c : bytes)
        number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

Number plain(const Value &value) {
    return value.type() == FWP_BYTE_ARRAY16_TYPE ? number_of_bytes(value.data())
                                                 : Number{value.number()};
}

std::uint32_t base_type(const Value &value) {
    switch (value.type()) {
    case FWP_RANGE_TYPE:
        return value.low().type();
    case FWP_V4_ADDR_MASK:
        return FWP_UINT32;
    case FWP_V6_ADDR_MASK:
        return FWP_BYTE_ARRAY16_TYPE;
    default:
        return value.type();
    }
}

Result<Interval> interval_of(const Value &value) {
    switch (value.type()) {
    case FWP_RANGE_TYPE:
        return Interval{plain(value.low()), plain(value.high())};
    case FWP_V4_ADDR_MASK: {
        const std::uint32_t mask = value.mask();
        if (mask != 0 && std::countl_zero(~mask) != std::popcount(mask))
            return Error(0, "`not` takes no mask with holes");
        const std::uint64_t low = value.number() & mask;
        return Interval{low, low | static_cast<std::uint32_t>(~mask)};
    }
    case FWP_V6_ADDR_MASK: {
        const unsigned host = 128 - std::min(value.mask(), 128u);
        const Number ones = host == 128 ? ~Number{0} : (Number{1} << host) - 1;
        const Number low = number_of_bytes(value.data()) & ~ones;
        return Interval{low, low | ones};
    }
    default:
        return Interval{plain(value), plain(value)};
    }
}

Value value_of(Number number, std::uint32_t type) {
    Value value;
    value.set_type(type);
    if (type != FWP_BYTE_ARRAY16_TYPE) {
        value.set_number(static_cast<std::uint64_t>(number));
        return value;
    }
    std::string bytes(16, '\0');
    for (std::size_t i = 16; i-- > 0; number >>= 8)
        bytes[i] = static_cast<char>(number);
    value.set_data(std::move(bytes));
    return value;
}

} // namespace

Result<std::vector<Value>> complement(const std::vector<Value> &values) {
    Value sample;
    sample.set_type(values.empty() ? static_cast<std::uint32_t>(FWP_EMPTY) : base_type(values[0]));
    const unsigned width = width_of(sample);
    if (width == 0) return Error(0, "`not` takes one value of this field");
    std::vector<Interval> taken;
    for (const auto &value : values) {
        if (base_type(value) != sample.type()) return Error(0, "`not` takes values of one type");
        auto interval = interval_of(value);
        if (!interval) return interval.error();
        taken.push_back(*interval);
    }
    std::sort(taken.begin(), taken.end(),
              [](const Interval &a, const Interval &b) { return a.low < b.low; });
    const Number last = width == 128 ? ~Number{0} : (Number{1} << width) - 1;
    std::vector<Value> left;
    const auto keep = [&](Number low, Number high) {
        left.push_back(
            low == high ? value_of(low, sample.type())
                        : range_value(value_of(low, sample.type()), value_of(high, sample.type())));
    };
    Number next = 0;
    bool ended = false;
    for (const auto &interval : taken) {
        if (ended) break;
        if (interval.low > next) keep(next, interval.low - 1);
        ended = interval.high == last;
        next = std::max(next, ended ? next : interval.high + 1);
    }
    if (!ended) keep(next, last);
    if (left.empty()) return Error(0, "`not` leaves nothing that could match");
    return left;
}

} // namespace sluice::policyfile
