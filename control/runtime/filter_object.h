// SPDX-License-Identifier: Apache-2.0
// A filter as callbacks see it, with everything that its structure points at. Immutable but for
// `context`, which notifyFn may set before the first classify sees the filter.
#pragma once

#include <vector>

#include "runtime/values.h"

namespace sluice::runtime {

class FilterObject {
public:
    // callout_id: this process' run-time id of the callout that the filter names.
    FilterObject(const protocol::Filter &filter, std::uint32_t callout_id);
    FilterObject(const FilterObject &) = delete;
    FilterObject &operator=(const FilterObject &) = delete;

    [[nodiscard]] std::uint64_t id() const { return filter_.filterId; }
    [[nodiscard]] const Guid &key() const { return key_; }
    [[nodiscard]] std::uint32_t callout_id() const { return filter_.action.calloutId; }
    [[nodiscard]] std::uint32_t action() const { return filter_.action.type; }
    [[nodiscard]] bool permit_if_unregistered() const {
        return filter_.flags & FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    }

    // The four versions differ only in what providerContext points at.
    template <typename Filter>
    Filter *as() {
        static_assert(sizeof(Filter) == sizeof(FWPS_FILTER3));
        return reinterpret_cast<Filter *>(&filter_);
    }

private:
    Guid key_;
    Arena arena_;
    std::vector<FWPS_FILTER_CONDITION0> conditions_;
    FWPS_FILTER3 filter_{};
};

} // namespace sluice::runtime
