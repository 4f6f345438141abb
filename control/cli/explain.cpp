// SPDX-License-Identifier: Apache-2.0
// sluice explain: which filter decides, and why; live, of a saved policy, or of a recorded drop.
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/event_text.h"
#include "cli/explain_text.h"
#include "cli/objects.h"
#include "cli/parse.h"
#include "policy/edit.h"
#include "policyfile/check.h"
#include "policyfile/layers.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"
#include "store/wire.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

struct ExplainWords {
    std::string protocol, source, destination, direction = "out", layer, policy, drop;
    std::vector<std::pair<std::string, std::string>> told; // word, value
    std::vector<std::string> given, answers;
};

template <typename T>
T or_fail(Result<T> result, int exit_code) {
    if (!result) throw Failure{exit_code, result.error().text()};
    return std::move(*result);
}

// The objects as they are in force, with the ids and the weights that sluiced gave them.
policy::Policy policy_of(const protocol::Objects &objects) {
    policy::Policy policy = policy::initial();
    for (const auto &m : objects.provider_contexts()) {
        auto object = or_fail(store::from_message(m), exit_refused);
        policy.provider_contexts[object.key] = std::move(object);
    }
    for (const auto &m : objects.sublayers()) {
        auto object = or_fail(store::from_message(m), exit_refused);
        policy.sublayers[object.key] = std::move(object);
    }
    for (const auto &m : objects.callouts()) {
        auto object = or_fail(store::from_message(m), exit_refused);
        policy.callouts[object.key] = std::move(object);
    }
    for (const auto &m : objects.filters()) {
        auto object = or_fail(store::from_message(m), exit_refused);
        object.id = m.id();
        object.effective_weight = m.effective_weight();
        policy.filters.insert_or_assign(m.id(), std::move(object));
    }
    return policy;
}

policy::Policy saved_policy(const std::string &path) {
    auto file = policyfile::read_file(path);
    auto policy = policyfile::check(file);
    if (!file.good()) throw Failure{exit_refused, file.errors(), true};
    return policy;
}

policy::Policy live_policy(DaemonClient &client, Answers &answers) {
    const auto objects = fetch_all(client);
    for (const auto &callout : objects.callouts())
        if (const auto key = Guid::from_bytes(callout.key())) answers.unregistered.insert(*key);
    R r;
    r.mutable_callout_list();
    client.ask(std::move(r), [&](const protocol::Reply &reply) {
        for (const auto &info : reply.callouts().callouts())
            if (const auto key = Guid::from_bytes(info.key()); key && info.registered())
                answers.unregistered.erase(*key);
    });
    return policy_of(objects);
}

Answers answers_of(const ExplainWords &words) {
    Answers answers;
    for (const auto &word : words.answers) {
        auto [name, answer] = or_fail(parse_answer(word), exit_usage);
        answers.by_name[name] = answer;
    }
    return answers;
}

protocol::NetEvent drop_event(DaemonClient &client, const std::string &word) {
    const auto id = policyfile::number_of(word);
    if (!id && word != "last")
        throw Failure{exit_usage, "'" + word + "' is neither the id of an event nor `last`"};
    R r;
    r.mutable_net_event_enum()->set_id(id.value_or(0));
    std::optional<protocol::NetEvent> found;
    client.ask(std::move(r), [&](const protocol::Reply &reply) {
        for (const auto &event : reply.net_events().events())
            if (event.type() == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP && (!id || event.id() == *id))
                found = event;
    });
    if (!found) throw Failure{exit_refused, id ? "no drop " + word : "no drop was recorded"};
    return *found;
}

void explain_drop(Context &c, const ExplainWords &words) {
    DaemonClient client(c.socket);
    const auto event = drop_event(client, words.drop);
    Answers answers = answers_of(words);
    const auto policy =
        words.policy.empty() ? live_policy(client, answers) : saved_policy(words.policy);
    const Traffic traffic = traffic_of(event);
    std::vector<LayerWay> way;
    if (!traffic.local.address.empty() || !traffic.remote.address.empty())
        way = or_fail(
            explain_way(policy, traffic, {static_cast<std::uint16_t>(event.layer())}, answers),
            exit_refused);
    if (!c.json) {
        put(event_line(event) + "\n");
        return way.empty() ? void()
                           : put("now, by the policy in force:\n" + way_text(policy, traffic, way));
    }
    Json json{{"schema", schema}, {"event", to_json(event)}};
    json["evaluation"] = way.empty() ? Json() : way_json(policy, traffic, way);
    put(print(json) + "\n");
}

void explain_traffic(Context &c, const ExplainWords &words) {
    if (words.destination.empty())
        throw Failure{exit_usage, "explain needs PROTOCOL SOURCE DESTINATION, or --drop ID"};
    auto traffic = or_fail(
        parse_traffic(words.protocol, words.source, words.destination, words.direction == "in"),
        exit_usage);
    for (const auto &[word, value] : words.told)
        if (!value.empty())
            traffic.given.push_back(
                Json{{word, value}}.dump(-1, ' ', false, Json::error_handler_t::replace));
    traffic.given.insert(traffic.given.end(), words.given.begin(), words.given.end());
    std::vector<std::uint16_t> layers = layers_passed(traffic);
    if (!words.layer.empty()) {
        const auto one = policyfile::layer_number(words.layer + (traffic.v6() ? "_v6" : "_v4"));
        layers = {one ? *one : or_fail(parse_layer(words.layer), exit_usage)};
    }
    Answers answers = answers_of(words);
    policy::Policy policy;
    if (words.policy.empty()) {
        DaemonClient client(c.socket);
        policy = live_policy(client, answers);
    } else {
        policy = saved_policy(words.policy);
    }
    const auto way = or_fail(explain_way(policy, traffic, layers, answers), exit_usage);
    put(c.json ? print(way_json(policy, traffic, way)) + "\n" : way_text(policy, traffic, way));
}

void set_up_explain(CLI::App &app, Context &context) {
    auto words = std::make_shared<ExplainWords>();
    app.add_option("PROTOCOL", words->protocol, "tcp, udp, icmp, icmpv6 or a number");
    app.add_option("SOURCE", words->source,
                   "ADDRESS:PORT, [ADDRESS]:PORT or ADDRESS; ICMP: the type for the local port");
    app.add_option("DESTINATION", words->destination, "likewise");
    app.add_option("--direction", words->direction, "out (default): the source is local; in")
        ->check(CLI::IsMember({"in", "out"}));
    words->told.reserve(4);
    for (const auto &[option, word, help] :
         {std::tuple{"--app", "app", "path of the executable"},
          std::tuple{"--user", "user", "name or number of its user"},
          std::tuple{"--group", "group", "name or number of its group"},
          std::tuple{"--interface", "interface", "name of the interface"}}) {
        words->told.emplace_back(word, "");
        app.add_option(option, words->told.back().second, help);
    }
    const auto several = [&app](const char *name, std::vector<std::string> &values,
                                const char *help) {
        app.add_option(name, values, help)->expected(1)->take_all()->allow_extra_args(false);
    };
    several("--given", words->given, "more that is known, as a condition: 'packet_length: 60'");
    several("--answer", words->answers, "CALLOUT=permit|block|continue[,hard]: what to assume");
    app.add_option("--layer", words->layer, "this one only (those that such traffic passes)");
    app.add_option("--policy", words->policy, "a policy file instead of what is in force");
    app.add_option("--drop", words->drop, "id in `sluice events`, or last: a recorded drop");
    context.run = [words](Context &c) {
        words->drop.empty() ? explain_traffic(c, *words) : explain_drop(c, *words);
    };
}

} // namespace

std::vector<Command> explain_commands() {
    return {{"explain", nullptr, "which filter decides on traffic, and why", set_up_explain}};
}

} // namespace sluice::cli
