// SPDX-License-Identifier: Apache-2.0
// The conditions of a net event template, compared with events here: sluiced sends all of them.
// Conditions on one field are alternatives, all else must hold together, as in a filter.
#pragma once

#include "fwp/convert.h"

namespace sluice::fwp {

class NetEventFilter {
public:
    // An error if a condition cannot be compared with a net event.
    static Result<NetEventFilter> make(const FWPM_NET_EVENT_ENUM_TEMPLATE0 *limits);
    [[nodiscard]] bool admits(const protocol::NetEvent &event) const;

private:
    // Every field of a net event is a text of bytes or a number; numbers are eight bytes, the most
    // significant first, so that both are compared alike.
    struct Test {
        std::string field;
        std::uint32_t match;
        std::string low, high, mask;
    };
    static Result<Test> test_of(const FWPM_FILTER_CONDITION0 &condition);
    std::vector<Test> tests_;
};

} // namespace sluice::fwp
