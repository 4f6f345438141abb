// SPDX-License-Identifier: Apache-2.0
// Sessions with the engine and their transactions. A session belongs to its connection; its
// requests are handled one after the other, also when one waits for a host or for the writer's
// turn.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "daemon/client.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

struct Session {
    struct Transaction {
        bool read_only = false;
        policy::Policy policy;
        bool implicit = false; // of a single operation
        bool changed = false;
        std::vector<policy::Filter> notified; // added; their hosts must hear of an abort
    };

    std::uint64_t id = 0;
    Guid key;
    uid_t uid = 0;
    std::string name;
    bool dynamic = false;
    Milliseconds wait{0};
    std::uint64_t client = 0; // 0: its connection is gone, it lingers
    Loop::TimerId linger = 0;
    std::optional<Transaction> transaction;
    bool busy = false; // a request of it is being handled
    std::deque<std::function<void()>> queue;
};

class Sessions {
public:
    explicit Sessions(Core &core) : core_(core) {}

    void open(const protocol::EngineOpen &message, const Responder &to);
    void close(std::uint64_t id, const Responder &to);
    void begin(std::uint64_t id, bool read_only, const Responder &to);
    void commit(std::uint64_t id, const Responder &to);
    void abort(std::uint64_t id, const Responder &to);
    void add_sublayer(const protocol::SubLayer &message, const Responder &to);
    void add_callout(const protocol::Callout &message, const Responder &to);
    void add_filter(const protocol::Filter &message, const Responder &to);
    void delete_filter(const protocol::FilterDelete &message, const Responder &to);

    void client_gone(std::uint64_t client);
    [[nodiscard]] policy::Policy *open_policy(); // of the open transaction that may write, or null

    void load(const store::State &state);
    void save(store::State &state) const;
    void await_return();

private:
    using Reply = protocol::Reply;
    // Makes one change in the copy that the session may write.
    using Change = std::function<Result<Reply>(policy::Policy &, const Session &)>;

    Session *find(std::uint64_t id) const;
    Session *
    named(std::uint64_t id,
          const Responder &to); // 0: the client's own; answers the request if there is none
    Session &make(const std::shared_ptr<Client> &client);
    [[nodiscard]] Session *of_key(const Guid &key) const;
    void in_order(std::uint64_t id, const Responder &to, std::function<void(Session &)> work);
    void finished(Session &session); // the request that kept it busy
    void refuse(Session &session, const Error &error, const Responder &to);
    // Runs `work` when the session has a copy of the policy to write: its transaction's, or one for
    // this operation.
    void with_writable(Session &session, const Responder &to, std::function<void(Session &)> work);
    void change(std::uint64_t session, const Responder &to, Change change);
    void notify_filter(Session &session, std::uint64_t filter, const Responder &to);
    void filter_answered(std::uint64_t session, std::uint64_t filter, bool accepted,
                         const Responder &to);
    void conclude(Session &session, Result<Reply> result, const Responder &to);
    Result<void> commit_now(Session &session);
    void abandon(Session &session);
    void end(std::uint64_t id,
             std::function<void()> then); // deletes the objects of a dynamic session

    Core &core_;
    std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
    std::map<std::uint64_t, std::uint64_t> unnamed_; // client -> session of requests that name none
    std::uint64_t next_id_ = 1;
};

} // namespace sluice::daemon
