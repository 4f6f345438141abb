// SPDX-License-Identifier: Apache-2.0
#include "policy/arbitrate.h"

#include <algorithm>

#include <sluice/fwp.h>

#include "policy/matches.h"

namespace sluice::policy {

namespace {

std::vector<const SubLayer *> sublayers_in_order(const Policy &policy) {
    std::vector<const SubLayer *> out;
    for (const auto &[key, sublayer] : policy.sublayers)
        out.push_back(&sublayer);
    std::sort(out.begin(), out.end(), [](const SubLayer *a, const SubLayer *b) {
        return a->weight != b->weight ? a->weight > b->weight : a->key < b->key;
    });
    return out;
}

std::vector<const Filter *> filters_in_order(const Policy &policy, const SubLayer &sublayer,
                                             std::uint16_t layer) {
    std::vector<const Filter *> out;
    for (const auto &[id, filter] : policy.filters) {
        if (filter.layer == layer && filter.sublayer == sublayer.key) out.push_back(&filter);
    }
    std::sort(out.begin(), out.end(), [](const Filter *a, const Filter *b) {
        return a->effective_weight != b->effective_weight
                   ? a->effective_weight > b->effective_weight
                   : a->id < b->id;
    });
    return out;
}

// What one filter contributes. CONTINUE: nothing, the next filter of the sublayer is tried.
struct Contribution {
    std::uint32_t action = FWP_ACTION_CONTINUE;
    bool hard = false;
    bool from_callout = false; // only a callout's own answer can veto
    bool passed_over = false;
};

Contribution of_plain(const Filter &filter) {
    const bool clear = (filter.flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0;
    return {filter.action, filter.action == FWP_ACTION_BLOCK || clear, false};
}

// CLEAR_ACTION_RIGHT addresses the callout; where there is none, nobody makes its permit hard.
Contribution of_unregistered(const Filter &filter) {
    if (filter.action == FWP_ACTION_CALLOUT_INSPECTION) return {};
    const bool permit = (filter.flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) != 0;
    return {permit ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK, !permit, false};
}

Contribution of_answer(const Filter &filter, const CalloutAnswer &answer) {
    switch (filter.action) {
    case FWP_ACTION_CALLOUT_INSPECTION:
        return {};
    case FWP_ACTION_CALLOUT_UNKNOWN:
        if (answer.action == FWP_ACTION_CONTINUE) return {};
        break;
    default:
        break;
    }
    const bool permit = answer.action == FWP_ACTION_PERMIT;
    return {permit ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK, answer.clear_right, true};
}

// The one decision that is carried from sublayer to sublayer.
class Decision {
public:
    [[nodiscard]] std::uint32_t action() const { return action_; }
    [[nodiscard]] bool writable() const { return !hard_; }
    [[nodiscard]] bool vetoed_by(const Contribution &c) const {
        return hard_ && action_ == FWP_ACTION_PERMIT && c.action == FWP_ACTION_BLOCK &&
               c.from_callout;
    }

    void take(const Contribution &c, std::uint64_t filter) {
        if (vetoed_by(c))
            set(FWP_ACTION_BLOCK, true, filter);
        else if (!hard_)
            set(c.action, c.hard, filter);
    }

    [[nodiscard]] Verdict verdict() const {
        if (action_ == FWP_ACTION_NONE) return {FWP_ACTION_PERMIT, false, 0};
        return {action_, hard_, filter_};
    }

private:
    void set(std::uint32_t action, bool hard, std::uint64_t filter) {
        action_ = action;
        hard_ = hard;
        filter_ = filter;
    }

    std::uint32_t action_ = FWP_ACTION_NONE;
    bool hard_ = false;
    std::uint64_t filter_ = 0;
};

Contribution contribution(const Filter &filter, const Decision &now, const AskCallout &ask) {
    if ((filter.action & FWP_ACTION_FLAG_CALLOUT) == 0) return of_plain(filter);
    const CalloutReply reply = ask(filter, now.action(), now.writable());
    if (reply.asked == Asked::passed_over) return {.passed_over = true};
    if (reply.asked == Asked::unregistered) return of_unregistered(filter);
    Contribution c = of_answer(filter, reply.answer);
    c.from_callout = true;
    return c;
}

class Nobody : public Watcher {
    void sublayer(const SubLayer &) override {}
    void tried(const Filter &, Match, std::size_t) override {}
    void said(const Filter &, const Said &) override {}
    void decided(std::uint32_t, bool) override {}
};

enum class Next { filter, sublayer, nothing };

Next try_filter(const Filter &filter, const Packet &packet, const AskCallout &ask,
                Decision &decision, Watcher &watcher) {
    const Compared compared = compare(filter, packet);
    watcher.tried(filter, compared.match, compared.condition);
    if (compared.match == Match::no) return Next::filter;
    if (compared.match == Match::unknown) return Next::nothing;
    const Contribution c = contribution(filter, decision, ask);
    const bool veto = decision.vetoed_by(c);
    const bool decides = c.action != FWP_ACTION_CONTINUE;
    watcher.said(filter, {c.action, c.hard, c.from_callout, veto,
                          decides && !decision.writable() && !veto, c.passed_over});
    if (!decides) return Next::filter;
    decision.take(c, filter.id);
    return Next::sublayer; // it has spoken, whether or not it could change anything
}

} // namespace

Verdict arbitrate(const Policy &policy, const Packet &packet, const AskCallout &ask,
                  Watcher &watcher) {
    Decision decision;
    for (const SubLayer *sublayer : sublayers_in_order(policy)) {
        watcher.sublayer(*sublayer);
        for (const Filter *filter : filters_in_order(policy, *sublayer, packet.layer)) {
            const Next next = try_filter(*filter, packet, ask, decision, watcher);
            if (next == Next::nothing) return {FWP_ACTION_NONE, false, filter->id, true};
            if (next == Next::sublayer) break;
        }
        watcher.decided(decision.action(), decision.writable());
    }
    return decision.verdict();
}

Verdict arbitrate(const Policy &policy, const Packet &packet, const AskCallout &ask) {
    Nobody nobody;
    return arbitrate(policy, packet, ask, nobody);
}

} // namespace sluice::policy
