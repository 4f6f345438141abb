// SPDX-License-Identifier: Apache-2.0
// A host: everything that one process needs to run callouts. libsluice has one instance; tests make
// their own.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "runtime/callouts.h"
#include "runtime/client.h"
#include "runtime/devices.h"
#include "runtime/dispatcher.h"
#include "runtime/injection.h"
#include "runtime/port_loop.h"
#include "runtime/sessions.h"
#include "runtime/subscriptions.h"
#include "runtime/workers.h"

namespace sluice::runtime {

class Engine final : private ClientHandler {
public:
    struct Options {
        std::string socket;                // of sluiced
        std::string name;                  // shown in host list
        std::function<void()> on_shutdown; // sluiced asks a supervised host to end; reader thread
        int connection = -1;              // to sluiced, if the process made one already; taken over
        std::chrono::microseconds busy{}; // how long a port is looked at before its thread sleeps
    };
    explicit Engine(Options options);
    ~Engine() override;

    void
    start(); // connects in the background from now on; the first attempt is made before it returns
    [[nodiscard]] bool connected() { return client_.connection() != 0; }

    Result<std::uint32_t> register_callout(const CalloutSpec &spec, const void *driver = nullptr);
    NTSTATUS unregister_callout(std::uint32_t id) { return unregister(callouts_.find(id)); }
    NTSTATUS unregister_callout(const Guid &key) { return unregister(callouts_.find(key)); }
    std::uint32_t callout_id(const Guid &key) { return callouts_.id_of(key); }
    Guid callout_key(std::uint32_t id) const { return callouts_.key_of(id); }
    // The callouts that the driver left behind go, contexts first: flowDeleteFn runs for each.
    // Those that somebody is still inside after `patience` stay. How many it left.
    std::size_t end_driver(const void *driver, std::chrono::milliseconds patience);

    FlowContexts &contexts() { return contexts_; }
    NTSTATUS abort_flow(std::uint64_t handle);
    NTSTATUS pend(HANDLE completion, HANDLE *context) { return holds_.pend(completion, context); }
    void complete(HANDLE context) { dispatcher_.complete(context); }
    void complete_classify(UINT64 handle, const FWPS_CLASSIFY_OUT0 *out) {
        dispatcher_.complete_classify(handle, out);
    }
    // Redirect handles are kept, and told to sluiced now and after each reconnect.
    NTSTATUS create_redirect_handle(const Guid &provider, HANDLE *handle);
    void destroy_redirect_handle(HANDLE handle);
    FWPS_CONNECTION_REDIRECT_STATE redirect_state(HANDLE records, HANDLE handle, void **context);
    void defer(std::function<void()> job) { workers_.post(std::move(job)); } // in another thread

    // Kept, and told to sluiced now and after each reconnect.
    NTSTATUS set_hold_defaults(const protocol::HoldOptions &hold) EXCLUDES(mutex_);

    Sessions &sessions() { return sessions_; }
    Subscriptions &subscriptions() { return subscriptions_; }
    Devices &devices() { return devices_; }
    Counters &counters() { return counters_; }
    Holds &holds() { return holds_; }
    Callouts &callouts() { return callouts_; }
    Injections &injections() { return injections_; }
    Classifies &classifies() { return classifies_; }
    RedirectRecords &records() { return records_; }
    RedirectContexts &redirect_contexts() { return redirect_contexts_; }
    FilterTables &filters() { return filters_; }

    // A port that is open already; the notices of sluiced come here too.
    void attach(std::uint32_t compartment, std::uint32_t host_id, std::shared_ptr<xsk::PortIo> io)
        EXCLUDES(mutex_);
    void detach(std::uint32_t compartment) EXCLUDES(mutex_);
    // 0: of the first compartment that has a port. Null: none.
    std::shared_ptr<PortLink> port(std::uint32_t compartment) EXCLUDES(mutex_);

private:
    std::vector<int> hello(protocol::HostHello &hello) override EXCLUDES(mutex_);
    void welcomed(const protocol::HostWelcome &welcome, std::uint64_t connection) override
        EXCLUDES(mutex_);
    void notice(const protocol::Notice &notice, std::vector<Fd> fds) override;
    void lost() override;

    void restore(std::uint64_t connection);
    Result<void> tell_hold_defaults(bool restoring) EXCLUDES(mutex_);
    Result<void> announce(const RedirectHandles::Entry &handle, std::uint64_t connection,
                          bool restoring);
    Result<void> announce(CalloutEntry &entry, std::uint64_t connection, bool restoring);
    NTSTATUS unregister(std::shared_ptr<CalloutEntry> entry);
    void deregistered(const CalloutEntry &entry);
    NTSTATUS attach_port(const protocol::PortAttach &port, std::vector<Fd> fds) EXCLUDES(mutex_);
    NTSTATUS notify(const protocol::FilterNotify &notify);
    FilterTables::Object filter_of(const protocol::FilterNotify &notify, std::uint32_t callout);
    void end(std::shared_ptr<PortLoop> loop);

    const Options options_;
    const Guid session_key_ = Guid::random();
    Counters counters_;
    Devices devices_{counters_};
    Callouts callouts_;
    FilterTables filters_;
    RedirectContexts redirect_contexts_;
    RedirectRecords records_;
    RedirectHandles redirect_handles_;
    Holds holds_{counters_, redirect_contexts_};
    FlowContexts contexts_{callouts_, counters_};
    Forwards forwards_;
    Classifies classifies_{holds_, redirect_handles_, counters_};
    Dispatcher dispatcher_{callouts_,   filters_, holds_,   contexts_,
                           classifies_, records_, forwards_, counters_};
    Injections injections_{[this](std::uint32_t c) { return port(c); }, dispatcher_.endpoints(),
                           forwards_, counters_};
    Mutex mutex_;
    std::map<std::uint32_t, std::shared_ptr<PortLoop>> ports_ GUARDED_BY(mutex_); // by compartment
    std::optional<protocol::HoldOptions> hold_defaults_ GUARDED_BY(mutex_); // unset: never said
    Workers workers_;
    Client client_;
    Sessions sessions_{client_};
    Subscriptions subscriptions_{client_, sessions_, workers_, counters_};
};

} // namespace sluice::runtime
