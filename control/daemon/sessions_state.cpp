// SPDX-License-Identifier: Apache-2.0
// Sessions over a restart of sluiced, and as a list.
#include <algorithm>

#include "daemon/core.h"
#include "daemon/sessions.h"
#include "sluice/fwp.h"

namespace sluice::daemon {

void Sessions::load(const store::State &state) {
    next_id_ = std::max<std::uint64_t>(1, state.next_session_id());
    for (const auto &record : state.sessions()) {
        auto session = std::make_unique<Session>();
        session->id = record.id();
        session->key = Guid::from_bytes(record.key()).value_or(Guid::random());
        session->uid = record.uid();
        session->name = record.name();
        session->dynamic = true;
        session->wait = core_.options.txn_wait;
        sessions_[session->id] = std::move(session);
    }
}

void Sessions::save(store::State &state) const {
    state.set_next_session_id(next_id_);
    for (const auto &[id, session] : sessions_) {
        if (!session->dynamic) continue;
        auto *record = state.add_sessions();
        record->set_id(id);
        record->set_key(session->key.bytes());
        record->set_uid(session->uid);
        record->set_name(session->name);
    }
}

void Sessions::await_return() {
    for (const auto &[id, session] : sessions_)
        session->linger = core_.loop.after(core_.options.reclaim, [this, gone = id] { end(gone); });
}

void Sessions::list(std::uint64_t id, const Responder &to) {
    if (id != 0 && named(id, to) == nullptr) return;
    protocol::Reply reply;
    for (const auto &[number, session] : sessions_) {
        auto *m = reply.mutable_sessions()->add_sessions();
        m->set_key(session->key.bytes());
        m->set_name(session->name);
        m->set_flags(session->dynamic ? FWPM_SESSION_FLAG_DYNAMIC : 0);
        m->set_txn_wait_ms(static_cast<std::uint32_t>(session->wait.count()));
        m->set_pid(static_cast<std::uint32_t>(session->pid));
        m->set_uid(session->uid);
    }
    to.done(std::move(reply));
}

} // namespace sluice::daemon
