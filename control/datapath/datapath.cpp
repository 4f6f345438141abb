// SPDX-License-Identifier: Apache-2.0
// Life of a data plane: made, taken over, removed.
#include "datapath/datapath.h"

#include <bit>
#include <cerrno>
#include <ctime>
#include <sys/random.h>
#include <unistd.h>

#include "datapath/attach_cgroup.h"
#include "datapath/datapath_state.h"
#include "datapath/netlink.h"
#include "datapath/rollback.h"

namespace sluice::datapath {
namespace {

void open_program(Result<void> &done, Fd &program, const std::string &path) {
    if (!done) return;
    auto opened = open_pinned(path);
    if (opened)
        program = std::move(*opened);
    else
        done = opened.error();
}

Result<void> check_layout(const std::string &directory) {
    auto layout = BpfMap<std::uint32_t, std::uint32_t>::open(directory, "layout");
    if (!layout) return Error{EPROTO, "take over pins that bear no layout version", directory};
    const std::uint32_t found = layout->find(0).value_or(0);
    if (found == DP_LAYOUT_VERSION) return {};
    const std::string ours = std::to_string(DP_LAYOUT_VERSION);
    return Error{EPROTO,
                 "take over pins of layout " + std::to_string(found) + " (this program has " +
                     ours + "); unload with the older version",
                 directory};
}

// The pins of an earlier namespace with the same number: numbers come again, cookies do not.
bool is_stale(const std::string &directory, std::uint64_t cookie) {
    if (!check_layout(directory)) return false;
    auto state = BpfMap<std::uint32_t, StateRecord>::open(directory, "state");
    if (!state) return false;
    const auto record = state->find(0);
    return record && record->config.netns_cookie != cookie;
}

// A jiffy is what the coarse clock counts in.
std::uint32_t jiffy_ns() {
    timespec step{};
    return clock_getres(CLOCK_MONOTONIC_COARSE, &step) == 0 ? std::uint32_t(step.tv_nsec) : 0;
}

Result<dp_config> config_of(const NetNs &ns, const Datapath::Options &options) {
    dp_config config{};
    config.netns_cookie = ns.cookie();
    config.compartment = options.compartment;
    config.mark_bit = options.mark_bit;
    config.cache_sets = options.cache_sets;
    config.jiffy_ns = jiffy_ns();
    if (!std::has_single_bit(config.cache_sets) || config.cache_sets > DP_CACHE_SETS_MAX)
        return Error{EINVAL, "size the flow cache", std::to_string(config.cache_sets)};
    if (getrandom(&config.cache_seed, sizeof config.cache_seed, 0) != sizeof config.cache_seed)
        return Error{errno, "draw the seed of the flow cache"};
    return config;
}

} // namespace

Result<void> Datapath::State::open_pins() {
    const std::string &dir = pins.path();
    Result<void> done;
    open_map(done, state, dir, "state");
    open_map(done, devices, dir, "devices");
    open_map(done, policy, dir, "policy");
    open_map(done, policy_large, dir, "policy_large");
    open_map(done, flows, dir, "flows");
    open_map(done, tickets, dir, "tickets");
    open_map(done, operations, dir, "operations");
    open_map(done, uses, dir, "uses");
    open_map(done, ended, dir, "ended");
    open_map(done, context_slots, dir, "context_slots");
    open_map(done, callouts, dir, "callouts");
    open_map(done, hosts, dir, "hosts");
    open_map(done, ports, dir, "ports");
    open_map(done, notices, dir, "notices");
    open_map(done, nics, dir, "nics");
    open_map(done, exes, dir, "exes");
    open_map(done, reasons, dir, "reasons");
    open_map(done, layers, dir, "layers");
    open_map(done, filter_hits, dir, "filter_hits");
    open_program(done, port_down, pins.at("p_dp_port_down"));
    open_program(done, port_forward, pins.at("p_dp_port_forward"));
    open_program(done, port_apply, pins.at("p_dp_port_apply"));
    open_program(done, port_guard, pins.at("p_dp_port_guard"));
    open_program(done, judge, pins.at("p_dp_judge"));
    open_program(done, sockets, pins.at("sockets")); // no sizes to check: the key is a descriptor
    open_map(done, event_options, dir, "options");
    if (done) done = open_events();
    if (done) done = open_redirects();
    if (done) config = state.find(0).value_or(StateRecord{}).config;
    return done;
}

Datapath::Datapath(std::unique_ptr<State> state) : state_(std::move(state)) {}
Datapath::~Datapath() = default;

Result<std::unique_ptr<Datapath>> Datapath::create(NetNs ns, const Options &options,
                                                   const compiler::Plan &plan) {
    prepare_libraries();
    const PinDir pins(options.pin_root, ns.inode());
    if (pins.exists() && is_stale(pins.path(), ns.cookie())) sweep(options.pin_root, ns.inode());
    if (pins.exists()) return Error{EEXIST, "load a data plane where one is pinned", pins.path()};
    if (auto begun = pins.begin(); !begun) return begun.error();
    Rollback undo;
    undo.add([&] { pins.abandon(); });
    const auto config = config_of(ns, options);
    if (!config) return config.error();
    if (auto loaded = load_pinned(pins, *config, options.flows_max); !loaded) return loaded.error();
    if (auto published = pins.publish(); !published) return published.error();
    undo.add([&] { pins.remove(); });
    auto made = adopt(std::move(ns), options);
    if (!made) return made;
    if (auto published = (*made)->publish(plan); !published) return published.error();
    undo.keep();
    return made;
}

Result<std::unique_ptr<Datapath>> Datapath::adopt(NetNs ns, const Options &options) {
    prepare_libraries();
    const PinDir pins(options.pin_root, ns.inode());
    if (pins.exists() && is_stale(pins.path(), ns.cookie())) sweep(options.pin_root, ns.inode());
    if (!pins.exists())
        return Error{ENOENT, "take over a data plane: nothing is pinned", pins.path()};
    if (auto checked = check_layout(pins.path()); !checked) return checked.error();
    auto state = std::make_unique<State>();
    state->pins = pins;
    state->ns = std::move(ns);
    state->options = options;
    if (auto opened = state->open_pins(); !opened) return opened.error();
    return std::unique_ptr<Datapath>(new Datapath(std::move(state)));
}

std::vector<std::uint64_t> Datapath::pinned(const std::string &pin_root) {
    return PinDir::all(pin_root);
}

void Datapath::sweep(const std::string &pin_root, std::uint64_t netns_inode) {
    const PinDir pins(pin_root, netns_inode);
    auto devices = BpfMap<std::uint32_t, DeviceRecord>::open(pins.path(), "devices");
    if (devices)
        devices->each([&](std::uint32_t ifindex, const DeviceRecord &record) {
            Nic(pins, ifindex, record).forget();
            return true;
        });
    pins.remove();
}

const NetNs &Datapath::ns() const {
    return state_->ns;
}
std::uint32_t Datapath::compartment() const {
    return state_->config.compartment;
}
std::string Datapath::pin_dir() const {
    return state_->pins.path();
}

void Datapath::State::delete_ports() {
    std::vector<std::uint32_t> all;
    ports.each([&](std::uint32_t ifindex, const dp_port &) {
        all.push_back(ifindex);
        return true;
    });
    for (const std::uint32_t ifindex : all) {
        const auto link = netlink::link(ifindex); // a number may have been given to another device
        if (link && link->name.starts_with("slc")) (void)netlink::delete_link(ifindex);
        (void)ports.erase(ifindex);
    }
}

Result<void> Datapath::remove() {
    auto done = state_->ns.enter([&]() -> Result<void> {
        for (const auto &[ifindex, record] : state_->records())
            state_->detach(ifindex, record);
        state_->detach_shared();
        state_->delete_ports();
        return {};
    });
    if (!done) return done;
    auto empty = std::make_unique<State>();
    state_->pins.remove();
    empty->ns = std::move(state_->ns);
    empty->options = state_->options;
    empty->config = state_->config;
    empty->pins = state_->pins;
    state_ = std::move(empty); // the last descriptors close: maps and programs end
    return {};
}

} // namespace sluice::datapath
