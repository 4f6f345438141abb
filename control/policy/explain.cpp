// SPDX-License-Identifier: Apache-2.0
#include "policy/explain.h"

#include <sluice/fwp.h>

namespace sluice::policy {

namespace {

class Notes : public Watcher {
public:
    explicit Notes(std::vector<VisitedSublayer> &into) : into_(into) {}

    void sublayer(const SubLayer &at) override {
        into_.push_back({at.key,
                         {},
                         into_.empty() ? FWP_ACTION_NONE : into_.back().action,
                         into_.empty() || into_.back().writable});
    }
    void tried(const Filter &filter, Match match, std::size_t condition) override {
        TriedFilter note;
        note.id = filter.id;
        note.match = match;
        if (match != Match::yes) note.condition = condition;
        into_.back().filters.push_back(note);
    }
    void said(const Filter &filter, const Said &said) override {
        TriedFilter &note = into_.back().filters.back();
        note.action = said.action;
        note.clears_right = said.hard;
        note.asked = said.answered;
        note.unregistered =
            !said.answered && !said.passed_over && (filter.action & FWP_ACTION_FLAG_CALLOUT) != 0;
        note.veto = said.veto;
        note.ignored = said.ignored;
    }
    void decided(std::uint32_t action, bool writable) override {
        into_.back().action = action;
        into_.back().writable = writable;
    }

private:
    std::vector<VisitedSublayer> &into_;
};

} // namespace

Explanation explain(const Policy &policy, const Packet &packet, const AskCallout &ask) {
    Explanation out;
    out.layer = packet.layer;
    Notes notes(out.sublayers);
    out.verdict = arbitrate(policy, packet, ask, notes);
    return out;
}

} // namespace sluice::policy
