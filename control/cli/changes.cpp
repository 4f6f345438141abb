// SPDX-License-Identifier: Apache-2.0
// Commands that change something.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/parse.h"
#include "core/guid.h"
#include "sluice/fwp.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

void show_note(const Context &c, const protocol::Reply &reply) {
    if (!c.quiet && !reply.note().empty())
        std::fprintf(stderr, "sluice: %s\n", reply.note().c_str());
}

void show_done(const Context &c, const protocol::Reply &reply) {
    show_note(c, reply);
    if (c.json)
        std::fputs((print(Json{{"schema", schema}, {"done", true}}) + "\n").c_str(), stdout);
}

Fd own_namespace() {
    Fd ns(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!ns)
        throw Failure{exit_refused, std::string("open /proc/self/ns/net: ") + std::strerror(errno)};
    return ns;
}

void nic_load(CLI::App &app, Context &context) {
    auto request = std::make_shared<protocol::NicLoad>();
    app.add_option("IF", *request->mutable_name(), "network interface in this namespace")
        ->required();
    app.add_option("--mode", *request->mutable_mode(), "auto (default), native or generic")
        ->check(CLI::IsMember({"auto", "native", "generic"}));
    app.add_option("--cgroup", *request->mutable_cgroup(),
                   "cgroup2 directory whose processes are watched (the root)");
    context.run = [request](Context &c) {
        R r;
        *r.mutable_nic_load() = *request;
        const Fd ns = own_namespace();
        show_done(c, DaemonClient(c.socket).ask(std::move(r), {ns.get()}));
    };
}

void nic_unload(CLI::App &app, Context &context) {
    auto name = std::make_shared<std::string>();
    app.add_option("IF", *name, "network interface in this namespace")->required();
    context.run = [name](Context &c) {
        R r;
        r.mutable_nic_unload()->set_name(*name);
        const Fd ns = own_namespace();
        show_done(c, DaemonClient(c.socket).ask(std::move(r), {ns.get()}));
    };
}

void plugin_load(CLI::App &app, Context &context) {
    auto request = std::make_shared<protocol::PluginLoad>();
    app.add_option("FILE", *request->mutable_file(), "plugin, a shared object")->required();
    app.add_option("--name", *request->mutable_name(), "its name in lists (that of the file)");
    app.add_option("--user", *request->mutable_user(),
                   "user that its process becomes, without capabilities");
    context.run = [request](Context &c) {
        R r;
        *r.mutable_plugin_load() = *request;
        r.mutable_plugin_load()->set_file(std::filesystem::absolute(request->file()).string());
        show_done(c, DaemonClient(c.socket).ask(std::move(r)));
    };
}

void plugin_unload(CLI::App &app, Context &context) {
    auto name = std::make_shared<std::string>();
    app.add_option("NAME", *name, "name in `sluice plugin list`")->required();
    context.run = [name](Context &c) {
        R r;
        r.mutable_plugin_unload()->set_name(*name);
        show_done(c, DaemonClient(c.socket).ask(std::move(r)));
    };
}

Names names_for(DaemonClient &client, const FilterWords &words) {
    Names names;
    R callouts, sublayers;
    callouts.mutable_callout_list();
    sublayers.mutable_sublayer_list();
    if (!words.callout.empty())
        client.ask(std::move(callouts), [&](const protocol::Reply &reply) {
            names.callouts.insert(names.callouts.end(), reply.callouts().callouts().begin(),
                                  reply.callouts().callouts().end());
        });
    if (!words.sublayer.empty())
        client.ask(std::move(sublayers), [&](const protocol::Reply &reply) {
            names.sublayers.insert(names.sublayers.end(), reply.sublayers().sublayers().begin(),
                                   reply.sublayers().sublayers().end());
        });
    if (!words.provider.empty())
        names.provider = key_of(client, protocol::PROVIDER, words.provider);
    return names;
}

// A driver may register its callout and leave it to the administrator to add it to the engine: then
// the filter's layer is the callout's.
void add_callout_of(DaemonClient &client, const protocol::Filter &filter, const Names &names) {
    for (const auto &known : names.callouts) {
        if (known.key() != filter.callout() || !known.registered() || known.layers_size() != 0)
            continue;
        R r;
        auto &callout = *r.mutable_callout_add();
        callout.set_key(known.key());
        callout.set_name(Guid::from_bytes(known.key())->text());
        callout.set_layer_key(filter.layer_key());
        callout.set_layer(filter.layer());
        client.ask(std::move(r));
    }
}

// A filter and its context are there together or not at all.
protocol::Reply add_with_context(DaemonClient &client, R filter,
                                 const protocol::ProviderContext &context) {
    R begin, add, commit;
    begin.mutable_transaction_begin();
    *add.mutable_provider_context_add() = context;
    commit.mutable_transaction_commit();
    client.ask(std::move(begin));
    client.ask(std::move(add)); // a refusal ends the connection, and with it the transaction
    const auto reply = client.ask(std::move(filter));
    client.ask(std::move(commit));
    return reply;
}

void add_filter(Context &c, const FilterWords &words) {
    DaemonClient client(c.socket);
    const Names names = names_for(client, words);
    auto filter = parse_filter(words, names);
    if (!filter) throw Failure{exit_usage, filter.error().text()};
    const auto context = parse_redirect(words, *filter);
    if (!context) throw Failure{exit_usage, context.error().text()};
    add_callout_of(client, *filter, names);
    R r;
    *r.mutable_filter_add() = std::move(*filter);
    const auto reply =
        *context ? add_with_context(client, std::move(r), **context) : client.ask(std::move(r));
    if (c.json)
        std::fputs((print(Json{{"schema", schema}, {"id", reply.filter_id()}}) + "\n").c_str(),
                   stdout);
    else
        std::printf("%llu\n", static_cast<unsigned long long>(reply.filter_id()));
}

struct ConditionOption {
    const char *option, *word, *help;
};
constexpr ConditionOption condition_options[] = {
    {"--remote", "remote_address", "ADDRESS, ADDRESS/LENGTH or ADDRESS-ADDRESS; again: or"},
    {"--local", "local_address", "likewise"},
    {"--remote-port", "remote_port", "N or N-M; again: or"},
    {"--local-port", "local_port", "likewise"},
    {"--protocol", "protocol", "tcp, udp, icmp, icmpv6 or a number; again: or"},
    {"--app", "app", "path of an executable; again: or"},
    {"--user", "user", "name or number; again: or"},
    {"--group", "group", "likewise"},
    {"--interface", "interface", "name; again: or"}};

void add_condition_options(CLI::App &app, FilterWords &words) {
    words.conditions.reserve(std::size(condition_options));
    for (const auto &[option, word, help] : condition_options) {
        words.conditions.emplace_back(word, std::vector<std::string>());
        // One value an option: what follows is the next word. Given again, the values are
        // alternatives.
        app.add_option(option, words.conditions.back().second, help)
            ->expected(1)
            ->take_all()
            ->allow_extra_args(false);
    }
    app.add_option("--condition", words.written,
                   "any condition as a policy file writes it: 'remote_port: {not: 22}'")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
}

void filter_add(CLI::App &app, Context &context) {
    auto words = std::make_shared<FilterWords>();
    app.add_option("--layer", words->layer, "a name in `sluice layer list`")->required();
    app.add_option("--action", words->action, "permit, block, redirect or callout");
    app.add_option(
        "--redirect", words->redirect,
        "where to, at a redirect layer: 127.0.0.1:8080[,[::1]:8080], an address alone or "
        ":PORT alone");
    app.add_option("--context", words->context, "text that the target may ask for");
    app.add_flag("--proxy-v2", words->proxy_v2,
                 "the target reads PROXY protocol v2 in front of what it is sent");
    app.add_option("--callout", words->callout, "name or GUID of the callout");
    app.add_option("--callout-type", words->callout_type,
                   "terminating (default), inspection or unknown");
    add_condition_options(app, *words);
    app.add_option("--weight", words->weight,
                   "auto (default), 0-15 for a range of weights, or a weight of 64 bits");
    app.add_option("--sublayer", words->sublayer, "name or GUID (the universal sublayer)");
    app.add_option("--provider", words->provider,
                   "name or GUID (none); of a redirection: in whose name, which tells its proxy's "
                   "own connections");
    app.add_option("--name", words->name, "text for lists");
    app.add_option("--description", words->description, "text for `sluice filter show`");
    app.add_option("--key", words->key, "GUID (a random one)");
    app.add_option("--lifetime", words->lifetime, "static (default), persistent or boot-time");
    app.add_option("--deadline", words->deadline,
                   "how long the callout may hold: 500ms, 30s, 5m, none (as its host says)");
    app.add_option("--outcome", words->outcome,
                   "of what is not decided in time, or past a quota: block, permit or next");
    app.add_flag("--permit-if-unregistered", words->permit_if_unregistered,
                 "permit while nobody answers for the callout");
    app.add_flag("--clear-action-right", words->clear_action_right,
                 "the decision is final for lower sublayers");
    context.run = [words](Context &c) { add_filter(c, *words); };
}

void filter_delete(CLI::App &app, Context &context) {
    auto id = std::make_shared<std::uint64_t>(0);
    app.add_option("ID", *id, "number in `sluice filter list`")->required();
    context.run = [id](Context &c) {
        R r;
        r.mutable_filter_delete()->set_id(*id);
        show_done(c, DaemonClient(c.socket).ask(std::move(r)));
    };
}

} // namespace

std::vector<Command> change_commands() {
    return {
        {"nic", "load", "put Sluice on a network interface", nic_load},
        {"nic", "unload", "take it off again", nic_unload},
        {"plugin", "load", "run a plugin in a process of its own", plugin_load},
        {"plugin", "unload", "end it", plugin_unload},
        {"filter", "add", "add a filter; prints its id", filter_add},
        {"filter", "delete", "delete a filter", filter_delete},
    };
}

std::vector<Command> all_commands() {
    auto all = query_commands();
    for (const auto &more :
         {change_commands(), hold_commands(), redirect_commands(), object_commands(),
          policy_commands(), event_commands(), explain_commands(), boot_commands()})
        all.insert(all.end(), more.begin(), more.end());
    return all;
}

Vocabulary vocabulary() {
    Vocabulary words;
    for (const auto &command : all_commands()) {
        auto &actions = words[command.object];
        if (command.action != nullptr) actions.emplace_back(command.action);
    }
    return words;
}

} // namespace sluice::cli
