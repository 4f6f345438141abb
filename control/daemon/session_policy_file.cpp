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

namespace {

// In replies of so many lines; the numbers come with the last one.
void send_difference(const protocol::PolicyDifference &all, const Responder &to) {
    protocol::Reply reply;
    int lines = 0;
    const auto add = [&](const auto &from, auto line) {
        for (const auto &text : from) {
            if (lines++ == static_cast<int>(protocol::list_page)) {
                reply.set_more(true);
                to.done(std::move(reply));
                reply.Clear();
                lines = 1;
            }
            line(*reply.mutable_difference()) = text;
        }
    };
    add(
        all.deleted(), [](auto &d) -> auto & { return *d.add_deleted(); });
    add(
        all.changed(), [](auto &d) -> auto & { return *d.add_changed(); });
    add(
        all.added(), [](auto &d) -> auto & { return *d.add_added(); });
    reply.mutable_difference()->set_unchanged(all.unchanged());
    reply.mutable_difference()->set_generation(all.generation());
    to.done(std::move(reply));
}

} // namespace

void Sessions::replace_policy_file(std::uint64_t id, const std::shared_ptr<Replacement> &by,
                                   const Responder &to) {
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
void Sessions::replace_policy_file(const std::shared_ptr<Replacement> &by) {
    auto own = std::make_unique<Session>();
    own->id = next_id_++;
    own->key = Guid::random();
    own->name = "sluiced";
    own->wait = std::chrono::hours(1);
    Session &session = *(sessions_[own->id] = std::move(own));
    by->committed = [this, id = session.id, then = std::move(by->committed)] {
        then();
        core_.loop.after(Milliseconds(0), [this, id] { end(id); });
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
    auto made = daemon::replace_policy_file(transaction.policy, std::move(by->objects),
                                            [this] { return core_.engine->reserve_filter_id(); });
    Result<void> r = made ? core_.engine->check(transaction.policy) : Result<void>(made.error());
    Reply reply;
    if (r) *reply.mutable_difference() = std::move(made->difference);
    if (!r || by->check_only) {
        abandon(session);
        if (!r) return refuse(session, r.error(), to);
        send_difference(reply.difference(), to);
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
    send_difference(reply.difference(), to);
    finished(session);
}

} // namespace sluice::daemon
