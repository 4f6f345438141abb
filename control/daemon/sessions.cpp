// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions.h"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/subscriptions.h"
#include "policy/edit.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {

namespace {

Error refusal(NTSTATUS status, std::string text) {
    return Error::status(static_cast<std::uint32_t>(status), std::move(text));
}

} // namespace

// ---- which session ----

Session *Sessions::find(std::uint64_t id) const {
    const auto it = sessions_.find(id);
    return it == sessions_.end() ? nullptr : it->second.get();
}

Session *Sessions::of_key(const Guid &key) const {
    for (const auto &[id, session] : sessions_)
        if (session->key == key) return session.get();
    return nullptr;
}

Session &Sessions::make(const std::shared_ptr<Client> &client) {
    auto session = std::make_unique<Session>();
    session->id = next_id_++;
    session->key = Guid::random();
    session->uid = client->peer.uid;
    session->pid = client->peer.pid;
    session->client = client->id;
    session->wait = core_.options.txn_wait;
    return *(sessions_[session->id] = std::move(session));
}

Session *Sessions::named(std::uint64_t id, const Responder &to) {
    const auto client = to.client();
    if (!client) return nullptr;
    if (id == 0) {
        auto &own = unnamed_[client->id];
        if (own == 0) own = make(client).id;
        return find(own);
    }
    auto *session = find(id);
    if (session != nullptr && session->client == client->id) return session;
    to.fail(
        refusal(STATUS_INVALID_HANDLE, "no session " + std::to_string(id) + " on this connection"));
    return nullptr;
}

void Sessions::open(const protocol::EngineOpen &message, const Responder &to) {
    const auto client = to.client();
    if (!client) return;
    const auto key = message.session_key().empty()
                         ? Guid::random()
                         : Guid::from_bytes(message.session_key()).value_or(Guid{});
    if (key.is_null())
        return to.fail(refusal(STATUS_INVALID_PARAMETER, "session key is not a GUID"));
    Session *session = of_key(key);
    if (session != nullptr && session->client != 0)
        return to.fail(
            refusal(STATUS_FWP_ALREADY_EXISTS, "a session with this key is open: " + key.text()));
    if (session == nullptr) session = &make(client);
    core_.loop.cancel(session->linger);
    session->client = client->id;
    session->pid = client->peer.pid;
    session->key = key;
    session->name = message.name();
    session->dynamic = session->dynamic || message.dynamic();
    if (message.txn_wait_ms() != 0) session->wait = Milliseconds(message.txn_wait_ms());
    client->trusted = true;
    if (session->dynamic) core_.save_or_warn();
    protocol::Reply reply;
    reply.set_session_id(session->id);
    to.done(std::move(reply));
}

void Sessions::close(std::uint64_t id, const Responder &to) {
    // Answered at once: what a dynamic session leaves goes when the writer's turn comes, which is
    // now unless another session has it. Whoever closes may be that other session's owner.
    in_order(id, to, [this, to](Session &s) {
        end(s.id);
        to.done();
    });
}

// ---- one request after the other ----

void Sessions::in_order(std::uint64_t id, const Responder &to,
                        std::function<void(Session &)> work) {
    Session *session = named(id, to);
    if (session == nullptr) return;
    auto checked = [this, to, work = std::move(work)](Session &s) {
        if (!std::exchange(s.aborted, false)) return work(s);
        refuse(s, refusal(STATUS_FWP_TXN_ABORTED, "the session held its transaction for too long"),
               to, 5);
    };
    if (session->busy != 0 && session->serving == 0) {
        session->queue.push_back([this, id = session->id, checked = std::move(checked)] {
            if (auto *s = find(id)) checked(*s);
        });
        return;
    }
    ++session->busy;
    checked(*session);
}

void Sessions::finished(Session &session) {
    if (session.busy != 0) --session.busy;
    if (session.busy != 0 || session.queue.empty()) return;
    session.busy = 1;
    auto next = std::move(session.queue.front());
    session.queue.pop_front();
    // From the loop: a long queue must not become a deep stack.
    core_.loop.after(Milliseconds(0), std::move(next));
}

void Sessions::refuse(Session &session, const Error &error, const Responder &to,
                      std::uint32_t exit_code) {
    to.fail(error, exit_code);
    finished(session);
}

// ---- transactions ----

void Sessions::begin(std::uint64_t id, bool read_only, const Responder &to) {
    in_order(id, to, [this, read_only, to](Session &s) {
        if (s.transaction)
            return refuse(
                s, refusal(STATUS_FWP_TXN_IN_PROGRESS, "the session has a transaction open"), to);
        const auto start = [this, read_only, to](Session &session) {
            open_transaction(session, read_only, false);
            to.done();
            finished(session);
        };
        if (read_only) return start(s);
        core_.turn.take(s.id, s.wait, [this, id = s.id, start, to](bool granted) {
            auto *session = find(id);
            if (session == nullptr) return;
            if (granted) return start(*session);
            refuse(*session,
                   refusal(STATUS_FWP_TIMEOUT, "another session's transaction did not end in time"),
                   to);
        });
    });
}

void Sessions::open_transaction(Session &session, bool read_only, bool implicit) {
    auto &transaction = session.transaction.emplace();
    transaction.number = next_transaction_++;
    transaction.read_only = read_only;
    transaction.implicit = implicit;
    transaction.policy = core_.engine->policy();
    if (read_only || implicit || core_.options.txn_hold.count() == 0) return;
    transaction.hold =
        core_.loop.after(core_.options.txn_hold, [this, id = session.id, n = transaction.number] {
            abort_by_force(id, n);
        });
}

void Sessions::abort_by_force(std::uint64_t id, std::uint64_t number) {
    auto *session = find(id);
    if (session == nullptr || !session->transaction || session->transaction->number != number)
        return;
    spdlog::warn("session {} '{}' held its transaction for too long: aborted", id, session->name);
    session->aborted = true;
    abandon(*session);
}

void Sessions::commit(std::uint64_t id, const Responder &to) {
    in_order(id, to, [this, to](Session &s) {
        if (!s.transaction)
            return refuse(
                s, refusal(STATUS_FWP_NO_TXN_IN_PROGRESS, "the session has no transaction open"),
                to);
        auto r = commit_now(s);
        if (r)
            to.done();
        else
            to.fail(r.error(), 5);
        finished(s);
    });
}

void Sessions::abort(std::uint64_t id, const Responder &to) {
    in_order(id, to, [this, to](Session &s) {
        if (!s.transaction)
            return refuse(
                s, refusal(STATUS_FWP_NO_TXN_IN_PROGRESS, "the session has no transaction open"),
                to);
        abandon(s);
        to.done();
        finished(s);
    });
}

Result<void> Sessions::commit_now(Session &session) {
    Session::Transaction transaction = std::move(*session.transaction);
    session.transaction.reset();
    core_.loop.cancel(transaction.hold);
    core_.engine->keep_numbers(transaction.policy);
    Result<void> r;
    if (transaction.changed)
        r = core_.engine->commit(std::move(transaction.policy), session.id,
                                 transaction.last_good ? &*transaction.last_good : nullptr);
    if (!r)
        for (const auto &filter : transaction.notified)
            core_.hosts->filter_deleted(filter);
    core_.turn.give_back(session.id);
    return r;
}

void Sessions::abandon(Session &session) {
    const Session::Transaction transaction = std::move(*session.transaction);
    session.transaction.reset();
    core_.loop.cancel(transaction.hold);
    core_.engine->keep_numbers(transaction.policy);
    for (const auto &filter : transaction.notified)
        core_.hosts->filter_deleted(filter);
    core_.turn.give_back(session.id);
}

policy::Policy *Sessions::open_policy() {
    auto *session = find(core_.turn.holder());
    return session != nullptr && session->transaction ? &session->transaction->policy : nullptr;
}

// ---- changes ----

void Sessions::with_writable(Session &session, const Responder &to,
                             std::function<void(Session &)> work, std::function<void()> refused) {
    if (session.transaction && session.transaction->read_only)
        return refuse(
            session, refusal(STATUS_FWP_INCOMPATIBLE_TXN, "the session's transaction is read-only"),
            to);
    if (session.transaction) return work(session);
    core_.turn.take(session.id, session.wait,
                    [this, id = session.id, work = std::move(work), refused = std::move(refused),
                     to](bool granted) {
                        auto *s = find(id);
                        if (s == nullptr) return;
                        if (!granted) {
                            if (refused) refused();
                            return refuse(
                                *s,
                                refusal(STATUS_FWP_TIMEOUT,
                                        "another session's transaction did not end in time"),
                                to);
                        }
                        open_transaction(*s, false, true);
                        work(*s);
                    });
}

void Sessions::conclude(Session &session, Result<Reply> result, const Responder &to) {
    auto &transaction = *session.transaction;
    if (!result) {
        if (transaction.implicit) abandon(session);
        return refuse(session, result.error(), to);
    }
    transaction.changed = true;
    if (transaction.implicit)
        if (auto r = commit_now(session); !r) return refuse(session, r.error(), to);
    to.done(std::move(*result));
    finished(session);
}

void Sessions::client_gone(std::uint64_t client) {
    unnamed_.erase(client);
    std::vector<std::uint64_t> ids;
    for (const auto &[id, session] : sessions_)
        if (session->client == client) ids.push_back(id);
    for (std::uint64_t id : ids) {
        Session &s = *find(id);
        s.client = 0;
        ++s.connections;
        s.queue.clear();
        s.busy = s.serving = 0;
        if (s.transaction) abandon(s);
        core_.turn.forget(id);
        if (!s.dynamic || core_.options.linger.count() == 0)
            end(id);
        else
            s.linger = core_.loop.after(core_.options.linger, [this, id] { end(id); });
    }
}

void Sessions::end(std::uint64_t id) {
    Session *session = find(id);
    if (session == nullptr) return;
    core_.loop.cancel(session->linger);
    if (session->transaction) abandon(*session);
    core_.turn.forget(id);
    core_.subscriptions->session_ended(id);
    const bool dynamic = session->dynamic;
    for (auto it = unnamed_.begin(); it != unnamed_.end();)
        it = it->second == id ? unnamed_.erase(it) : std::next(it);
    sessions_.erase(id);
    if (!dynamic) return;
    core_.turn.take(id, std::chrono::hours(1), [this, id](bool) {
        policy::Policy next = core_.engine->policy();
        policy::delete_owned(next, id);
        if (auto r = core_.engine->commit(std::move(next), id); !r)
            spdlog::error("objects of session {} could not be deleted: {}", id, r.error().text());
        core_.turn.give_back(id);
    });
}

} // namespace sluice::daemon
