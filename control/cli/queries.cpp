// SPDX-License-Identifier: Apache-2.0
// Commands that only ask.
#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/parse.h"
#include "cli/table.h"
#include "policy/field.h"
#include "policyfile/fields.h"
#include "policyfile/layers.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

// Every list is asked for, and shown, in one way. Entries: from a reply to its repeated field.
template <typename Message, typename Entries>
void show_list(Context &context, R request, const char *name, const Entries &entries) {
    DaemonClient client(context.socket);
    Json json = Json::array();
    std::vector<Row> rows{heading(static_cast<const Message *>(nullptr))};
    client.ask(std::move(request), [&](const protocol::Reply &reply) {
        for (const Message &entry : entries(reply)) {
            if (context.json)
                json.push_back(to_json(entry));
            else
                rows.push_back(row(entry));
        }
    });
    if (context.json)
        put(print(document(name, std::move(json))) + "\n");
    else if (rows.size() > 1 || !context.quiet)
        put(table(rows));
}

void nics(Context &c) {
    R request;
    request.mutable_nic_list();
    show_list<protocol::Nic>(c, request, "nics",
                             [](const protocol::Reply &r) { return r.nics().nics(); });
}

void plugins(Context &c) {
    R request;
    request.mutable_plugin_list();
    show_list<protocol::Plugin>(c, request, "plugins",
                                [](const protocol::Reply &r) { return r.plugins().plugins(); });
}

void hosts(Context &c) {
    R request;
    request.mutable_host_list();
    show_list<protocol::Host>(c, request, "hosts",
                              [](const protocol::Reply &r) { return r.hosts().hosts(); });
}

void callouts(Context &c) {
    R request;
    request.mutable_callout_list();
    show_list<protocol::CalloutInfo>(
        c, request, "callouts", [](const protocol::Reply &r) { return r.callouts().callouts(); });
}

void filters(Context &c) {
    R request;
    request.mutable_filter_list();
    show_list<protocol::Filter>(c, request, "filters",
                                [](const protocol::Reply &r) { return r.filters().filters(); });
}

void sublayers(Context &c) {
    R request;
    request.mutable_sublayer_list();
    show_list<protocol::SubLayer>(c, request, "sublayers", [](const protocol::Reply &r) {
        return r.sublayers().sublayers();
    });
}

void holds(Context &c) {
    R request;
    request.mutable_hold_list();
    show_list<protocol::Hold>(c, request, "holds",
                              [](const protocol::Reply &r) { return r.holds().holds(); });
}

void stats(Context &c) {
    R request;
    request.mutable_stats_get();
    show_list<protocol::Counter>(c, request, "counters",
                                 [](const protocol::Reply &r) { return r.stats().counters(); });
}

void layers(Context &c) {
    Json json = Json::array();
    std::vector<Row> rows{{"ID", "NAME"}};
    for (const auto &[id, name] : policyfile::all_layers()) {
        json.push_back(Json{{"id", id}, {"name", name}});
        rows.push_back({std::to_string(id), name});
    }
    put(c.json ? print(document("layers", std::move(json))) + "\n" : table(rows));
}

// The conditions that filters can name at a layer, by the words of policy files.
void show_layer(Context &c, const std::string &word) {
    const auto layer = parse_layer(word);
    if (!layer) throw Failure{exit_usage, layer.error().text()};
    std::vector<std::string> words;
    for (const auto &key : policy::fields_at(*layer))
        words.push_back(policyfile::field_word(key));
    std::sort(words.begin(), words.end());
    const std::string name = policyfile::layer_name(*layer);
    if (c.json)
        return put(print(document("layers",
                                  Json::array({Json{
                                      {"id", *layer}, {"name", name}, {"conditions", words}}}))) +
                   "\n");
    put(name + (words.empty() ? ": not classified\n" : "\n"));
    for (const auto &one : words)
        put("  " + one + "\n");
}

void set_up_layer_show(CLI::App &app, Context &context) {
    auto word = std::make_shared<std::string>();
    app.add_option("LAYER", *word, "a name in `sluice layer list`")->required();
    context.run = [word](Context &c) { show_layer(c, *word); };
}

void status(Context &c) {
    R request;
    request.mutable_status_get();
    const auto reply = DaemonClient(c.socket).ask(std::move(request));
    Json json{{"schema", schema}};
    json.update(to_json(reply.status_info()));
    if (c.json) return put(print(json) + "\n");
    const auto &s = reply.status_info();
    std::vector<Row> rows{{"sluiced " + s.version(), "pid " + std::to_string(s.pid())},
                          {"up", age_text(s.uptime_ms())},
                          {"generation", std::to_string(s.generation())}};
    rows.push_back({"pins", s.pins() + " (layout " + std::to_string(s.layout()) + ")"});
    for (const auto &[name, count] : {std::pair{"NICs", s.nics()},
                                      {"hosts", s.hosts()},
                                      {"filters", s.filters()},
                                      {"holds", s.holds()}})
        rows.push_back({name, std::to_string(count)});
    put(table(rows));
    for (const auto &warning : s.warnings())
        put("warning: " + warning + "\n");
}

void version(Context &c) {
    put(c.json ? print(Json{{"schema", schema}, {"version", SLUICE_VERSION}}) + "\n"
               : std::string("sluice " SLUICE_VERSION "\n"));
}

} // namespace

std::vector<Command> query_commands() {
    return {
        {"status", nullptr, "what sluiced is doing, and what it warns of", no_options<status>},
        {"stats", nullptr, "counters of layers and reasons", no_options<stats>},
        {"version", nullptr, "version of this command", no_options<version>},
        {"nic", "list", "network interfaces that carry Sluice, in all namespaces",
         no_options<nics>},
        {"plugin", "list", "plugins that sluiced runs", no_options<plugins>},
        {"host", "list", "processes that run callouts", no_options<hosts>},
        {"callout", "list", "callouts, registered or named by filters", no_options<callouts>},
        {"filter", "list", "filters", no_options<filters>},
        {"sublayer", "list", "sublayers", no_options<sublayers>},
        {"layer", "list", "layers", no_options<layers>},
        {"layer", "show", "the conditions that a layer has", set_up_layer_show},
        {"hold", "list", "connections, binds and listens that wait for a decision",
         no_options<holds>},
    };
}

} // namespace sluice::cli
