// SPDX-License-Identifier: Apache-2.0
#include "runtime/sessions.h"

namespace sluice::runtime {

namespace {

Error status(NTSTATUS value, std::string what) {
    return Error::status(std::uint32_t(value), std::move(what));
}

} // namespace

Result<protocol::Reply> Sessions::open_remote(const Spec &spec, bool restoring) {
    protocol::Request request;
    auto &open = *request.mutable_engine_open();
    open.set_session_key(spec.key.bytes());
    open.set_dynamic(spec.dynamic);
    open.set_txn_wait_ms(spec.wait_ms);
    open.set_name(spec.name);
    return client_.request(std::move(request), restoring);
}

Result<HANDLE> Sessions::open(Spec spec) {
    if (auto connected = client_.connect_now(); !connected) {
        Error e = connected.error();
        if (e.ntstatus == 0) e.ntstatus = std::uint32_t(STATUS_CONNECTION_REFUSED);
        return e;
    }
    if (spec.key.is_null()) spec.key = Guid::random();
    auto reply = open_remote(spec, false);
    if (!reply) return reply.error();
    if (reply->status() != 0) return Error::status(reply->status(), reply->error());
    auto session = std::make_shared<Session>();
    session->spec = std::move(spec);
    session->remote = reply->session_id();
    Lock lock(mutex_);
    last_ += 0x10;
    sessions_.emplace(last_, std::move(session));
    return reinterpret_cast<HANDLE>(last_);
}

Sessions::Ptr Sessions::find(HANDLE handle) const {
    Lock lock(mutex_);
    const auto at = sessions_.find(reinterpret_cast<std::uintptr_t>(handle));
    return at == sessions_.end() ? nullptr : at->second;
}

bool Sessions::in_transaction(HANDLE handle) const {
    const Ptr session = find(handle);
    Lock lock(mutex_);
    return session && session->in_transaction;
}

std::uint64_t Sessions::remote(HANDLE handle) const {
    const Ptr session = find(handle);
    Lock lock(mutex_);
    return session ? session->remote : 0;
}

Guid Sessions::key(HANDLE handle) const {
    const Ptr session = find(handle);
    return session ? session->spec.key : Guid{};
}

NTSTATUS Sessions::close(HANDLE handle) {
    std::uint64_t remote = 0;
    {
        Lock lock(mutex_);
        const auto at = sessions_.find(reinterpret_cast<std::uintptr_t>(handle));
        if (at == sessions_.end()) return STATUS_INVALID_HANDLE;
        remote = at->second->remote;
        sessions_.erase(at);
    }
    if (remote == 0) return STATUS_SUCCESS; // sluiced ends what nobody claims
    protocol::Request request;
    request.mutable_engine_close()->set_session(remote);
    (void)client_.request(std::move(request));
    return STATUS_SUCCESS;
}

Result<std::uint64_t> Sessions::usable(Session &session) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        {
            Lock lock(mutex_);
            if (session.transaction_lost) {
                session.transaction_lost = false;
                return status(STATUS_FWP_TXN_ABORTED, "go on with the transaction");
            }
            if (session.remote != 0) return session.remote;
        }
        if (attempt == 0) (void)client_.connect_now();
    }
    return status(STATUS_FWP_SESSION_ABORTED, "use the session");
}

// The connection broke under a request: what that means depends on whether lost() found a
// transaction.
Error Sessions::failure(Session &session) {
    Lock lock(mutex_);
    const bool transaction = session.in_transaction || session.transaction_lost;
    session.in_transaction = session.transaction_lost = false;
    return transaction ? status(STATUS_FWP_TXN_ABORTED, "go on with the transaction")
                       : status(STATUS_FWP_SESSION_ABORTED, "use the session");
}

void Sessions::follow_transaction(Session &session, const protocol::Request &request, bool done) {
    Lock lock(mutex_);
    if (request.has_transaction_begin() && done) session.in_transaction = true;
    if (request.has_transaction_commit() || request.has_transaction_abort())
        session.in_transaction = false;
}

Result<protocol::Reply> Sessions::request(HANDLE handle, const Fill &fill) {
    const Ptr session = find(handle);
    if (!session) return status(STATUS_INVALID_HANDLE, "find the session");
    auto remote = usable(*session);
    if (!remote) return remote.error();
    protocol::Request request;
    fill(request, *remote);
    auto reply = client_.request(request);
    if (!reply) return failure(*session);
    follow_transaction(*session, request, reply->status() == 0);
    if (reply->status() != 0) return Error::status(reply->status(), reply->error());
    return reply;
}

void Sessions::lost() {
    Lock lock(mutex_);
    for (auto &[handle, session] : sessions_) {
        session->remote = 0;
        if (std::exchange(session->in_transaction, false)) session->transaction_lost = true;
    }
}

void Sessions::restore() {
    std::vector<Ptr> all;
    {
        Lock lock(mutex_);
        for (auto &[handle, session] : sessions_)
            all.push_back(session);
    }
    for (const auto &session : all) {
        auto reply = open_remote(session->spec, true);
        if (!reply) return; // the connection broke again
        Lock lock(mutex_);
        session->remote = reply->status() == 0 ? reply->session_id() : 0;
    }
}

} // namespace sluice::runtime
