// SPDX-License-Identifier: Apache-2.0
// A policy file as one transaction.
#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/policy_file.h"
#include "daemon/sessions.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {

void Sessions::replace_policy_file(std::uint64_t id, Replacement replacement, const Responder &to) {
    auto by = std::make_shared<Replacement>(std::move(replacement));
    in_order(id, to, [this, by, to](Session &session) {
        if (session.transaction)
            return refuse(session,
                          policy::refuse(STATUS_FWP_TXN_IN_PROGRESS,
                                         "a policy file is a transaction of its own"),
                          to);
        with_writable(session, to, [this, by, to](Session &s) { replace(s, by, to); });
    });
}

// In a session that nobody else has; it waits for its turn for as long as it takes.
void Sessions::replace_policy_file(Replacement replacement) {
    auto own = std::make_unique<Session>();
    own->id = next_id_++;
    own->key = Guid::random();
    own->name = "sluiced";
    own->wait = std::chrono::hours(1);
    Session &session = *(sessions_[own->id] = std::move(own));
    auto by = std::make_shared<Replacement>(std::move(replacement));
    by->committed = [this, id = session.id, then = std::move(by->committed)] {
        then();
        core_.loop.after(Milliseconds(0), [this, id] { end(id, [] {}); });
    };
    ++session.busy;
    const Responder nobody({}, 0);
    with_writable(session, nobody, [this, by, nobody](Session &s) { replace(s, by, nobody); });
}

void Sessions::replace(Session &session, const std::shared_ptr<Replacement> &by,
                       const Responder &to) {
    auto &transaction = *session.transaction;
    // Hosts are asked in between; only replaced() ends it.
    transaction.implicit = false;
    auto made = daemon::replace_policy_file(transaction.policy, by->objects,
                                            [this] { return core_.engine->reserve_filter_id(); });
    Result<void> r = made ? core_.engine->check(transaction.policy) : Result<void>(made.error());
    Reply reply;
    if (r) *reply.mutable_difference() = std::move(made->difference);
    if (!r || by->check_only) {
        abandon(session);
        if (!r) return refuse(session, r.error(), to);
        to.done(std::move(reply));
        return finished(session);
    }
    transaction.changed = true;
    transaction.last_good = by->last_good;
    notify_replaced(session, by, std::move(made->added), reply, to);
}

void Sessions::notify_replaced(Session &session, const std::shared_ptr<Replacement> &by,
                               std::vector<std::uint64_t> left, const Reply &reply,
                               const Responder &to) {
    while (!left.empty()) {
        const std::uint64_t id = left.back();
        left.pop_back();
        const auto &filter = session.transaction->policy.filters.at(id);
        const auto answered = [this, by, left, reply, to, id](Session &s, bool yes) {
            const auto &asked = s.transaction->policy.filters.at(id);
            if (yes) s.transaction->notified.push_back(asked);
            if (yes || !by->vetoes) return notify_replaced(s, by, left, reply, to);
            const Error error =
                policy::refuse(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED,
                               "the callout's host did not accept filter", asked.name);
            abandon(s);
            refuse(s, error, to);
        };
        if (ask_host(session, filter, session.transaction->policy, answered)) return;
    }
    replaced(session, by, reply, to);
}

void Sessions::replaced(Session &session, const std::shared_ptr<Replacement> &by, Reply reply,
                        const Responder &to) {
    if (auto r = commit_now(session); !r) return refuse(session, r.error(), to, 5);
    by->committed();
    reply.mutable_difference()->set_generation(core_.engine->policy().generation);
    to.done(std::move(reply));
    finished(session);
}

} // namespace sluice::daemon
