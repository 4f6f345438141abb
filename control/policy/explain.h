// SPDX-License-Identifier: Apache-2.0
// How a verdict came about: the steps of arbitrate() as values. arbitrate() is the same walk
// without the notes, so the two cannot differ. Pure; works on a saved policy as on the one in
// force.
#pragma once

#include <optional>
#include <vector>

#include "policy/arbitrate.h"

namespace sluice::policy {

// A filter that was looked at. Filters behind the one that decided for its sublayer are not tried
// and do not appear.
struct TriedFilter {
    std::uint64_t id = 0;
    Match match = Match::no;
    // no: the first condition of the group that did not hold; unknown: of the first that nobody can
    // know here. Index in Filter::conditions.
    std::optional<std::size_t> condition;
    // What it contributed when it matched. CONTINUE: nothing.
    std::uint32_t action = 0;
    bool clears_right = false;
    bool asked = false;        // a callout answered
    bool unregistered = false; // its callout did not answer: it counts as I2 says
    bool veto = false;         // a callout's block over a hard permit
    bool ignored = false;      // a decision stood that it could not change
};

struct VisitedSublayer {
    Guid key;
    std::vector<TriedFilter> filters;
    // The running decision behind it: FWP_ACTION_NONE, PERMIT or BLOCK, and whether a later
    // sublayer may still replace it.
    std::uint32_t action = 0;
    bool writable = true;
};

struct Explanation {
    std::uint16_t layer = 0;
    std::vector<VisitedSublayer> sublayers; // in the order of evaluation
    Verdict verdict;
};

// Judges `packet` at its layer as arbitrate() does, and says how. `ask` is called as there.
Explanation explain(const Policy &policy, const Packet &packet, const AskCallout &ask);

} // namespace sluice::policy
