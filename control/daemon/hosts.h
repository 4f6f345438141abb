// SPDX-License-Identifier: Apache-2.0
// The registry of callout hosts: who they are, their ports, their callouts, and what happens when
// one ends.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "daemon/client.h"
#include "datapath/datapath.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

struct Registered {
    std::uint32_t local_id = 0, flags = 0, version = 0;
    bool has_flow_delete = false;
};

struct Host {
    // awaited: known from before a restart of sluiced, its ports are in force, it has not called
    // yet. ending: its holds are being ended; its ports go at the next tick.
    enum class State { awaited, live, ending };

    std::uint32_t id = 0;
    Guid key;
    std::string name;
    Peer peer;
    std::uint64_t start_ticks = 0; // of its process, tells the pid from its reuse
    Fd pidfd;
    std::weak_ptr<Client> client;
    State state = State::live;
    std::map<std::uint32_t, std::unique_ptr<datapath::PortDevice>> ports; // by compartment
    std::map<Guid, Registered> callouts;
    std::map<std::uint32_t, Guid> redirect_handles; // provider by the host's number
    policy::HoldOptions hold;                       // its own defaults
    bool hung = false; // left a notification unanswered; until it answers one
    // Filter tables sent, and whether the last one was not acknowledged in time: its callouts then
    // count as unregistered until it is.
    std::uint64_t tables = 0;
    bool behind = false;
};
const char *word_of(const Host &host);

class Hosts {
public:
    explicit Hosts(Core &core) : core_(core) {}

    [[nodiscard]] const std::map<std::uint32_t, std::unique_ptr<Host>> &all() const {
        return hosts_;
    }
    [[nodiscard]] Host *of(std::uint32_t id) const;
    [[nodiscard]] Host *
    of_callout(const Guid &key) const;               // a live host that registered it, or null
    [[nodiscard]] bool knows(const Guid &key) const; // a session key that was accepted before
    [[nodiscard]] Host *of_pid(pid_t pid) const;

    void hello(const protocol::HostHello &hello, std::vector<Fd> fds, const Responder &to);
    void register_callout(Host &host, const protocol::CalloutRegister &message,
                          const Responder &to);
    void unregister_callout(Host &host, const protocol::CalloutUnregister &message,
                            const Responder &to);

    void set_hold_defaults(Host &host, const protocol::HostDefaults &message, const Responder &to);

    void plane_made(std::uint32_t compartment); // ports and callouts of all live hosts in it
    void plane_ending(
        std::uint32_t compartment); // ends what is open, tells hosts to let go of their ports
    void forget_ports(std::uint32_t compartment);
    // Its answer is awaited, nobody waits for it.
    void send_table(std::uint32_t id);
    void filter_deleted(const policy::Filter &filter);
    void filter_committed(const policy::Filter &filter); // to callouts that want to hear of it
    [[nodiscard]] protocol::Notice notify_message(protocol::FilterNotify::Type type,
                                                  const policy::Filter &filter,
                                                  const policy::Policy &policy) const;
    // A notice that wants an answer. A host that gives none in time is shown as hung.
    void ask(const Host &host, protocol::Notice notice, Milliseconds wait,
             std::function<void(bool answered, std::uint32_t status)> done,
             std::function<void()> late = {});
    [[nodiscard]] protocol::Filter
    filter_message(const policy::Filter &filter,
                   const policy::Policy &policy) const; // with what sluiced fills

    void end(std::uint32_t id, const std::string &why);
    // Hosts that were ended because their process is stopped, until it goes on or ends.
    struct Stopped {
        std::string name;
        Peer peer;
        std::uint64_t start_ticks = 0;
    };
    [[nodiscard]] const std::map<std::uint32_t, Stopped> &stopped() const { return stopped_; }
    void look_after(); // each sweep: stopped processes, ports whose time has come

    void load(const store::State &state);
    void save(store::State &state) const;
    void await_return(); // after a start: who does not come back in time is ended

private:
    Result<void> make_ports(Host &host, const std::shared_ptr<Client> &client);
    Result<void> make_port(Host &host, std::uint32_t compartment,
                           const std::shared_ptr<Client> &client);
    bool take_back(Host &host, const protocol::HostHello &hello, std::vector<Fd> &fds);
    Host &enter(std::uint32_t id, const Guid &key);
    Result<void> bring_to_life(Host &host, const protocol::HostHello &hello,
                               const std::shared_ptr<Client> &client);
    void clear_callouts(std::uint32_t host);
    void set_callout(const Guid &key, const Host *host);
    void set_callouts(const Host &host);
    void table_answered(std::uint32_t id, std::uint64_t table, bool in_time);
    void set_alive(const Host &host, bool alive);
    void bury(std::uint32_t id);
    void remember(const Guid &key);

    Core &core_;
    std::map<std::uint32_t, std::unique_ptr<Host>> hosts_;
    std::map<std::uint32_t, Stopped> stopped_;
    std::vector<Guid> known_keys_; // of hosts that ended, the latest last
    std::uint32_t next_id_ = 1;
};

} // namespace sluice::daemon
