// SPDX-License-Identifier: Apache-2.0
#include "policy/arbitrate.h"

#include <algorithm>
#include <cstring>

#include "policy/wfp.h"

namespace sluice::policy {

namespace {

// Three-way comparison of a packet's value with a condition's; nullopt: of another type, never
// true.
using Order = std::optional<int>;

int order(std::uint64_t a, std::uint64_t b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

// What a packet shows in one field.
struct Seen {
    bool known = true;
    Scalar value;
};

Seen seen(const Guid &field, const Packet &p) {
    static const Guid local_address = table_key("FWPM_CONDITION_IP_LOCAL_ADDRESS");
    static const Guid remote_address = table_key("FWPM_CONDITION_IP_REMOTE_ADDRESS");
    static const Guid local_port = table_key("FWPM_CONDITION_IP_LOCAL_PORT");
    static const Guid remote_port = table_key("FWPM_CONDITION_IP_REMOTE_PORT");
    static const Guid protocol = table_key("FWPM_CONDITION_IP_PROTOCOL");
    if (field == local_address) return {p.local_known, p.v6 ? Scalar{p.local6} : Scalar{p.local4}};
    if (field == remote_address) return {true, p.v6 ? Scalar{p.remote6} : Scalar{p.remote4}};
    if (field == local_port) return {p.local_known, p.local_port};
    if (field == remote_port) return {true, p.remote_port};
    if (field == protocol) return {true, p.protocol};
    return {false, {}};
}

Order compare(const Scalar &packet, const Scalar &wanted) {
    if (packet.index() != wanted.index()) return std::nullopt;
    if (const auto *v = std::get_if<std::uint8_t>(&packet))
        return order(*v, std::get<std::uint8_t>(wanted));
    if (const auto *v = std::get_if<std::uint16_t>(&packet))
        return order(*v, std::get<std::uint16_t>(wanted));
    if (const auto *v = std::get_if<std::uint32_t>(&packet))
        return order(*v, std::get<std::uint32_t>(wanted));
    if (const auto *v = std::get_if<Bytes16>(&packet))
        return std::memcmp(v->data(), std::get<Bytes16>(wanted).data(), v->size());
    return std::nullopt;
}

bool in_v6_network(const Bytes16 &address, const V6Prefix &net) {
    for (unsigned bit = 0; bit < net.prefix && bit < 128; ++bit) {
        const unsigned shift = 7 - bit % 8;
        if ((address[bit / 8] >> shift & 1) != (net.address[bit / 8] >> shift & 1)) return false;
    }
    return true;
}

bool in_network(const Scalar &packet, const Scalar &wanted, bool &is_network) {
    const auto *v4 = std::get_if<V4Mask>(&wanted);
    const auto *v6 = std::get_if<V6Prefix>(&wanted);
    is_network = v4 != nullptr || v6 != nullptr;
    if (const auto *a = std::get_if<std::uint32_t>(&packet); a != nullptr && v4 != nullptr)
        return (*a & v4->mask) == (v4->address & v4->mask);
    if (const auto *a = std::get_if<Bytes16>(&packet); a != nullptr && v6 != nullptr)
        return in_v6_network(*a, *v6);
    return false;
}

bool holds(const Condition &condition, const Packet &packet) {
    const Seen at = seen(condition.field, packet);
    if (!at.known) return false; // an unknown value meets no ordinary condition
    if (const auto *range = std::get_if<Range>(&condition.value)) {
        const Order low = compare(at.value, range->low);
        const Order high = compare(at.value, range->high);
        return low && high && *low >= 0 && *high <= 0;
    }
    const Scalar &wanted = std::get<Scalar>(condition.value);
    bool is_network = false;
    const bool inside = in_network(at.value, wanted, is_network);
    if (is_network) return inside;
    const Order o = compare(at.value, wanted);
    if (!o) return false;
    switch (condition.match) {
    case FWP_MATCH_EQUAL:
        return *o == 0;
    case FWP_MATCH_NOT_EQUAL:
        return *o != 0;
    case FWP_MATCH_GREATER:
        return *o > 0;
    case FWP_MATCH_LESS:
        return *o < 0;
    case FWP_MATCH_GREATER_OR_EQUAL:
        return *o >= 0;
    case FWP_MATCH_LESS_OR_EQUAL:
        return *o <= 0;
    default:
        return false;
    }
}

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

    void take(const Contribution &c, std::uint64_t filter) {
        if (hard_ && is_veto(c))
            set(FWP_ACTION_BLOCK, true, filter);
        else if (!hard_)
            set(c.action, c.hard, filter);
    }

    [[nodiscard]] Verdict verdict() const {
        if (action_ == FWP_ACTION_NONE) return {FWP_ACTION_PERMIT, false, 0};
        return {action_, hard_, filter_};
    }

private:
    [[nodiscard]] bool is_veto(const Contribution &c) const {
        return action_ == FWP_ACTION_PERMIT && c.action == FWP_ACTION_BLOCK && c.from_callout;
    }
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
    return reply.asked == Asked::answered ? of_answer(filter, reply.answer)
                                          : of_unregistered(filter);
}

} // namespace

bool matches(const Filter &filter, const Packet &packet) {
    if (filter.layer != packet.layer) return false;
    const std::vector<Condition> &all = filter.conditions;
    for (std::size_t i = 0; i < all.size();) {
        bool any = false;
        const Guid field = all[i].field;
        for (; i < all.size() && all[i].field == field; ++i)
            any |= holds(all[i], packet);
        if (!any) return false;
    }
    return true;
}

Verdict arbitrate(const Policy &policy, const Packet &packet, const AskCallout &ask) {
    Decision decision;
    for (const SubLayer *sublayer : sublayers_in_order(policy)) {
        for (const Filter *filter : filters_in_order(policy, *sublayer, packet.layer)) {
            if (!matches(*filter, packet)) continue;
            const Contribution c = contribution(*filter, decision, ask);
            if (c.action == FWP_ACTION_CONTINUE) continue;
            decision.take(c, filter->id);
            break; // the sublayer has spoken, whether or not it could change anything
        }
    }
    return decision.verdict();
}

} // namespace sluice::policy
