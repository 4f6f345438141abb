// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.h"

#include <thread>
#include <unistd.h>

#include "runtime/log.h"
#include "xsk/xsk_port.h"

namespace sluice::runtime {

namespace {

NTSTATUS call_notify(const CalloutSpec &spec, FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key,
                     FilterObject &filter) {
    return std::visit(
        [&](const auto &c) -> NTSTATUS {
            using Spec = std::decay_t<decltype(c)>;
            if constexpr (std::is_same_v<Spec, FWPS_CALLOUT0>)
                return c.notifyFn(type, key, filter.as<FWPS_FILTER0>());
            else if constexpr (std::is_same_v<Spec, FWPS_CALLOUT1>)
                return c.notifyFn(type, key, filter.as<FWPS_FILTER1>());
            else if constexpr (std::is_same_v<Spec, FWPS_CALLOUT2>)
                return c.notifyFn(type, key, filter.as<FWPS_FILTER2>());
            else
                return c.notifyFn(type, key, filter.as<FWPS_FILTER3>());
        },
        spec);
}

} // namespace

Engine::Engine(Options options)
    : options_(std::move(options)), client_(options_.socket, *this, Fd(options_.connection)) {}

Engine::~Engine() {
    client_.stop();
    std::map<std::uint32_t, std::shared_ptr<PortLoop>> ports;
    {
        Lock lock(mutex_);
        ports.swap(ports_);
    }
    for (auto &[compartment, loop] : ports)
        end(std::move(loop));
    workers_.stop();
    if (const std::string text = counters_.text(); !text.empty()) log().debug("run time: {}", text);
}

void Engine::start() {
    client_.start();
}

// ---- connection ----

std::vector<int> Engine::hello(protocol::HostHello &hello) {
    hello.set_session_key(session_key_.bytes());
    hello.set_name(options_.name);
    hello.set_pid(static_cast<std::uint32_t>(::getpid()));
    std::vector<int> fds;
    Lock lock(mutex_);
    for (const auto &[compartment, loop] : ports_) {
        const auto &link = *loop->link();
        if (link.io->memory_fd() < 0 || fds.size() + 2 > protocol::fds_max) continue;
        auto *port = hello.add_ports();
        port->set_compartment(compartment);
        port->set_host_id(link.host_id);
        fds.push_back(link.io->memory_fd());
        fds.push_back(link.io->namespace_fd());
    }
    return fds;
}

void Engine::welcomed(const protocol::HostWelcome &welcome, std::uint64_t connection) {
    if (connection > 1) ++counters_.reconnects;
    std::map<std::uint32_t, std::shared_ptr<PortLoop>> dropped;
    if (!welcome.ports_kept()) {
        Lock lock(mutex_);
        dropped.swap(ports_);
    }
    for (auto &[compartment, loop] : dropped)
        end(std::move(loop));
    log().debug("connected to sluiced as host {}", welcome.host_id());
    workers_.post([this, connection] { restore(connection); });
}

void Engine::restore(std::uint64_t connection) {
    for (const auto &entry : callouts_.all())
        if (auto done = announce(*entry, connection, true); !done)
            log().error("callout {} is not in force: {}", entry->key.text(), done.error().text());
    for (const auto &handle : redirect_handles_.all())
        if (auto done = announce(handle, connection, true); !done)
            log().error("redirect handle {} is not in force: {}", handle.number,
                        done.error().text());
    if (auto told = tell_hold_defaults(true); !told)
        log().error("defaults of holds are not in force: {}", told.error().text());
    sessions_.restore();
    subscriptions_.restore();
    client_.restored(connection);
    subscriptions_.state(true);
}

void Engine::lost() {
    log().debug("connection to sluiced lost");
    sessions_.lost();
    subscriptions_.lost();
    subscriptions_.state(false);
}

void Engine::notice(const protocol::Notice &notice, std::vector<Fd> fds) {
    NTSTATUS status = STATUS_SUCCESS;
    if (notice.has_port_attach()) {
        status = attach_port(notice.port_attach(), std::move(fds));
    } else if (notice.has_port_detach()) {
        // The data plane goes. A port that is only offered anew leaves its redirections alone.
        redirect_contexts_.all_ended(notice.port_detach().compartment());
        detach(notice.port_detach().compartment());
    } else if (notice.has_filter_table()) {
        filters_.install(notice.filter_table(), [this](const protocol::Filter &f) {
            return callouts_.id_of(Guid::from_bytes(f.callout()).value_or(Guid{}));
        });
    } else if (notice.has_flows_ended()) {
        // flowDeleteFn is user code, and the reader waits for none.
        workers_.post([this, body = notice.flows_ended()] {
            for (const auto flow : body.flows())
                contexts_.flow_ended(Upcall::handle_of(body.compartment(), flow));
        });
    } else if (notice.has_redirects_ended()) {
        for (const auto id : notice.redirects_ended().redirects())
            redirect_contexts_.ended({notice.redirects_ended().compartment(), id});
    } else if (notice.has_hold_order()) {
        const auto &order = notice.hold_order();
        if (!holds_.order(order.compartment(), order.ticket(), order.action()))
            status = STATUS_NOT_FOUND;
    } else if (notice.has_filter_notify()) {
        workers_.post([this, id = notice.id(), body = notice.filter_notify()] {
            client_.reply(id, std::uint32_t(notify(body)));
        });
        return;
    } else if (notice.has_change() || notice.has_net_event() || notice.has_subscription_end()) {
        subscriptions_.notice(notice);
    } else if (notice.has_shutdown()) {
        if (options_.on_shutdown) options_.on_shutdown();
    }
    client_.reply(notice.id(), std::uint32_t(status));
}

// ---- ports ----

NTSTATUS Engine::attach_port(const protocol::PortAttach &port, std::vector<Fd> fds) {
    if (fds.size() != 4) {
        log().error("sluiced offers a port with {} descriptors", fds.size());
        return STATUS_INVALID_PARAMETER;
    }
    xsk::XskPort::Handover handover{std::move(fds[0]), std::move(fds[1]), std::move(fds[2]),
                                    std::move(fds[3]), port.ifindex(),    port.frames(),
                                    port.ring(),       port.notices()};
    auto opened = xsk::XskPort::open(std::move(handover));
    if (!opened) {
        log().error("port of compartment {}: {}", port.compartment(), opened.error().text());
        return STATUS_UNSUCCESSFUL;
    }
    attach(port.compartment(), port.host_id(), *std::move(opened));
    return STATUS_SUCCESS;
}

void Engine::attach(std::uint32_t compartment, std::uint32_t host_id,
                    std::shared_ptr<xsk::PortIo> io) {
    detach(compartment);
    auto link = std::make_shared<PortLink>();
    link->io = std::move(io);
    link->compartment = compartment;
    link->host_id = host_id;
    Lock lock(mutex_);
    ports_[compartment] =
        std::make_shared<PortLoop>(std::move(link), dispatcher_, counters_, options_.busy);
}

void Engine::detach(std::uint32_t compartment) {
    std::shared_ptr<PortLoop> loop;
    {
        Lock lock(mutex_);
        const auto at = ports_.find(compartment);
        if (at == ports_.end()) return;
        loop = std::move(at->second);
        ports_.erase(at);
    }
    end(std::move(loop));
}

std::shared_ptr<PortLink> Engine::port(std::uint32_t compartment) {
    Lock lock(mutex_);
    const auto at =
        compartment == UNSPECIFIED_COMPARTMENT_ID ? ports_.begin() : ports_.find(compartment);
    return at == ports_.end() ? nullptr : at->second->link();
}

// The end of a loop waits for user code, so it is not the reader's to wait for.
void Engine::end(std::shared_ptr<PortLoop> loop) {
    loop->link()->io->close();
    holds_.drop_port(*loop->link());
    workers_.post([this, loop = std::move(loop)]() mutable {
        const auto link = loop->link();
        forwards_.lost(*link); // before: a thread of the loop may wait for what is injected
        loop.reset();
        contexts_.port_ended(*link);
    });
}

// ---- defaults of holds ----

NTSTATUS Engine::set_hold_defaults(const protocol::HoldOptions &hold) {
    start();
    std::optional<protocol::HoldOptions> before = hold;
    {
        Lock lock(mutex_);
        hold_defaults_.swap(before);
    }
    if (client_.connection() == 0) return STATUS_SUCCESS; // told by restore()
    const auto told = tell_hold_defaults(false);
    if (told) return STATUS_SUCCESS;
    Lock lock(mutex_);
    hold_defaults_ = before;
    return NTSTATUS(told.error().ntstatus);
}

Result<void> Engine::tell_hold_defaults(bool restoring) {
    protocol::Request request;
    {
        Lock lock(mutex_);
        if (!hold_defaults_) return {};
        *request.mutable_host_defaults_set()->mutable_hold() = *hold_defaults_;
    }
    auto reply = client_.request(std::move(request), restoring);
    if (!reply) return {}; // the next connection begins with it
    if (reply->status() != 0) return Error::status(reply->status(), reply->error());
    return {};
}

// ---- callouts ----

Result<void> Engine::announce(CalloutEntry &entry, std::uint64_t connection, bool restoring) {
    if (!callouts_.claim_announcement(entry, connection)) return {};
    protocol::Request request;
    auto &body = *request.mutable_callout_register();
    body.set_key(entry.key.bytes());
    body.set_flags(entry.flags);
    body.set_local_id(entry.id);
    body.set_version(static_cast<std::uint32_t>(entry.spec.index()));
    body.set_has_flow_delete(entry.has_flow_delete);
    auto reply = client_.request(std::move(request), restoring);
    if (!reply) return {}; // the next connection begins with it
    if (reply->status() != 0) return Error::status(reply->status(), reply->error());
    if (reply->has_callout_registered()) entry.slot = reply->callout_registered().slot();
    return {};
}

Result<std::uint32_t> Engine::register_callout(const CalloutSpec &spec, const void *driver) {
    start();
    auto entry = callouts_.add(spec, driver);
    if (!entry) return entry.error();
    if ((*entry)->has_flow_delete) contexts_.opened();
    const std::uint64_t connection = client_.connection();
    if (connection == 0) return (*entry)->id;
    if (auto told = announce(**entry, connection, false); !told) {
        if (auto leaving = callouts_.begin_remove((*entry)->id)) callouts_.finish_remove(*leaving);
        deregistered(**entry);
        return told.error();
    }
    return (*entry)->id;
}

NTSTATUS Engine::unregister(std::shared_ptr<CalloutEntry> entry) {
    if (!entry) return STATUS_FWP_CALLOUT_NOT_FOUND;
    if (!contexts_.retire(entry->id)) return STATUS_DEVICE_BUSY;
    if (auto leaving = callouts_.begin_remove(entry->id); !leaving) {
        contexts_.reopen(entry->id);
        return NTSTATUS(leaving.error().ntstatus);
    }
    if (client_.connection() != 0) {
        protocol::Request request;
        request.mutable_callout_unregister()->set_key(entry->key.bytes());
        request.mutable_callout_unregister()->set_local_id(entry->id);
        (void)client_.request(
            std::move(request)); // sluiced gone: it has forgotten the callout anyway
    }
    callouts_.finish_remove(entry);
    holds_.end_callout(entry->id);
    deregistered(*entry);
    return STATUS_SUCCESS;
}

void Engine::deregistered(const CalloutEntry &entry) {
    contexts_.closed(entry.id);
    if (entry.has_flow_delete) contexts_.forgotten();
}

NTSTATUS Engine::abort_flow(std::uint64_t handle) {
    protocol::Request request;
    request.mutable_flow_end()->set_compartment(static_cast<std::uint32_t>(handle >> 40) + 1);
    request.mutable_flow_end()->set_flow(handle & ((std::uint64_t{1} << 40) - 1));
    Pace::give_way_here();
    const auto reply = client_.request(std::move(request));
    if (!reply) return STATUS_FWP_TCPIP_NOT_READY;
    if (reply->status() != 0) return NTSTATUS(reply->status());
    contexts_.flow_ended(handle);
    return STATUS_SUCCESS;
}

std::size_t Engine::end_driver(const void *driver, std::chrono::milliseconds patience) {
    constexpr std::chrono::milliseconds pause{5};
    const auto end = std::chrono::steady_clock::now() + patience;
    std::size_t left = 0;
    for (const auto &entry : callouts_.all()) {
        if (entry->driver != driver) continue;
        ++left;
        log().warn("callout {} was left registered by its driver", entry->key.text());
        for (;;) {
            contexts_.remove_all(entry->id); // what a classify is using goes when that returns
            const NTSTATUS status = unregister(entry);
            if (status != STATUS_DEVICE_BUSY || std::chrono::steady_clock::now() > end) {
                if (status != STATUS_SUCCESS)
                    log().error("callout {} stays: a callback of it has not returned",
                                entry->key.text());
                break;
            }
            std::this_thread::sleep_for(pause);
        }
    }
    return left;
}

FilterTables::Object Engine::filter_of(const protocol::FilterNotify &notify,
                                       std::uint32_t callout) {
    switch (notify.type()) {
    case protocol::FilterNotify::ADD:
        return filters_.announce(notify.filter(), callout);
    case protocol::FilterNotify::COMMIT_ADD:
        return filters_.known_or_new(notify.filter(), callout);
    default:
        return filters_.withdraw(notify.filter(), callout);
    }
}

NTSTATUS Engine::notify(const protocol::FilterNotify &notify) {
    const std::uint32_t id =
        callouts_.id_of(Guid::from_bytes(notify.callout_key()).value_or(Guid{}));
    const auto filter = filter_of(notify, id);
    auto callout = callouts_.enter(id);
    if (!callout) return STATUS_FWP_CALLOUT_NOT_FOUND;
    const bool add = notify.type() == protocol::FilterNotify::ADD;
    const bool gone = notify.type() == protocol::FilterNotify::DELETE;
    const auto type = add    ? FWPS_CALLOUT_NOTIFY_ADD_FILTER
                      : gone ? FWPS_CALLOUT_NOTIFY_DELETE_FILTER
                             : FWPS_CALLOUT_NOTIFY_ADD_FILTER_POST_COMMIT;
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    try {
        const GUID key = to_guid(filter->key().bytes());
        status = call_notify((*callout)->spec, type, gone ? nullptr : &key, *filter);
    } catch (...) {
        ++counters_.callout_exceptions;
    }
    if (add && !NT_SUCCESS(status)) (void)filters_.withdraw(notify.filter(), id);
    return status;
}

} // namespace sluice::runtime
