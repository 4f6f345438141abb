// SPDX-License-Identifier: Apache-2.0
// sluice policy check|diff|apply|confirm|rollback|export.
#include <cstdio>
#include <memory>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/pieces.h"
#include "cli/table.h"
#include "policyfile/check.h"
#include "policyfile/values_text.h"
#include "policyfile/writer.h"
#include "policy/wfp.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;
using policyfile::PolicyFile;

// A file with errors ends the command; they are already lines with places.
void must_be_good(const PolicyFile &file) {
    if (!file.good()) throw Failure{exit_refused, file.errors(), true};
}

void check(Context &c, const std::string &path) {
    PolicyFile file = policyfile::read_file(path);
    const auto policy = policyfile::check(file);
    must_be_good(file);
    if (c.json)
        put(print(Json{{"schema", schema},
                       {"good", true},
                       {"filters", policy.filters.size()},
                       {"sublayers", file.objects.sublayers_size()},
                       {"callouts", file.objects.callouts_size()}}) +
            "\n");
    else if (!c.quiet)
        put(path + ": good, " + std::to_string(policy.filters.size()) + " filters\n");
}

void show_difference(const Context &c, const protocol::PolicyDifference &difference) {
    if (c.json) return put(print(to_json(difference)) + "\n");
    if (c.quiet) return;
    for (const auto &[mark, lines] : {std::pair{"- ", &difference.deleted()},
                                      {"~ ", &difference.changed()},
                                      {"+ ", &difference.added()}})
        for (const auto &line : *lines)
            put(mark + readable(line) + "\n");
    put(std::to_string(difference.added_size()) + " added, " +
        std::to_string(difference.changed_size()) + " changed, " +
        std::to_string(difference.deleted_size()) + " deleted, " +
        std::to_string(difference.unchanged()) + " unchanged\n");
}

// Long work shows where it is, to people only.
class Progress {
public:
    Progress(const Context &c, std::size_t all)
        : all_(all), shown_(!c.quiet && !c.json && all > 5000 && ::isatty(STDERR_FILENO) == 1) {}
    ~Progress() {
        if (shown_) std::fputs("\r\x1b[K", stderr);
    }
    void at(std::size_t done, const char *what) const {
        if (shown_) std::fprintf(stderr, "\r\x1b[K%s %zu of %zu objects", what, done, all_);
    }

private:
    std::size_t all_;
    bool shown_;
};

struct ApplyWords {
    std::string path, confirm;
};

// The objects are in the requests then, also if they were refused.
protocol::PolicyDifference send(Context &c, DaemonClient &client, protocol::Objects objects,
                                std::vector<R> &requests, std::uint32_t confirm_ms,
                                bool check_only) {
    const std::size_t all = object_count(objects);
    std::size_t done = 0;
    const Progress progress(c, all);
    auto pieces = in_pieces(std::move(objects));
    requests.clear();
    for (auto &piece : pieces) {
        auto &apply = *requests.emplace_back().mutable_policy_apply();
        apply.mutable_objects()->Swap(&piece);
        apply.set_confirm_ms(confirm_ms);
        apply.set_check_only(check_only);
        apply.set_more(&piece != &pieces.back());
    }
    auto reply = client.ask_in_pieces(requests, [&](std::size_t sent) {
        done += object_count(requests[sent].policy_apply().objects());
        progress.at(done, done < all ? "sent" : "applying");
    });
    return std::move(*reply.mutable_difference());
}

protocol::Objects taken_back(std::vector<R> &requests) {
    std::vector<protocol::Objects> pieces;
    for (auto &request : requests)
        pieces.push_back(std::move(*request.mutable_policy_apply()->mutable_objects()));
    return together(std::move(pieces));
}

template <typename Objects>
void also_external(const Objects &known, const std::string &own_provider, Objects &external,
                   std::vector<policyfile::Place> &places) {
    for (const auto &object : known) {
        const bool declared = std::any_of(external.begin(), external.end(), [&](const auto &other) {
            return other.key() == object.key();
        });
        if (declared || object.lifetime() == "built-in" || object.provider() == own_provider)
            continue;
        *external.Add() = object;
        external.rbegin()->clear_provider();
        places.emplace_back();
    }
}

// What the engine refused is looked for in the file, so that the error has a place. Throws when it
// is found; else the engine's own words have to do.
void find_place(DaemonClient &client, PolicyFile &file) {
    const auto known = fetch_named(client);
    const std::string own = policy::table_key("SLUICE_PROVIDER_POLICY_FILE").bytes();
    also_external(known.sublayers(), own, *file.external.mutable_sublayers(),
                  file.external_places.sublayers);
    also_external(known.provider_contexts(), own, *file.external.mutable_provider_contexts(),
                  file.external_places.provider_contexts);
    also_external(known.callouts(), own, *file.external.mutable_callouts(),
                  file.external_places.callouts);
    policyfile::check(file);
    must_be_good(file);
}

protocol::PolicyDifference send_or_say_where(Context &c, DaemonClient &client, PolicyFile &file,
                                             std::uint32_t confirm_ms, bool check_only) {
    // What is large is not taken apart before the process ends: the kernel is quicker.
    static auto &requests = *new std::vector<R>;
    try {
        return send(c, client, std::move(file.objects), requests, confirm_ms, check_only);
    } catch (const Failure &failure) {
        file.objects = taken_back(requests);
        if (failure.exit_code == exit_refused) find_place(client, file);
        throw;
    }
}

// The file with the names that the engine knows; what belongs to whom is the engine's to say.
PolicyFile read_for(DaemonClient &client, const std::string &path) {
    PolicyFile file = policyfile::read_file(path, fetch_named(client));
    must_be_good(file);
    const std::string provider = policy::table_key("SLUICE_PROVIDER_POLICY_FILE").bytes();
    const auto owned = [&provider](auto &objects) {
        for (auto &object : objects)
            object.set_provider(provider);
    };
    owned(*file.objects.mutable_provider_contexts());
    owned(*file.objects.mutable_sublayers());
    owned(*file.objects.mutable_callouts());
    owned(*file.objects.mutable_filters());
    return file;
}

void diff(Context &c, const std::string &path) {
    DaemonClient client(c.socket);
    PolicyFile file = read_for(client, path);
    show_difference(c, send_or_say_where(c, client, file, 0, true));
}

void apply(Context &c, const ApplyWords &words) {
    std::uint32_t confirm_ms = 0;
    if (!words.confirm.empty()) {
        const auto ms = policyfile::milliseconds_of(words.confirm);
        if (!ms || *ms == 0 || *ms > 0xffffffffu)
            throw Failure{exit_usage, "'" + words.confirm + "' is no time to confirm in, as 60s"};
        confirm_ms = static_cast<std::uint32_t>(*ms);
    }
    DaemonClient client(c.socket);
    PolicyFile file = read_for(client, words.path);
    show_difference(c, send_or_say_where(c, client, file, confirm_ms, false));
    if (confirm_ms != 0 && !c.quiet)
        std::fprintf(stderr, "sluice: goes back in %s unless `sluice policy confirm` comes first\n",
                     words.confirm.c_str());
}

void confirm(Context &c) {
    R r;
    r.mutable_policy_confirm();
    DaemonClient(c.socket).ask(std::move(r));
    if (c.json) put(print(Json{{"schema", schema}, {"done", true}}) + "\n");
}

void rollback(Context &c) {
    R r;
    r.mutable_policy_rollback();
    show_difference(c, DaemonClient(c.socket).ask(std::move(r)).difference());
}

// ---- export ----

template <typename Objects, typename Keep>
void keep_if(Objects &objects, Objects &rest, const Keep &keep) {
    Objects kept;
    for (auto &object : objects)
        (keep(object) ? kept : rest).Add()->Swap(&object);
    objects.Swap(&kept);
}

// Of what the engine has: what the file is about, and what it only names.
protocol::Objects split(protocol::Objects &all, const std::string &provider, bool everything) {
    protocol::Objects rest;
    const auto keep = [&](const auto &object) {
        if (object.lifetime() == "built-in") return false;
        if constexpr (requires { object.provider(); })
            return everything || object.provider() == provider;
        else
            return everything;
    };
    keep_if(*all.mutable_providers(), *rest.mutable_providers(), keep);
    keep_if(*all.mutable_provider_contexts(), *rest.mutable_provider_contexts(), keep);
    keep_if(*all.mutable_sublayers(), *rest.mutable_sublayers(), keep);
    keep_if(*all.mutable_callouts(), *rest.mutable_callouts(), keep);
    keep_if(*all.mutable_filters(), *rest.mutable_filters(), keep);
    return rest;
}

void drop_unnamed(protocol::Objects &external, const protocol::Objects &kept) {
    const auto is_named = [&kept](const std::string &key, auto member) {
        return std::any_of(
            kept.filters().begin(), kept.filters().end(),
            [&](const protocol::Filter &filter) { return (filter.*member)() == key; });
    };
    protocol::Objects ignored;
    keep_if(*external.mutable_callouts(), *ignored.mutable_callouts(), [&](const auto &callout) {
        return is_named(callout.key(), &protocol::Filter::callout);
    });
    keep_if(*external.mutable_sublayers(), *ignored.mutable_sublayers(), [&](const auto &sublayer) {
        return sublayer.lifetime() != "built-in" &&
               is_named(sublayer.key(), &protocol::Filter::sublayer);
    });
}

void export_policy(Context &c, bool everything) {
    DaemonClient client(c.socket);
    protocol::Objects all = fetch_all(client);
    const std::string provider = policy::table_key("SLUICE_PROVIDER_POLICY_FILE").bytes();
    policyfile::WriteOptions options;
    options.external = split(all, provider, everything);
    options.own_provider = provider;
    drop_unnamed(options.external, all);
    const auto tree = policyfile::to_tree(all, options);
    put(c.json ? policyfile::to_json_text(tree) : policyfile::to_yaml(tree));
}

// ---- set-up ----

template <void (*Run)(Context &, const std::string &)>
void with_file(CLI::App &app, Context &context) {
    auto path = std::make_shared<std::string>();
    app.add_option("FILE", *path, "policy file; - for standard input")->required();
    context.run = [path](Context &c) { Run(c, *path); };
}

void set_up_apply(CLI::App &app, Context &context) {
    auto words = std::make_shared<ApplyWords>();
    app.add_option("FILE", words->path, "policy file; - for standard input")->required();
    app.add_option("--confirm", words->confirm,
                   "TIME, as 60s: goes back unless `sluice policy confirm` comes within it");
    context.run = [words](Context &c) { apply(c, *words); };
}

void set_up_export(CLI::App &app, Context &context) {
    auto all = std::make_shared<bool>(false);
    app.add_flag("--all", *all, "every object, not only what `sluice policy apply` brought");
    context.run = [all](Context &c) { export_policy(c, *all); };
}

} // namespace

std::vector<Command> policy_commands() {
    return {
        {"policy", "check", "is a policy file good? without sluiced", with_file<check>},
        {"policy", "diff", "what applying it would change", with_file<diff>},
        {"policy", "apply", "replace what was applied before, in one transaction", set_up_apply},
        {"policy", "confirm", "keep what `apply --confirm` brought", no_options<confirm>},
        {"policy", "rollback", "go back to what was applied before", no_options<rollback>},
        {"policy", "export", "what is applied, as a policy file", set_up_export},
    };
}

} // namespace sluice::cli
