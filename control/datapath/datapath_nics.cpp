// SPDX-License-Identifier: Apache-2.0
// NICs, lo and the cgroup programs of a data plane.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <net/if_arp.h>

#include "datapath/attach_cgroup.h"
#include "datapath/datapath_state.h"
#include "datapath/link_type.h"
#include "datapath/netlink.h"
#include "datapath/rollback.h"
#include "datapath/sysctl.h"

namespace sluice::datapath {
namespace {

constexpr std::uint32_t lo_ifindex = 1; // in every namespace
constexpr const char *accept_local = "net/ipv4/conf/lo/accept_local";
constexpr const char *route_localnet = "net/ipv4/conf/lo/route_localnet";

DeviceRecord named(const std::string &name) {
    DeviceRecord record;
    std::strncpy(record.name, name.c_str(), sizeof record.name - 1);
    return record;
}

Result<netlink::Link> find_nic(const std::string &name) {
    auto link = netlink::link(name);
    if (!link && link.error().code == ENODEV) return Error{ENODEV, "find interface", name};
    if (!link) return link;
    if (link->ifindex == lo_ifindex)
        return Error{EINVAL, "load onto lo: it comes and goes with the other interfaces", name};
    return link;
}

} // namespace

NicInfo describe(std::uint32_t ifindex, const DeviceRecord &record) {
    NicInfo info;
    info.name = record.name;
    info.ifindex = ifindex;
    info.mode = record.xdp != 0 ? "native" : "generic";
    info.attach = record.tc == std::uint32_t(TcKind::tcx) ? "tcx" : "clsact";
    if (record.xdp == std::uint32_t(XdpKind::single)) info.attach += "+xdp";
    if (record.xdp == std::uint32_t(XdpKind::dispatcher)) info.attach += "+xdp-dispatcher";
    if (record.xdp != 0) info.programs.emplace_back("dp_xdp_nic");
    info.programs.emplace_back("dp_tc_ingress");
    info.programs.emplace_back("dp_tc_egress");
    return info;
}

std::map<std::uint32_t, DeviceRecord> Datapath::State::records() const {
    std::map<std::uint32_t, DeviceRecord> all;
    if (devices.fd() < 0) return all; // removed
    devices.each([&](std::uint32_t ifindex, const DeviceRecord &record) {
        if (ifindex != lo_ifindex) all.emplace(ifindex, record);
        return true;
    });
    return all;
}

std::optional<std::pair<std::uint32_t, DeviceRecord>>
Datapath::State::find_record(const std::string &name) const {
    const auto link = netlink::link(name); // it may have been renamed since
    for (const auto &[ifindex, record] : records())
        if (link ? link->ifindex == ifindex : name == record.name) return {{ifindex, record}};
    return std::nullopt;
}

// lo answers for local redirects: it must take packets with local sources, and route 127/8 that
// came from a NIC.
Result<void> Datapath::State::attach_lo(std::uint32_t ifindex) {
    DeviceRecord record = named("lo");
    auto accept = sysctl::read(accept_local);
    auto route = sysctl::read(route_localnet);
    if (!accept) return accept.error();
    if (!route) return route.error();
    Nic nic(pins, ifindex, record);
    if (auto done = nic.attach_tc(); !done) return done;
    record = nic.record();
    record.accept_local = *accept;
    record.route_localnet = *route;
    auto done = devices.set(ifindex, record);
    if (done) done = nics.set(ifindex, {0, 1, if_type_of(ARPHRD_LOOPBACK), 0, 0});
    if (done) done = sysctl::write(accept_local, 1);
    if (done) done = sysctl::write(route_localnet, 1);
    if (!done) {
        nic.detach();
        detach_lo();
    }
    return done;
}

void Datapath::State::detach_lo() {
    const auto record = devices.find(lo_ifindex);
    if (!record) return;
    if (record->accept_local >= 0) (void)sysctl::write(accept_local, record->accept_local);
    if (record->route_localnet >= 0) (void)sysctl::write(route_localnet, record->route_localnet);
    Nic(pins, lo_ifindex, *record).detach();
    (void)nics.erase(lo_ifindex);
    (void)devices.erase(lo_ifindex);
}

Result<void> Datapath::State::attach_shared() {
    if (devices.find(lo_ifindex)) return {};
    std::string root = options.cgroup_root;
    if (root.empty()) {
        auto found = find_cgroup_root();
        if (!found) return found.error();
        root = *found;
    }
    if (auto done = attach_lo(lo_ifindex); !done) return done;
    detach_cgroup(pins); // of an attempt that was cut short
    auto done = attach_cgroup(pins, root);
    if (done && policy_redirects()) done = attach_redirect_cgroup(pins);
    if (!done) detach_shared();
    return done;
}

void Datapath::State::detach_shared() {
    detach_cgroup(pins);
    detach_lo();
}

namespace {

std::uint64_t mac_number(const netlink::Link &link) {
    std::uint64_t out = 0;
    if (!link.mac) return out;
    for (const std::uint8_t byte : *link.mac)
        out = out << 8 | byte;
    return out;
}

} // namespace

Result<void> Datapath::State::add_nic(std::uint32_t ifindex, const std::string &name, XdpMode mode,
                                      std::string &note) {
    Nic nic(pins, ifindex, named(name));
    Rollback undo;
    undo.add([&] { (void)nics.erase(ifindex); });
    undo.add([&] { (void)devices.erase(ifindex); });
    const auto link = netlink::link(ifindex);
    if (!link) return link.error();
    dp_nic value{0, 0, if_type_of(link->type), tunnel_type_of(link->type), mac_number(*link)};
    if (auto done = nics.set(ifindex, value); !done) return done;
    if (auto done = nic.attach_tc(); !done) return done;
    undo.add([&] { nic.detach(); });
    if (mode != XdpMode::generic) {
        auto done = nic.attach_xdp(config);
        if (!done && mode == XdpMode::native) return done;
        if (!done) note = "generic mode on " + name + ": " + done.error().text();
    }
    if (auto done = devices.set(ifindex, nic.record()); !done) return done;
    // Last, so that between the two steps a packet is judged twice rather than not at all.
    value.xdp = nic.record().xdp != 0;
    if (auto done = nics.set(ifindex, value); !done) return done;
    undo.keep();
    return {};
}

Result<NicInfo> Datapath::State::attach(const std::string &name, XdpMode mode, std::string &note) {
    auto link = find_nic(name);
    if (!link) return link.error();
    if (ports.find(link->ifindex)) return Error{EINVAL, "load onto a port of a host", name};
    if (devices.find(link->ifindex))
        return Error{EEXIST, "load onto interface, loaded already", name};
    const bool first = records().empty();
    if (auto done = attach_shared(); !done) return done.error();
    auto done = add_nic(link->ifindex, name, mode, note);
    if (!done && first) detach_shared();
    if (!done) return done.error();
    return describe(link->ifindex, *devices.find(link->ifindex));
}

void Datapath::State::detach(std::uint32_t ifindex, const DeviceRecord &record) {
    Nic nic(pins, ifindex, record);
    if (nic.gone())
        nic.forget();
    else
        nic.detach();
    (void)nics.erase(ifindex);
    (void)devices.erase(ifindex);
}

Result<NicInfo> Datapath::attach_nic(const std::string &name, XdpMode mode, std::string &note) {
    forget_missing_devices();
    std::optional<NicInfo> info;
    const bool first = nics().empty();
    if (first) adopt_sockets(); // before their packets are judged
    auto done = state_->ns.enter([&]() -> Result<void> {
        auto attached = state_->attach(name, mode, note);
        if (!attached) return attached.error();
        info = std::move(*attached);
        return {};
    });
    if (!done) return done.error();
    if (first) adopt_sockets(); // and those of the moments between
    return std::move(*info);
}

Result<void> Datapath::detach_nic(const std::string &name) {
    return state_->ns.enter([&]() -> Result<void> {
        const auto found = state_->find_record(name);
        if (!found) return Error{ENOENT, "unload from interface, not loaded", name};
        state_->detach(found->first, found->second);
        if (state_->records().empty()) state_->detach_shared();
        return {};
    });
}

std::vector<NicInfo> Datapath::nics() const {
    std::vector<NicInfo> all;
    for (const auto &[ifindex, record] : state_->records())
        all.push_back(describe(ifindex, record));
    return all;
}

void Datapath::set_nics_down() {
    (void)state_->ns.enter([&]() -> Result<void> {
        for (const auto &[ifindex, record] : state_->records())
            (void)netlink::set_down(ifindex); // one that has gone sends nothing either
        return {};
    });
}

std::vector<std::uint32_t> Datapath::forget_missing_devices() {
    std::vector<std::uint32_t> missing;
    (void)state_->ns.enter([&]() -> Result<void> {
        const auto before = state_->records();
        for (const auto &[ifindex, record] : before) {
            if (!Nic(state_->pins, ifindex, record).gone()) continue;
            state_->detach(ifindex, record);
            missing.push_back(ifindex);
        }
        if (!before.empty() && state_->records().empty()) state_->detach_shared();
        return {};
    });
    return missing;
}

} // namespace sluice::datapath
