// SPDX-License-Identifier: Apache-2.0
// `sluice hold watch`: tells of each hold that opens and of its end. It lives on what the kernel
// tells; what got lost on that way is found by looking at the flows, so that every hold that is
// told of has its end told too. Nothing is done while nobody watches.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "daemon/client.h"
#include "daemon/waiting.h"

namespace sluice::daemon {

struct Core;

class HoldWatch {
public:
    explicit HoldWatch(Core &core) : core_(core) {}

    // Answered with the holds that are open already, none of them unless the message asks for them.
    void add(const protocol::HoldWatch &message, const Responder &to);
    void client_gone(std::uint64_t client);
    [[nodiscard]] bool anybody() const { return !watchers_.empty(); }

    // What the kernel told: DP_EVENT_HOLD, DP_EVENT_HOLD_END.
    void event(const datapath::Datapath &plane, const dp_event &event);
    // What a walk over all flows or operations met.
    void met(const datapath::Datapath &plane, const Waiting &hold);
    void look_for_ends(); // of holds whose end was not told
    void send_some();     // as much as the watchers take

private:
    struct Open {
        std::shared_ptr<protocol::Hold> hold;
        Waiting waiting;
        std::uint64_t opened_ns = 0, serial = 0;
        bool over = false;     // a look found it so; its end may be on the way
        bool by_event = false; // it was gone when it was told
    };
    struct Told {
        protocol::HoldNotice::What what{};
        std::shared_ptr<const protocol::Hold> hold;
        const char *result = nullptr;
    };
    struct Watcher {
        std::weak_ptr<Client> client;
        std::uint64_t from = 0; // serial of the first hold that concerns it
        std::deque<Told> pending;
    };

    void meet_all();
    // The word for what became of it; null: it is open.
    [[nodiscard]] const char *result_now(const Waiting &hold) const;
    void opened(Open open);
    void ended(std::map<std::uint64_t, Open>::iterator at, const char *result);
    void tell(const Open &open, const Told &told);

    Core &core_;
    std::map<std::uint64_t, Watcher> watchers_; // by client
    std::map<std::uint64_t, Open> open_;        // by hold id
    std::uint64_t next_serial_ = 1;
};

// The word for an end: permitted, blocked, expired or abandoned. By the reason that the kernel
// told, or by what became of the flow or operation, null: it is gone.
const char *result_of(enum dp_reason reason);
const char *result_of(const dp_flow *flow);
const char *result_of(const dp_operation *operation);

} // namespace sluice::daemon
