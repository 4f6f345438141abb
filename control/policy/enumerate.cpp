// SPDX-License-Identifier: Apache-2.0
#include "policy/enumerate.h"

#include <algorithm>
#include <tuple>

#include "policy/condition.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

constexpr std::uint32_t known_flags =
    FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH | FWP_FILTER_ENUM_FLAG_SORTED |
    FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME |
    FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED;

// A template's condition and what it means at the layer.
struct Traffic {
    const Condition *condition;
    Group group;
};

Result<std::vector<Traffic>> traffic_of(const Template &wanted) {
    std::vector<Traffic> out;
    for (const Condition &condition : wanted.conditions) {
        const bool twice = std::any_of(out.begin(), out.end(), [&](const Traffic &t) {
            return t.condition->field == condition.field;
        });
        if (twice)
            return refuse(STATUS_FWP_DUPLICATE_CONDITION, "a template has one condition at most on",
                          field_name(condition.field));
        Result<Test> test = understand(condition, *wanted.layer);
        if (!test) return test.error();
        const unsigned bits = field_at(*wanted.layer, condition.field)->bits;
        out.push_back({&condition, {condition.field, bits, {std::move(test).value()}}});
    }
    return out;
}

Result<void> check(const Template &wanted) {
    if (wanted.enum_type >= FWP_FILTER_ENUM_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "no way to compare conditions",
                      std::to_string(wanted.enum_type));
    constexpr std::uint32_t boot =
        FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME;
    if ((wanted.flags & ~known_flags) != 0 || (wanted.flags & boot) == boot)
        return refuse(STATUS_FWP_INVALID_FLAGS, "unknown or contradicting flags of a template",
                      std::to_string(wanted.flags));
    if (wanted.layer && !layer_known(*wanted.layer))
        return refuse(STATUS_FWP_LAYER_NOT_FOUND, "no such layer", std::to_string(*wanted.layer));
    const bool best = (wanted.flags & FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH) != 0;
    if (!wanted.layer && (best || !wanted.conditions.empty()))
        return refuse(
            STATUS_FWP_INVALID_PARAMETER,
            "conditions and the best terminating match are a layer's; none in a template");
    return {};
}

struct Relation {
    bool contains = false; // the filter's group holds for all of the traffic
    bool overlaps = false; // for some of it
};

Relation relation(const Filter &filter, const Group &group, const Traffic &traffic) {
    const auto has = admitted_by(group), asked = admitted_by(traffic.group);
    if (has && asked) {
        const Intervals both = common(*has, *asked);
        return {both == *asked, !both.empty()};
    }
    // Names and the like can only be told apart by what they say.
    bool all_equal = traffic.condition->match == FWP_MATCH_EQUAL;
    for (const Condition &c : filter.conditions) {
        if (c.field != group.field) continue;
        if (c.match == traffic.condition->match && c.value == traffic.condition->value)
            return {true, true};
        all_equal &= c.match == FWP_MATCH_EQUAL;
    }
    return {false, !all_equal};
}

bool conditions_meet(const Filter &filter, const std::vector<Traffic> &traffic, bool overlapping) {
    if (traffic.empty()) return true;
    const auto groups = understand(filter);
    if (!groups) return false;
    for (const Group &group : *groups) {
        const auto same = std::find_if(traffic.begin(), traffic.end(), [&](const Traffic &t) {
            return t.condition->field == group.field;
        });
        const Relation r =
            same != traffic.end() ? relation(filter, group, *same) : Relation{false, true};
        if (!(overlapping ? r.overlaps : r.contains)) return false;
    }
    return true;
}

bool meets_plainly(const Filter &filter, const Template &wanted) {
    const bool boot = (filter.flags & FWPM_FILTER_FLAG_BOOTTIME) != 0;
    constexpr std::uint32_t with_boot =
        FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME;
    if (boot && (wanted.flags & with_boot) == 0) return false;
    if (!boot && (wanted.flags & FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY) != 0) return false;
    if (!wanted.provider.is_null() && filter.provider != wanted.provider) return false;
    if (wanted.layer && filter.layer != *wanted.layer) return false;
    if ((filter.action & wanted.action_mask) == 0) return false;
    if (!wanted.callout.is_null() && filter.callout != wanted.callout) return false;
    return wanted.provider_context.is_null() || filter.provider_context == wanted.provider_context;
}

bool terminates(const Filter &filter) {
    return (filter.action & FWP_ACTION_FLAG_TERMINATING) != 0;
}

void sort_as_evaluated(const Policy &policy, std::vector<Filter> &filters) {
    const auto place = [&](const Filter &f) {
        const auto sublayer = policy.sublayers.find(f.sublayer);
        const std::uint32_t weight =
            sublayer != policy.sublayers.end() ? sublayer->second.weight : 0;
        return std::tuple(f.layer, ~weight, f.sublayer, ~f.effective_weight, f.id);
    };
    std::sort(filters.begin(), filters.end(),
              [&](const Filter &a, const Filter &b) { return place(a) < place(b); });
}

} // namespace

Result<std::vector<Filter>> enumerate_filters(const Policy &policy, const Template &wanted) {
    if (Result<void> r = check(wanted); !r) return r.error();
    const auto traffic = traffic_of(wanted);
    if (!traffic) return traffic.error();
    const bool overlapping = wanted.enum_type == FWP_FILTER_ENUM_OVERLAPPING;
    std::vector<Filter> out;
    for (const auto &[id, filter] : policy.filters) {
        if (meets_plainly(filter, wanted) && conditions_meet(filter, *traffic, overlapping))
            out.push_back(filter);
    }
    const bool best = (wanted.flags & FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH) != 0;
    if (best || (wanted.flags & FWP_FILTER_ENUM_FLAG_SORTED) != 0) sort_as_evaluated(policy, out);
    if (best) {
        std::erase_if(out, [](const Filter &f) { return !terminates(f); });
        if (out.size() > 1) out.resize(1);
    }
    return out;
}

Result<bool> meets(const Filter &filter, const Template &wanted) {
    if (Result<void> r = check(wanted); !r) return r.error();
    const auto traffic = traffic_of(wanted);
    if (!traffic) return traffic.error();
    return meets_plainly(filter, wanted) &&
           conditions_meet(filter, *traffic, wanted.enum_type == FWP_FILTER_ENUM_OVERLAPPING);
}

Result<std::vector<Callout>> enumerate_callouts(const Policy &policy, const Template &wanted) {
    if (wanted.layer && !layer_known(*wanted.layer))
        return refuse(STATUS_FWP_LAYER_NOT_FOUND, "no such layer", std::to_string(*wanted.layer));
    std::vector<Callout> out;
    for (const auto &[key, callout] : policy.callouts) {
        if (!wanted.provider.is_null() && callout.provider != wanted.provider) continue;
        if (!wanted.layer || callout.layer == *wanted.layer) out.push_back(callout);
    }
    return out;
}

std::vector<SubLayer> enumerate_sublayers(const Policy &policy, const Template &wanted) {
    std::vector<SubLayer> out;
    for (const auto &[key, sublayer] : policy.sublayers) {
        if (wanted.provider.is_null() || sublayer.provider == wanted.provider)
            out.push_back(sublayer);
    }
    return out;
}

std::vector<Provider> enumerate_providers(const Policy &policy) {
    std::vector<Provider> out;
    for (const auto &[key, provider] : policy.providers)
        out.push_back(provider);
    return out;
}

Result<std::vector<ProviderContext>> enumerate_provider_contexts(const Policy &policy,
                                                                 const Template &wanted) {
    if (wanted.context_type && *wanted.context_type >= FWPM_PROVIDER_CONTEXT_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR, "no type of provider context",
                      std::to_string(*wanted.context_type));
    std::vector<ProviderContext> out;
    for (const auto &[key, context] : policy.provider_contexts) {
        if (!wanted.provider.is_null() && context.provider != wanted.provider) continue;
        if (!wanted.context_type || context.type == *wanted.context_type) out.push_back(context);
    }
    return out;
}

} // namespace sluice::policy
