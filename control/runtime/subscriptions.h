// SPDX-License-Identifier: Apache-2.0
// Who wants to hear of changes, net events and the state of the engine. Callbacks run in workers
// with no lock held, those of one subscription one after the other and in order. Subscriptions
// outlive a restart of sluiced as their sessions do.
#pragma once

#include <deque>

#include "runtime/counters.h"
#include "runtime/sessions.h"
#include "runtime/workers.h"

namespace sluice::runtime {

class Subscriptions {
public:
    enum class Kind { provider, provider_context, sublayer, callout, filter, net_event };
    using Deliver = std::function<void(const protocol::Notice &)>;
    using OnState = std::function<void(bool running)>;
    struct Listed {
        Guid session_key;
        protocol::Subscribe request;
    };
    static constexpr std::size_t waiting_max = 10'000; // net events of one subscription

    Subscriptions(Client &client, Sessions &sessions, Workers &workers, Counters &counters)
        : client_(client), sessions_(sessions), workers_(workers), counters_(counters) {}

    Result<HANDLE> add(HANDLE session, Kind kind, protocol::Subscribe request, Deliver deliver)
        EXCLUDES(mutex_);
    HANDLE add_state(OnState on_state) EXCLUDES(mutex_);
    // Over when no callback runs any more, but for one that this thread is in.
    NTSTATUS remove(HANDLE session, Kind kind, HANDLE handle) EXCLUDES(mutex_);
    NTSTATUS remove_state(HANDLE handle) EXCLUDES(mutex_);
    void end_session(HANDLE session) EXCLUDES(mutex_);
    std::vector<Listed> list(Kind kind) EXCLUDES(mutex_);

    void notice(const protocol::Notice &notice) EXCLUDES(mutex_);
    void state(bool running) EXCLUDES(mutex_);
    void lost() EXCLUDES(mutex_);
    void restore() EXCLUDES(mutex_); // while the connection is being restored, in a worker

private:
    struct Entry {
        HANDLE session = nullptr; // null: of the state
        Kind kind = Kind::provider;
        protocol::Subscribe request;
        Deliver deliver;
        OnState on_state;
        std::uint64_t remote = 0; // sluiced's id, 0: not there
        std::deque<std::function<void()>> waiting;
        bool running = false, ended = false;
    };
    using Ptr = std::shared_ptr<Entry>;
    static thread_local const Entry *inside_;

    HANDLE insert(Ptr entry) REQUIRES(mutex_);
    void known_as(const Ptr &entry, std::uint64_t remote) REQUIRES(mutex_);
    void deliver(const Ptr &entry, const protocol::Notice &notice) REQUIRES(mutex_);
    void enqueue(const Ptr &entry, std::function<void()> job) REQUIRES(mutex_);
    void run(const Ptr &entry) EXCLUDES(mutex_);
    void end(const Ptr &entry, Lock &lock) REQUIRES(mutex_);
    void tell_end(HANDLE session, std::uint64_t remote);

    Client &client_;
    Sessions &sessions_;
    Workers &workers_;
    Counters &counters_;
    Mutex mutex_;
    Condition changed_;
    std::uintptr_t last_ GUARDED_BY(mutex_) = 4; // sessions' handles are multiples of 16
    std::map<std::uintptr_t, Ptr> entries_ GUARDED_BY(mutex_);
    std::map<std::uint64_t, Ptr> by_remote_ GUARDED_BY(mutex_);
    // Notices may be faster than the reply that names their subscription.
    int asking_ GUARDED_BY(mutex_) = 0;
    std::vector<protocol::Notice> early_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
