// SPDX-License-Identifier: Apache-2.0
// The management sessions of this process. They outlive a restart of sluiced: each is opened again
// under its key; only an open transaction is lost, which the next call says.
#pragma once

#include "core/guid.h"
#include "runtime/client.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

class Sessions {
public:
    struct Spec {
        Guid key; // null: generated
        bool dynamic = false;
        std::uint32_t wait_ms = 0;
        std::string name;
    };
    using Fill = std::function<void(protocol::Request &, std::uint64_t session)>;

    explicit Sessions(Client &client) : client_(client) {}
    Result<HANDLE> open(Spec spec) EXCLUDES(mutex_);
    NTSTATUS close(HANDLE handle) EXCLUDES(mutex_);
    // Any other call. The reply's status is 0: every other one comes back as the error.
    Result<protocol::Reply> request(HANDLE handle, const Fill &fill) EXCLUDES(mutex_);

    [[nodiscard]] bool known(HANDLE handle) const EXCLUDES(mutex_) {
        return find(handle) != nullptr;
    }
    [[nodiscard]] bool in_transaction(HANDLE handle) const EXCLUDES(mutex_);
    [[nodiscard]] std::uint64_t remote(HANDLE handle) const EXCLUDES(mutex_); // 0: not open there
    [[nodiscard]] Guid key(HANDLE handle) const EXCLUDES(mutex_);

    void lost() EXCLUDES(mutex_);
    void restore() EXCLUDES(mutex_); // while the connection is being restored, in a worker

private:
    struct Session {
        Spec spec;
        std::uint64_t remote = 0; // sluiced's id, 0: not open there
        bool in_transaction = false, transaction_lost = false;
    };
    using Ptr = std::shared_ptr<Session>;

    Result<protocol::Reply> open_remote(const Spec &spec, bool restoring);
    Ptr find(HANDLE handle) const EXCLUDES(mutex_);
    Result<std::uint64_t> usable(Session &session) EXCLUDES(mutex_);
    Error failure(Session &session) EXCLUDES(mutex_);
    void follow_transaction(Session &session, const protocol::Request &request, bool done)
        EXCLUDES(mutex_);

    Client &client_;
    mutable Mutex mutex_; // guards the sessions' members too
    std::uintptr_t last_ GUARDED_BY(mutex_) = 0;
    std::map<std::uintptr_t, Ptr> sessions_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
