// SPDX-License-Identifier: Apache-2.0
// sluice events [--follow]: net events that sluiced keeps, and those to come.
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/event_text.h"

namespace sluice::cli {

namespace {

using R = protocol::Request;

void show_event(const Context &c, const protocol::NetEvent &event) {
    const std::string line =
        c.json ? to_json(event).dump(-1, ' ', false, Json::error_handler_t::replace)
               : event_line(event);
    std::fputs((line + "\n").c_str(), stdout);
}

void events(Context &c, bool follow) {
    DaemonClient client(c.socket);
    std::uint64_t last = 0;
    if (follow) { // before the list, so that nothing falls between
        R r;
        r.mutable_subscribe()->set_net_events(true);
        client.ask(std::move(r));
    }
    R r;
    r.mutable_net_event_enum();
    client.ask(std::move(r), [&](const protocol::Reply &reply) {
        for (const auto &event : reply.net_events().events()) {
            show_event(c, event);
            last = std::max(last, event.id());
        }
    });
    std::fflush(stdout);
    while (follow) {
        const auto notice = client.next_notice();
        if (!notice.has_net_event() || notice.net_event().id() <= last) continue;
        show_event(c, notice.net_event());
        std::fflush(stdout);
    }
}

void set_up_events(CLI::App &app, Context &context) {
    auto follow = std::make_shared<bool>(false);
    app.add_flag("-f,--follow", *follow, "go on with those to come");
    context.run = [follow](Context &c) { events(c, *follow); };
}

} // namespace

std::vector<Command> event_commands() {
    return {{"events", nullptr, "what was dropped and allowed, by which filter; -j: JSON Lines",
             set_up_events}};
}

} // namespace sluice::cli
