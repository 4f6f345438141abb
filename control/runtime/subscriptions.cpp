// SPDX-License-Identifier: Apache-2.0
#include "runtime/subscriptions.h"

namespace sluice::runtime {

namespace {

std::uint64_t subscription_of(const protocol::Notice &notice) {
    if (notice.has_change()) return notice.change().subscription();
    if (notice.has_net_event()) return notice.net_event().subscription();
    return notice.subscription_end().subscription();
}

} // namespace

// The subscription whose callback this thread is in: ending it would wait for itself.
thread_local const Subscriptions::Entry *Subscriptions::inside_ = nullptr;

HANDLE Subscriptions::insert(Ptr entry) {
    last_ += 0x10;
    entries_.emplace(last_, std::move(entry));
    return reinterpret_cast<HANDLE>(last_);
}

Result<HANDLE> Subscriptions::add(HANDLE session, Kind kind, protocol::Subscribe request,
                                  Deliver deliver) {
    if (sessions_.in_transaction(session))
        return Error::status(std::uint32_t(STATUS_FWP_TXN_IN_PROGRESS), "subscribe");
    auto entry = std::make_shared<Entry>();
    entry->session = session;
    entry->kind = kind;
    entry->request = std::move(request);
    entry->deliver = std::move(deliver);
    {
        Lock lock(mutex_);
        ++asking_;
    }
    auto reply = sessions_.request(session, [&](protocol::Request &r, std::uint64_t remote) {
        *r.mutable_subscribe() = entry->request;
        r.mutable_subscribe()->set_session(remote);
    });
    Lock lock(mutex_);
    if (reply) known_as(entry, reply->subscription_id());
    if (--asking_ == 0) early_.clear();
    if (!reply) return reply.error();
    return insert(std::move(entry));
}

HANDLE Subscriptions::add_state(OnState on_state) {
    auto entry = std::make_shared<Entry>();
    entry->on_state = std::move(on_state);
    Lock lock(mutex_);
    return insert(std::move(entry));
}

void Subscriptions::known_as(const Ptr &entry, std::uint64_t remote) {
    entry->remote = remote;
    by_remote_[remote] = entry;
    for (const auto &notice : early_)
        if (subscription_of(notice) == remote) deliver(entry, notice);
}

void Subscriptions::notice(const protocol::Notice &notice) {
    Lock lock(mutex_);
    const auto at = by_remote_.find(subscription_of(notice));
    if (at != by_remote_.end())
        deliver(at->second, notice);
    else if (asking_ > 0)
        early_.push_back(notice);
}

void Subscriptions::deliver(const Ptr &entry, const protocol::Notice &notice) {
    if (notice.has_subscription_end()) return;
    if (notice.has_net_event() && entry->waiting.size() >= waiting_max) {
        ++counters_.net_events_lost;
        return;
    }
    enqueue(entry, [entry, notice] { entry->deliver(notice); });
}

void Subscriptions::state(bool running) {
    Lock lock(mutex_);
    for (const auto &[handle, entry] : entries_)
        if (entry->on_state) enqueue(entry, [entry, running] { entry->on_state(running); });
}

void Subscriptions::enqueue(const Ptr &entry, std::function<void()> job) {
    if (entry->ended) return;
    entry->waiting.push_back(std::move(job));
    if (std::exchange(entry->running, true)) return;
    workers_.post([this, entry] { run(entry); });
}

void Subscriptions::run(const Ptr &entry) {
    Lock lock(mutex_);
    while (!entry->waiting.empty()) {
        const auto job = std::move(entry->waiting.front());
        entry->waiting.pop_front();
        lock.unlock();
        const Entry *const outer = std::exchange(inside_, entry.get());
        try {
            job();
        } catch (...) {
            ++counters_.callout_exceptions;
        }
        inside_ = outer;
        lock.lock();
    }
    entry->running = false;
    changed_.notify_all();
}

void Subscriptions::end(const Ptr &entry, Lock &lock) {
    entry->ended = true;
    entry->waiting.clear();
    by_remote_.erase(entry->remote);
    while (entry->running && inside_ != entry.get())
        changed_.wait(lock);
}

// What is left of it when sluiced cannot be told ends with the session there.
void Subscriptions::tell_end(HANDLE session, std::uint64_t remote) {
    if (remote == 0) return;
    (void)sessions_.request(session, [remote](protocol::Request &r, std::uint64_t id) {
        r.mutable_unsubscribe()->set_session(id);
        r.mutable_unsubscribe()->set_subscription(remote);
    });
}

NTSTATUS Subscriptions::remove(HANDLE session, Kind kind, HANDLE handle) {
    std::uint64_t remote = 0;
    {
        Lock lock(mutex_);
        const auto at = entries_.find(reinterpret_cast<std::uintptr_t>(handle));
        if (at == entries_.end() || !session || at->second->session != session ||
            at->second->kind != kind)
            return STATUS_INVALID_HANDLE;
        const Ptr entry = at->second;
        entries_.erase(at);
        remote = entry->remote;
        end(entry, lock);
    }
    tell_end(session, remote);
    return STATUS_SUCCESS;
}

NTSTATUS Subscriptions::remove_state(HANDLE handle) {
    Lock lock(mutex_);
    const auto at = entries_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (at == entries_.end() || !at->second->on_state) return STATUS_INVALID_HANDLE;
    const Ptr entry = at->second;
    entries_.erase(at);
    end(entry, lock);
    return STATUS_SUCCESS;
}

void Subscriptions::end_session(HANDLE session) {
    if (!session) return;
    Lock lock(mutex_);
    for (;;) {
        auto at = entries_.begin();
        while (at != entries_.end() && at->second->session != session)
            ++at;
        if (at == entries_.end()) return;
        const Ptr entry = at->second;
        entries_.erase(at);
        end(entry, lock); // lets go of the lock, hence the search from the start
    }
}

std::vector<Subscriptions::Listed> Subscriptions::list(Kind kind) {
    std::vector<Ptr> found;
    {
        Lock lock(mutex_);
        for (const auto &[handle, entry] : entries_)
            if (entry->session && entry->kind == kind) found.push_back(entry);
    }
    std::vector<Listed> out;
    for (const auto &entry : found)
        out.push_back({sessions_.key(entry->session), entry->request});
    return out;
}

void Subscriptions::lost() {
    Lock lock(mutex_);
    by_remote_.clear();
    for (const auto &[handle, entry] : entries_)
        entry->remote = 0;
}

void Subscriptions::restore() {
    std::vector<Ptr> all;
    {
        Lock lock(mutex_);
        for (const auto &[handle, entry] : entries_)
            if (entry->session) all.push_back(entry);
        ++asking_;
    }
    for (const auto &entry : all) {
        const std::uint64_t session = sessions_.remote(entry->session);
        if (session == 0) continue; // aborted: the next call on the session says so
        protocol::Request request;
        *request.mutable_subscribe() = entry->request;
        request.mutable_subscribe()->set_session(session);
        auto reply = client_.request(std::move(request), true);
        Lock lock(mutex_);
        if (reply && reply->status() == 0 && !entry->ended)
            known_as(entry, reply->subscription_id());
    }
    Lock lock(mutex_);
    if (--asking_ == 0) early_.clear();
}

} // namespace sluice::runtime
