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
#include "daemon/policy_file.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

struct Session {
    struct Transaction {
        std::uint64_t number = 0; // of all transactions ever
        bool read_only = false;
        policy::Policy policy;
        bool implicit = false; // of a single operation
        bool changed = false;
        std::vector<policy::Filter> notified;    // added; their hosts must hear of an abort
        std::optional<policy::Policy> last_good; // whose file objects a rollback brings back
        Loop::TimerId hold = 0;                  // when it is aborted by force
    };

    std::uint64_t id = 0;
    Guid key;
    uid_t uid = 0;
    pid_t pid = 0;
    std::string name;
    bool dynamic = false;
    Milliseconds wait{0};
    std::uint64_t client = 0;      // 0: its connection is gone, it lingers
    std::uint64_t connections = 0; // so far: what an older one began does not concern this one
    Loop::TimerId linger = 0;
    std::optional<Transaction> transaction;
    bool aborted = false; // by force; the next call hears of it
    unsigned busy = 0;    // requests of it that are being handled
    // Notifications for its requests that its own connection is serving: what it asks for
    // meanwhile is part of serving them and does not wait for the request to end.
    unsigned serving = 0;
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
    void set_hold(const protocol::FilterHoldSet &message, const Responder &to);
    void add_provider(const protocol::Provider &message, const Responder &to);
    void add_provider_context(const protocol::ProviderContext &message, const Responder &to);
    void delete_filter(const protocol::FilterDelete &message, const Responder &to);
    void delete_object(const protocol::ObjectDelete &message, const Responder &to);
    void subscribe(const protocol::Subscribe &message, const Responder &to);
    void unsubscribe(const protocol::Unsubscribe &message, const Responder &to);
    void list(std::uint64_t id, const Responder &to);
    // Reads what the session sees: its transaction's copy, else the policy in force.
    void read(std::uint64_t id, const Responder &to,
              const std::function<void(const policy::Policy &)> &use);

    // A change by sluiced's own code on behalf of the connection, in a transaction of its own.
    // edit: false if there is nothing to change. then: once the policy says so, before the answer.
    using Edit = std::function<Result<bool>(policy::Policy &)>;
    void edit(const Responder &to, Edit edit, std::function<void()> then);

    // Replaces what policy files brought by `objects`, in a transaction of its own. vetoes: hosts
    // may refuse filters. then: with the difference, after the commit.
    struct Replacement {
        FileObjects objects;
        policy::Policy last_good; // whose file objects a rollback brings back
        bool check_only = false;
        bool vetoes = true;
        std::function<void()> committed = {};
    };
    void replace_policy_file(std::uint64_t id, const std::shared_ptr<Replacement> &by,
                             const Responder &to);
    // The same by sluiced itself.
    void replace_policy_file(const std::shared_ptr<Replacement> &by);

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
    void refuse(Session &session, const Error &error, const Responder &to,
                std::uint32_t exit_code = 1);
    // Runs `work` when the session has a copy of the policy to write: its transaction's, or one for
    // this operation. refused: called beside the answer if there is no turn for it in time.
    void with_writable(Session &session, const Responder &to, std::function<void(Session &)> work,
                       std::function<void()> refused = {});
    void open_transaction(Session &session, bool read_only, bool implicit);
    void abort_by_force(std::uint64_t id, std::uint64_t number);
    void change(std::uint64_t session, const Responder &to, Change change);
    template <typename Message, typename Add>
    void add(const Message &message, const Responder &to, Add add);

    // A filter whose callout has a host: the host is asked, and may refuse.
    using Answered = std::function<void(Session &, bool accepted)>; // not if the session ended
    void add_read(std::uint64_t session, const policy::Filter &filter, const Responder &to);
    void add_in_transaction(Session &session, const policy::Filter &filter, const Responder &to);
    void add_alone(Session &session, const policy::Filter &filter, const Responder &to);
    void add_accepted(Session &session, const policy::Filter &filter, const Responder &to);
    bool ask_host(Session &session, const policy::Filter &filter, const policy::Policy &policy,
                  Answered then);

    void replace(Session &session, const std::shared_ptr<Replacement> &by, const Responder &to);
    void notify_replaced(Session &session, const std::shared_ptr<Replacement> &by,
                         std::vector<std::uint64_t> left, const Reply &reply, const Responder &to);
    void replaced(Session &session, const std::shared_ptr<Replacement> &by, Reply reply,
                  const Responder &to);

    void conclude(Session &session, Result<Reply> result, const Responder &to);
    Result<void> commit_now(Session &session);
    void abandon(Session &session);
    void end(std::uint64_t id); // deletes the objects of a dynamic session

    Core &core_;
    std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
    std::map<std::uint64_t, std::uint64_t> unnamed_; // client -> session of requests that name none
    std::uint64_t next_id_ = 1;
    std::uint64_t next_transaction_ = 1;
};

} // namespace sluice::daemon
