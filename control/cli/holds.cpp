// SPDX-License-Identifier: Apache-2.0
// sluice hold show|permit|block|watch.
#include <cerrno>
#include <cstdio>
#include <memory>
#include <poll.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/decision.h"
#include "cli/json.h"
#include "cli/table.h"
#include "sluice/fwp.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

// ---- show ----

void show_hold(Context &c, std::uint64_t id) {
    R request;
    request.mutable_hold_list();
    std::optional<protocol::Hold> found;
    DaemonClient(c.socket).ask(std::move(request), [&](const protocol::Reply &reply) {
        for (const auto &hold : reply.holds().holds())
            if (hold.id() == id) found = hold;
    });
    if (!found) throw Failure{exit_refused, "no hold " + std::to_string(id)};
    if (c.json) return put(print(document("holds", Json::array({to_json(*found)}))) + "\n");
    const Json fields = to_json(*found);
    for (const auto &[key, value] : fields.items())
        put(table(
            {{key + ":", readable(value.is_string() ? value.get<std::string>() : value.dump())}}));
}

void set_up_show(CLI::App &app, Context &context) {
    auto id = std::make_shared<std::uint64_t>(0);
    app.add_option("ID", *id, "number in `sluice hold list`")->required();
    context.run = [id](Context &c) { show_hold(c, *id); };
}

// ---- permit, block ----

void decide(DaemonClient &client, const protocol::HoldDecide &decision) {
    R r;
    *r.mutable_hold_decide() = decision;
    client.ask(std::move(r));
}

template <std::uint32_t Action>
void set_up_decide(CLI::App &app, Context &context) {
    auto decision = std::make_shared<protocol::HoldDecide>();
    decision->set_action(Action);
    auto id = std::make_shared<std::uint64_t>(0);
    auto always = std::make_shared<bool>(false);
    app.add_option("ID", *id, "number in `sluice hold list`")->required();
    app.add_flag("--always", *always,
                 "and from now on: a filter for this program and destination, before the one that "
                 "asked");
    context.run = [=](Context &c) {
        decision->set_id(*id);
        decision->set_always(*always);
        DaemonClient client(c.socket);
        decide(client, *decision);
        if (c.json) put(print(Json{{"schema", schema}, {"done", true}}) + "\n");
    };
}

// ---- watch ----

class Watch {
public:
    Watch(const Context &c, bool existing) : client_(c.socket) {
        R r;
        r.mutable_hold_watch()->set_existing(existing);
        client_.ask(std::move(r), [](const protocol::Reply &reply) {
            for (const auto &hold : reply.holds().holds())
                show("opened", hold, {});
        });
    }

    // Ends by a signal, or with the connection.
    void run() {
        for (;;) {
            while (const auto notice = client_.take_notice())
                show_notice(*notice);
            std::fflush(stdout);
            pollfd ready[2] = {{client_.fd(), POLLIN, 0}, {input_open_ ? 0 : -1, POLLIN, 0}};
            if (::poll(ready, 2, -1) < 0 && errno != EINTR)
                throw Failure{exit_refused, "wait for holds and decisions"};
            if (ready[0].revents != 0) client_.receive_notice();
            if (ready[1].revents != 0) read_decisions();
        }
    }

private:
    static void show(const char *what, const protocol::Hold &hold, const std::string &result) {
        Json line{{"event", what}};
        if (!result.empty()) line["result"] = result;
        line.update(to_json(hold));
        put(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }

    static void show_notice(const protocol::Notice &notice) {
        if (!notice.has_hold_notice()) return;
        const auto &m = notice.hold_notice();
        show(m.what() == protocol::HoldNotice::ENDED ? "ended" : "opened", m.hold(), m.result());
    }

    void read_decisions() {
        char bytes[4096];
        const ssize_t count = ::read(0, bytes, sizeof bytes);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
        const bool over = count <= 0; // the watch goes on
        if (over) input_open_ = false;
        for (const auto &line :
             over ? lines_.end() : lines_.take({bytes, static_cast<std::size_t>(count)}))
            take(line);
    }

    void take(const Lines::Line &line) {
        const auto refuse = [&line](const std::string &why) {
            std::fprintf(stderr, "sluice: line %llu: %s\n",
                         static_cast<unsigned long long>(line.number), why.c_str());
        };
        auto decision = parse_decision(line.text);
        if (!decision) return refuse(decision.error().text());
        try {
            decide(client_, *decision);
        } catch (const Failure &failure) {
            if (failure.exit_code == exit_unreachable) throw;
            refuse(failure.text);
        }
    }

    DaemonClient client_;
    Lines lines_;
    bool input_open_ = true;
};

void set_up_watch(CLI::App &app, Context &context) {
    auto existing = std::make_shared<bool>(false);
    app.add_flag("--existing", *existing, "begin with those that are open already");
    context.run = [existing](Context &c) { Watch(c, *existing).run(); };
}

} // namespace

std::vector<Command> hold_commands() {
    return {
        {"hold", "show", "one hold with all that is known of it", set_up_show},
        {"hold", "permit", "let what is held go on", set_up_decide<FWP_ACTION_PERMIT>},
        {"hold", "block", "refuse what is held", set_up_decide<FWP_ACTION_BLOCK>},
        {"hold", "watch",
         "JSON Lines of holds that open and end; decisions on standard input: permit ID [always]",
         set_up_watch},
    };
}

} // namespace sluice::cli
