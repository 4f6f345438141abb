// SPDX-License-Identifier: Apache-2.0
#include "cli/explain_text.h"

#include <algorithm>

#include "cli/names.h"
#include "cli/table.h"
#include "policy/hold_words.h"
#include "policy/redirect.h"
#include "policy/wfp.h"
#include "policyfile/conditions.h"
#include "policyfile/writer.h"
#include "sluice/fwp.h"
#include "store/wire.h"

namespace sluice::cli {

namespace {

using policy::Match;
using policy::Policy;

std::string callout_name(const Policy &policy, const Guid &key) {
    const auto found = policy.callouts.find(key);
    return found == policy.callouts.end() ? key.text() : found->second.name;
}

std::string sublayer_name(const Policy &policy, const Guid &key) {
    const auto found = policy.sublayers.find(key);
    return found == policy.sublayers.end() ? key.text() : found->second.name;
}

const policy::Filter *filter_of(const Policy &policy, std::uint64_t id) {
    const auto found = policy.filters.find(id);
    return found == policy.filters.end() ? nullptr : &found->second;
}

std::string filter_text(const Policy &policy, std::uint64_t id) {
    const auto *filter = filter_of(policy, id);
    return "filter " + std::to_string(id) +
           (filter != nullptr ? " '" + readable(filter->name) + "'" : "");
}

std::string condition_of(const Policy &policy, const policy::TriedFilter &tried) {
    const auto *filter = filter_of(policy, tried.id);
    if (filter == nullptr || !tried.condition || *tried.condition >= filter->conditions.size())
        return {};
    const auto message = store::to_message(*filter);
    return policyfile::condition_text(message.conditions(static_cast<int>(*tried.condition)),
                                      filter->layer);
}

std::string decision(std::uint32_t action, bool hard) {
    if (action != FWP_ACTION_PERMIT && action != FWP_ACTION_BLOCK) return "nothing decided";
    return action_name(action) + (hard ? ", hard" : ", soft");
}

policy::AskCallout asker(const Policy &policy, const Answers &answers, std::uint32_t assumption,
                         std::set<Guid> &assumed) {
    return [&policy, &answers, &assumed, assumption](const policy::Filter &filter, std::uint32_t,
                                                     bool) -> policy::CalloutReply {
        for (const auto &name : {callout_name(policy, filter.callout), filter.callout.text()})
            if (const auto given = answers.by_name.find(name); given != answers.by_name.end())
                return {policy::Asked::answered, given->second};
        if (answers.unregistered.contains(filter.callout)) return {};
        if (filter.action == FWP_ACTION_CALLOUT_INSPECTION)
            return {policy::Asked::answered, {FWP_ACTION_CONTINUE, false}};
        assumed.insert(filter.callout);
        return {policy::Asked::answered, {assumption, assumption == FWP_ACTION_BLOCK}};
    };
}

// What becomes of a hold that nobody decides, as far as the filter says.
std::string hold_text(const policy::Filter &filter) {
    const std::string deadline = policy::deadline_text(filter.hold.deadline_ms);
    const std::string outcome = policy::outcome_text(filter.hold.outcome);
    std::string text;
    if (!deadline.empty()) text += deadline == "none" ? ", no deadline" : ", deadline " + deadline;
    if (!outcome.empty())
        text += ", undecided: " + (outcome == "next" ? "the next filter" : outcome);
    return text;
}

std::string callout_text(const Policy &policy, const policy::Filter &filter,
                         const policy::TriedFilter &tried, const std::set<Guid> &assumed) {
    if (filter.callout.is_null()) return {};
    const std::string name = "callout '" + readable(callout_name(policy, filter.callout)) + "'";
    if (tried.unregistered) return name + " is not registered: ";
    if (assumed.contains(filter.callout)) return name + " decides; if it permits: ";
    return name + " answers: ";
}

std::string tried_text(const Policy &policy, const policy::TriedFilter &tried,
                       const std::set<Guid> &assumed) {
    const std::string head = "    " + filter_text(policy, tried.id) + ": ";
    const std::string condition = readable(condition_of(policy, tried));
    if (tried.match == Match::no)
        return head + "no" + (condition.empty() ? "" : ", not " + condition);
    if (tried.match == Match::unknown)
        return head + "depends on what is not known here: " + condition;
    const auto *filter = filter_of(policy, tried.id);
    std::string text = head + "matches; ";
    if (filter != nullptr) text += callout_text(policy, *filter, tried, assumed);
    if (filter != nullptr)
        if (const auto redirection = policy::redirection_text(policy, *filter);
            !redirection.empty() && !tried.ignored)
            text += redirection + ": ";
    text += tried.action == FWP_ACTION_PERMIT || tried.action == FWP_ACTION_BLOCK
                ? decision(tried.action, tried.clears_right)
                : "continue";
    if (filter != nullptr) text += hold_text(*filter);
    if (tried.veto) text += ", a veto";
    if (tried.ignored) text += ", too late: the decision before it stands";
    return text;
}

bool depends(const LayerWay &way) {
    return !way.assumed.empty() && way.otherwise.action != way.steps.verdict.action;
}

std::string callouts_text(const Policy &policy, const LayerWay &way) {
    std::string text;
    for (const auto &key : way.assumed)
        text += (text.empty() ? "'" : ", '") + readable(callout_name(policy, key)) + "'";
    return text;
}

std::string result_text(const Policy &policy, const LayerWay &way) {
    const auto &verdict = way.steps.verdict;
    if (verdict.deferred)
        return "not decided: " + filter_text(policy, verdict.filter) +
               " depends on what is not known here";
    std::string text = action_name(verdict.action);
    text += verdict.filter != 0 ? " by " + filter_text(policy, verdict.filter)
                                : ", as no filter decided";
    if (depends(way))
        text += "; " + action_name(way.otherwise.action) + " if blocked by " +
                callouts_text(policy, way);
    return text;
}

std::string layer_text(const Policy &policy, const LayerWay &way) {
    std::string text = policyfile::layer_name(way.steps.layer) + "\n";
    for (const auto &sublayer : way.steps.sublayers) {
        if (sublayer.filters.empty()) continue;
        const auto known = policy.sublayers.find(sublayer.key);
        text += "  sublayer " + readable(sublayer_name(policy, sublayer.key)) +
                (known != policy.sublayers.end()
                     ? " (weight " + std::to_string(known->second.weight) + ")"
                     : "") +
                "\n";
        for (const auto &tried : sublayer.filters)
            text += tried_text(policy, tried, way.assumed) + "\n";
        text += "    so far: " + decision(sublayer.action, !sublayer.writable) + "\n";
    }
    return text + "  result: " + result_text(policy, way) + "\n";
}

// The first layer that does not let the traffic pass, if one does not.
const LayerWay *stopping(const std::vector<LayerWay> &way) {
    for (const auto &layer : way)
        if (layer.steps.verdict.deferred || layer.steps.verdict.action == FWP_ACTION_BLOCK ||
            depends(layer))
            return &layer;
    return nullptr;
}

Json tried_json(const Policy &policy, const policy::TriedFilter &tried) {
    const auto *filter = filter_of(policy, tried.id);
    const std::string condition = condition_of(policy, tried);
    const bool matched = tried.match == Match::yes;
    Json json{{"filter", tried.id},
              {"name", filter != nullptr ? Json(filter->name) : Json()},
              {"matched", tried.match == Match::unknown ? Json() : Json(matched)},
              {"condition", condition.empty() ? Json() : Json(condition)}};
    if (!matched) return json;
    json["action"] = action_name(tried.action);
    if (filter != nullptr && policy::redirects(*filter)) {
        const auto target = policy::target_of(policy, *filter);
        const auto &end = policy::layer_is_v6(filter->layer) ? target->v6 : target->v4;
        json["redirects_to"] = target ? Json(policy::end_text(*end)) : Json();
    }
    json["hard"] = tried.clears_right;
    if (filter != nullptr && !filter->callout.is_null()) {
        json["callout"] = callout_name(policy, filter->callout);
        json["unregistered"] = tried.unregistered;
        json["hold"] = policyfile::hold_tree(store::to_message(filter->hold));
    }
    json["veto"] = tried.veto;
    json["ignored"] = tried.ignored;
    return json;
}

Json result_json(const Policy &policy, const LayerWay &way) {
    const auto &verdict = way.steps.verdict;
    const auto *filter = filter_of(policy, verdict.filter);
    Json json{{"layer", policyfile::layer_name(way.steps.layer)},
              {"action", verdict.deferred ? Json() : Json(action_name(verdict.action))},
              {"hard", verdict.hard},
              {"filter", verdict.filter != 0 ? Json(verdict.filter) : Json()},
              {"filter_name", filter != nullptr ? Json(filter->name) : Json()}};
    if (depends(way)) {
        Json callouts = Json::array();
        for (const auto &key : way.assumed)
            callouts.push_back(callout_name(policy, key));
        json["depends_on_callouts"] = std::move(callouts);
        json["otherwise"] = action_name(way.otherwise.action);
    }
    return json;
}

} // namespace

Result<std::pair<std::string, policy::CalloutAnswer>> parse_answer(const std::string &word) {
    const auto equals = word.rfind('=');
    if (equals == std::string::npos || equals == 0)
        return Error(0, "answer '" + word + "' is not NAME=permit|block|continue[,hard]");
    std::string action = word.substr(equals + 1);
    policy::CalloutAnswer answer;
    if (action.ends_with(",hard")) {
        answer.clear_right = true;
        action.erase(action.size() - 5);
    }
    if (action == "permit")
        answer.action = FWP_ACTION_PERMIT;
    else if (action == "block")
        answer.action = FWP_ACTION_BLOCK;
    else if (action == "continue")
        answer.action = FWP_ACTION_CONTINUE;
    else
        return Error(0, "answer '" + word + "' is none of permit, block, continue");
    return std::pair(word.substr(0, equals), answer);
}

namespace {

bool has_filters(const Policy &policy, std::uint16_t layer) {
    return std::any_of(policy.filters.begin(), policy.filters.end(),
                       [&](const auto &f) { return f.second.layer == layer; });
}

// What the layers behind it see: where the filters of ALE_CONNECT_REDIRECT send it.
Traffic redirected(const Policy &policy, Traffic traffic, const policy::Explanation &steps) {
    if (!policy::layer_redirects_connects(steps.layer)) return traffic;
    for (const auto &sublayer : steps.sublayers)
        for (const auto &tried : sublayer.filters) {
            const auto *filter = filter_of(policy, tried.id);
            if (filter == nullptr || tried.match != Match::yes || tried.ignored) continue;
            const auto target = policy::redirects(*filter) ? policy::target_of(policy, *filter)
                                                           : Result<policy::Target>(Error(0, ""));
            if (!target) continue;
            const auto &end = *(traffic.v6() ? target->v6 : target->v4);
            if (!end.same_address()) traffic.remote.address = end.address;
            if (end.port != 0) traffic.remote.port = end.port;
            traffic.loopback = is_loopback(traffic.remote.address);
            if (traffic.loopback) return traffic; // what is local goes nowhere else any more
        }
    return traffic;
}

} // namespace

Result<std::vector<LayerWay>> explain_way(const Policy &policy, const Traffic &traffic,
                                          const std::vector<std::uint16_t> &layers,
                                          const Answers &answers) {
    std::vector<LayerWay> way;
    Traffic now = traffic;
    for (const auto layer : layers) {
        if (layers.size() > 1 && policy::layer_redirects_connects(layer) &&
            !has_filters(policy, layer))
            continue;
        auto packet = packet_at(now, layer);
        if (!packet) return packet.error();
        LayerWay one;
        std::set<Guid> ignored;
        one.steps = policy::explain(policy, *packet,
                                    asker(policy, answers, FWP_ACTION_PERMIT, one.assumed));
        one.otherwise =
            policy::arbitrate(policy, *packet, asker(policy, answers, FWP_ACTION_BLOCK, ignored));
        now = redirected(policy, std::move(now), one.steps);
        way.push_back(std::move(one));
    }
    return way;
}

std::string way_text(const Policy &policy, const Traffic &traffic,
                     const std::vector<LayerWay> &way) {
    std::string text = text_of(traffic) + "\n";
    for (const auto &layer : way)
        text += layer_text(policy, layer);
    const LayerWay *stop = stopping(way);
    if (stop == nullptr) return text + "permitted\n";
    return text + policyfile::layer_name(stop->steps.layer) + ": " + result_text(policy, *stop) +
           "\n";
}

Json way_json(const Policy &policy, const Traffic &traffic, const std::vector<LayerWay> &way) {
    Json layers = Json::array();
    for (const auto &layer : way) {
        Json sublayers = Json::array();
        for (const auto &visited : layer.steps.sublayers) {
            if (visited.filters.empty()) continue;
            Json filters = Json::array();
            for (const auto &tried : visited.filters)
                filters.push_back(tried_json(policy, tried));
            sublayers.push_back(Json{{"sublayer", sublayer_name(policy, visited.key)},
                                     {"key", visited.key.text()},
                                     {"filters", std::move(filters)},
                                     {"action", visited.action == FWP_ACTION_NONE
                                                    ? Json()
                                                    : Json(action_name(visited.action))},
                                     {"hard", !visited.writable}});
        }
        layers.push_back(Json{{"layer", policyfile::layer_name(layer.steps.layer)},
                              {"sublayers", std::move(sublayers)},
                              {"result", result_json(policy, layer)}});
    }
    const LayerWay *stop = stopping(way);
    Json result = stop != nullptr ? result_json(policy, *stop)
                                  : Json{{"action", "permit"}, {"layer", nullptr}};
    return Json{{"schema", schema},
                {"traffic", text_of(traffic)},
                {"layers", std::move(layers)},
                {"result", std::move(result)}};
}

} // namespace sluice::cli
