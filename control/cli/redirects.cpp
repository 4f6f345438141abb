// SPDX-License-Identifier: Apache-2.0
// sluice redirect list|show.
#include <memory>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/table.h"
#include "policyfile/values_text.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

std::vector<protocol::Redirect> fetch_redirects(const Context &c, const std::string &filter) {
    R request;
    request.mutable_redirect_list()->set_filter(filter);
    std::vector<protocol::Redirect> all;
    DaemonClient(c.socket).ask(std::move(request), [&](const protocol::Reply &reply) {
        all.insert(all.end(), reply.redirects().redirects().begin(),
                   reply.redirects().redirects().end());
    });
    return all;
}

void list_redirects(Context &c, const std::string &filter) {
    Json json = Json::array();
    std::vector<Row> rows{heading(static_cast<const protocol::Redirect *>(nullptr))};
    for (const auto &redirect : fetch_redirects(c, filter)) {
        json.push_back(to_json(redirect));
        rows.push_back(row(redirect));
    }
    if (c.json)
        put(print(document("redirects", std::move(json))) + "\n");
    else if (rows.size() > 1 || !c.quiet)
        put(table(rows));
}

std::string process_text(const protocol::RedirectHop &hop) {
    std::string text = "pid " + std::to_string(hop.pid());
    if (!hop.exe().empty()) text += " " + readable(hop.exe());
    return text + ", user " + user_name(hop.uid()) + ", cgroup " + std::to_string(hop.cgroup());
}

std::string maker_text(const protocol::RedirectHop &hop) {
    std::string text = "filter " + std::to_string(hop.filter()) + ", in the name of " +
                       chain_name(hop) + " (" + guid_text(hop.provider()) + ")";
    if (hop.host() != 0)
        text += ", host " + std::to_string(hop.host()) + " handle " + std::to_string(hop.handle());
    if (hop.target_pid() != 0) text += ", for pid " + std::to_string(hop.target_pid());
    return text;
}

void show_redirect(Context &c, const std::string &word) {
    if (!policyfile::number_of(word))
        throw Failure{exit_usage, "'" + word + "' is no number in `sluice redirect list`"};
    const auto found = fetch_redirects(c, word);
    if (found.size() != 1) throw Failure{exit_refused, "no redirection " + word};
    const auto &m = found.front();
    if (c.json) return put(print(document("redirects", Json::array({to_json(m)}))) + "\n");
    std::vector<Row> rows{
        {"state:", m.state() + (m.way().empty() ? "" : ", " + m.way())},
        {"connection:",
         m.protocol() + " " + (m.client().empty() ? "-" : m.client()) + " -> " + m.original()},
        {"goes to:", m.target()},
        {"age:", age_text(m.age_ms())},
        {"compartment:", std::to_string(m.compartment())}};
    if (m.target_pid() != 0)
        rows.push_back(
            {"target:", "pid " + std::to_string(m.target_pid()) + " " + readable(m.target_exe())});
    if (m.context_bytes() != 0)
        rows.push_back({"context:", std::to_string(m.context_bytes()) + " bytes"});
    put(table(rows));
    int number = 0;
    for (const auto &hop : m.hops()) {
        if (hop.to().empty()) { // of a proxy that sets no records: only that it has been
            put("hop " + std::to_string(++number) + ": inferred, in the name of " +
                readable(chain_name(hop)) + "\n  of " + process_text(hop) + "\n");
            continue;
        }
        put("hop " + std::to_string(++number) + ": " + hop.from() + " -> " + hop.to() + "\n  by " +
            readable(maker_text(hop)) + "\n  of " + process_text(hop) + "\n");
    }
}

void set_up_redirect_list(CLI::App &app, Context &context) {
    auto word = std::make_shared<std::string>();
    app.add_option("WORD", *word, "only those with this number, or with this in their line");
    context.run = [word](Context &c) { list_redirects(c, *word); };
}

void set_up_redirect_show(CLI::App &app, Context &context) {
    auto word = std::make_shared<std::string>();
    app.add_option("ID", *word, "number in `sluice redirect list`")->required();
    context.run = [word](Context &c) { show_redirect(c, *word); };
}

} // namespace

std::vector<Command> redirect_commands() {
    return {
        {"redirect", "list", "connections that go elsewhere than they were meant to",
         set_up_redirect_list},
        {"redirect", "show", "one of them with every step of its chain", set_up_redirect_show},
    };
}

} // namespace sluice::cli
