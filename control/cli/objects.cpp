// SPDX-License-Identifier: Apache-2.0
// provider, sublayer and callout: list, show, add, delete. Filters have `show` here.
#include "cli/objects.h"

#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/parse.h"
#include "cli/table.h"
#include "policyfile/layers.h"
#include "policyfile/values_text.h"
#include "policyfile/writer.h"
#include "sluice/fwp.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

struct Named {
    std::string name, key;
};

std::vector<Named> named(const protocol::Objects &objects, protocol::ObjectKind kind) {
    std::vector<Named> all;
    const auto add = [&all](const auto &list) {
        for (const auto &object : list)
            all.push_back({object.name(), object.key()});
    };
    switch (kind) {
    case protocol::PROVIDER:
        add(objects.providers());
        break;
    case protocol::PROVIDER_CONTEXT:
        add(objects.provider_contexts());
        break;
    case protocol::SUBLAYER:
        add(objects.sublayers());
        break;
    case protocol::CALLOUT:
        add(objects.callouts());
        break;
    default:
        add(objects.filters());
    }
    return all;
}

void show_added(const Context &c, const std::string &key) {
    const std::string text = guid_text(key);
    put(c.json ? print(Json{{"schema", schema}, {"key", text}}) + "\n" : text + "\n");
}

void show_done(const Context &c) {
    if (c.json) put(print(Json{{"schema", schema}, {"done", true}}) + "\n");
}

// ---- add ----

struct ObjectWords {
    std::string name, key, description, lifetime = "static", layer, service;
    std::uint32_t weight = 0;
};

void head_options(CLI::App &app, ObjectWords &words) {
    app.add_option("NAME", words.name, "text for lists")->required();
    app.add_option("--key", words.key, "GUID (a random one)");
    app.add_option("--description", words.description, "more text");
    app.add_option("--lifetime", words.lifetime, "static (default) or persistent")
        ->check(CLI::IsMember({"static", "persistent"}));
}

template <typename Message>
void set_head(Message &message, const ObjectWords &words, std::uint32_t persistent) {
    message.set_name(words.name);
    message.set_description(words.description);
    if (words.lifetime == "persistent") message.set_flags(persistent);
    message.set_key(Guid::random().bytes());
    if (words.key.empty()) return;
    auto key = parse_key(words.key);
    if (!key) throw Failure{exit_usage, key.error().text()};
    message.set_key(*key);
}

void provider_add(CLI::App &app, Context &context) {
    auto words = std::make_shared<ObjectWords>();
    head_options(app, *words);
    app.add_option("--service", words->service, "name of the service that it belongs to");
    context.run = [words](Context &c) {
        R r;
        auto &provider = *r.mutable_provider_add();
        set_head(provider, *words, FWPM_PROVIDER_FLAG_PERSISTENT);
        provider.set_service_name(words->service);
        const std::string key = provider.key();
        DaemonClient(c.socket).ask(std::move(r));
        show_added(c, key);
    };
}

void sublayer_add(CLI::App &app, Context &context) {
    auto words = std::make_shared<ObjectWords>();
    head_options(app, *words);
    app.add_option("--weight", words->weight, "0-65535; higher ones are evaluated first")
        ->required()
        ->check(CLI::Range(0, 65535));
    context.run = [words](Context &c) {
        R r;
        auto &sublayer = *r.mutable_sublayer_add();
        set_head(sublayer, *words, FWPM_SUBLAYER_FLAG_PERSISTENT);
        sublayer.set_weight(words->weight);
        const std::string key = sublayer.key();
        DaemonClient(c.socket).ask(std::move(r));
        show_added(c, key);
    };
}

void callout_add(CLI::App &app, Context &context) {
    auto words = std::make_shared<ObjectWords>();
    head_options(app, *words);
    app.add_option("--layer", words->layer, "a name in `sluice layer list`")->required();
    context.run = [words](Context &c) {
        R r;
        auto &callout = *r.mutable_callout_add();
        set_head(callout, *words, FWPM_CALLOUT_FLAG_PERSISTENT);
        const auto layer = parse_layer(words->layer);
        if (!layer) throw Failure{exit_usage, layer.error().text()};
        callout.set_layer(*layer);
        const std::string key = callout.key();
        DaemonClient(c.socket).ask(std::move(r));
        show_added(c, key);
    };
}

// ---- delete, list, show ----

template <protocol::ObjectKind Kind>
void object_delete(CLI::App &app, Context &context) {
    auto word = std::make_shared<std::string>();
    app.add_option("NAME", *word, "name or GUID")->required();
    context.run = [word](Context &c) {
        DaemonClient client(c.socket);
        R r;
        r.mutable_object_delete()->set_kind(Kind);
        r.mutable_object_delete()->set_key(key_of(client, Kind, *word));
        client.ask(std::move(r));
        show_done(c);
    };
}

void provider_list(CLI::App &, Context &context) {
    context.run = [](Context &c) {
        DaemonClient client(c.socket);
        protocol::Objects objects;
        fetch(client, protocol::PROVIDER, objects);
        Json json = Json::array();
        std::vector<Row> rows{{"KEY", "LIFETIME", "SERVICE", "NAME"}};
        for (const auto &m : objects.providers()) {
            json.push_back(to_json(m));
            rows.push_back({guid_text(m.key()), m.lifetime(),
                            m.service_name().empty() ? "-" : readable(m.service_name()),
                            readable(m.name())});
        }
        put(c.json ? print(document("providers", std::move(json))) + "\n" : table(rows));
    };
}

// One object with all that is known of it, in the words of policy files.
void show_fields(const Context &c, const char *list, const Json &fields) {
    if (c.json) return put(print(document(list, Json::array({fields}))) + "\n");
    std::vector<Row> rows;
    for (const auto &[key, value] : fields.items())
        if (!value.is_null())
            rows.push_back(
                {key + ":", readable(value.is_string() ? value.get<std::string>() : value.dump())});
    put(table(rows));
}

void callout_show(CLI::App &app, Context &context) {
    auto word = std::make_shared<std::string>();
    app.add_option("NAME", *word, "name or GUID")->required();
    context.run = [word](Context &c) {
        DaemonClient client(c.socket);
        R r, registered;
        r.mutable_object_get()->set_kind(protocol::CALLOUT);
        r.mutable_object_get()->set_key(key_of(client, protocol::CALLOUT, *word));
        const auto reply = client.ask(std::move(r));
        if (reply.objects().callouts_size() != 1)
            throw Failure{exit_refused, "no callout '" + *word + "'"};
        const auto &callout = reply.objects().callouts(0);
        Json fields = to_json(callout);
        registered.mutable_callout_list();
        client.ask(std::move(registered), [&](const protocol::Reply &answer) {
            for (const auto &info : answer.callouts().callouts()) {
                if (info.key() != callout.key()) continue;
                fields["registered"] = info.registered();
                fields["host"] = info.host();
                fields["classify_total"] = info.classify_total();
            }
        });
        show_fields(c, "callouts", fields);
    };
}

void filter_show(CLI::App &app, Context &context) {
    auto word = std::make_shared<std::string>();
    app.add_option("ID", *word, "number in `sluice filter list`, or the key")->required();
    context.run = [word](Context &c) {
        DaemonClient client(c.socket);
        R r;
        auto &get = *r.mutable_object_get();
        get.set_kind(protocol::FILTER);
        if (const auto id = policyfile::number_of(*word))
            get.set_id(*id);
        else if (const auto key = Guid::parse(*word))
            get.set_key(key->bytes());
        else
            throw Failure{exit_usage, "'" + *word + "' is neither the id nor the key of a filter"};
        const auto reply = client.ask(std::move(r));
        if (reply.objects().filters_size() != 1)
            throw Failure{exit_refused, "no filter '" + *word + "'"};
        const auto &filter = reply.objects().filters(0);
        Json fields{{"id", filter.id()}};
        fields.update(policyfile::filter_tree(filter, fetch_named(client)));
        fields["effective_weight"] = filter.effective_weight();
        fields["lifetime"] = filter.lifetime();
        fields["hits"] = filter.hits();
        show_fields(c, "filters", fields);
    };
}

} // namespace

const char *kind_name(protocol::ObjectKind kind) {
    switch (kind) {
    case protocol::PROVIDER:
        return "provider";
    case protocol::PROVIDER_CONTEXT:
        return "provider context";
    case protocol::SUBLAYER:
        return "sublayer";
    case protocol::CALLOUT:
        return "callout";
    default:
        return "filter";
    }
}

void fetch(DaemonClient &client, protocol::ObjectKind kind, protocol::Objects &into) {
    R r;
    auto &wanted = *r.mutable_object_enum();
    wanted.set_kind(kind);
    if (kind == protocol::FILTER)
        wanted.set_flags(FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME |
                         FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED);
    client.ask(std::move(r),
               [&](const protocol::Reply &reply) { into.MergeFrom(reply.objects()); });
}

protocol::Objects fetch_named(DaemonClient &client) {
    protocol::Objects all;
    for (const auto kind :
         {protocol::PROVIDER, protocol::PROVIDER_CONTEXT, protocol::SUBLAYER, protocol::CALLOUT})
        fetch(client, kind, all);
    return all;
}

protocol::Objects fetch_all(DaemonClient &client) {
    protocol::Objects all = fetch_named(client);
    fetch(client, protocol::FILTER, all);
    return all;
}

std::string key_of(DaemonClient &client, protocol::ObjectKind kind, const std::string &word) {
    if (const auto key = Guid::parse(word)) return key->bytes();
    protocol::Objects objects;
    fetch(client, kind, objects);
    std::string found;
    for (const auto &object : named(objects, kind)) {
        if (object.name != word) continue;
        if (!found.empty())
            throw Failure{exit_usage, std::string("several of kind ") + kind_name(kind) +
                                          " are named '" + word + "': give the GUID"};
        found = object.key;
    }
    if (found.empty())
        throw Failure{exit_refused, std::string("no ") + kind_name(kind) + " '" + word + "'"};
    return found;
}

std::vector<Command> object_commands() {
    return {
        {"provider", "list", "who objects belong to", provider_list},
        {"provider", "add", "add a provider; prints its key", provider_add},
        {"provider", "delete", "delete a provider", object_delete<protocol::PROVIDER>},
        {"sublayer", "add", "add a sublayer; prints its key", sublayer_add},
        {"sublayer", "delete", "delete a sublayer", object_delete<protocol::SUBLAYER>},
        {"callout", "add", "add the object of a callout; prints its key", callout_add},
        {"callout", "delete", "delete it", object_delete<protocol::CALLOUT>},
        {"callout", "show", "one callout with all that is known of it", callout_show},
        {"filter", "show", "one filter with all that is known of it", filter_show},
    };
}

} // namespace sluice::cli
