// SPDX-License-Identifier: Apache-2.0
#include "daemon/address_watch.h"

#include <spdlog/spdlog.h>
#include <vector>

#include "daemon/live_flows.h"

namespace sluice::daemon {

Result<std::unique_ptr<AddressWatch>> AddressWatch::of(const datapath::Datapath &plane) {
    auto copy = plane.ns().dup();
    if (!copy) return copy.error();
    auto found = datapath::NetNs::from_fd(std::move(*copy));
    if (!found) return found.error();
    const auto ns = std::make_shared<datapath::NetNs>(std::move(*found));
    std::shared_ptr<Fd> notes;
    const auto opened = ns->enter([&]() -> Result<void> {
        auto fd = datapath::netlink::watch_addresses();
        if (!fd) return fd.error();
        notes = std::make_shared<Fd>(std::move(*fd));
        return {};
    });
    if (!opened) return opened.error();
    return std::make_unique<AddressWatch>(
        Sources{.stirred = [notes] { return datapath::netlink::take_notes(notes->get()); },
                .list = [ns]() -> Result<Addresses> {
                    Addresses all;
                    const auto listed = ns->enter([&]() -> Result<void> {
                        auto here = datapath::netlink::addresses();
                        if (!here) return here.error();
                        all = std::move(*here);
                        return {};
                    });
                    if (!listed) return listed.error();
                    return all;
                }});
}

AddressWatch::AddressWatch(Sources sources) : sources_(std::move(sources)) {
    (void)read(known_);
}

bool AddressWatch::read(ByAddress &now) const {
    const auto all = sources_.list();
    if (!all) {
        spdlog::warn("{}", all.error().text());
        return false;
    }
    for (const auto &[ifindex, address] : *all)
        now[address].insert(ifindex);
    return true;
}

AddressWatch::Changed AddressWatch::look() {
    Changed out;
    ByAddress now;
    if (!sources_.stirred() || !read(now)) return out;
    for (const auto &[address, interfaces] : now) {
        const auto before = known_.find(address);
        if (before == known_.end() || before->second != interfaces) out.insert(address);
    }
    for (const auto &[address, interfaces] : known_)
        if (now.count(address) == 0) out.insert(address);
    known_ = std::move(now);
    return out;
}

std::vector<dp_addr> AddressWatch::all() const {
    std::vector<dp_addr> out;
    for (const auto &[address, interfaces] : known_)
        out.push_back(address);
    return out;
}

void judge_flows_of(datapath::Datapath &plane, const AddressWatch::Changed &changed) {
    std::vector<dp_flow_key> flows;
    plane.each_flow([&](const dp_flow_key &key, const dp_flow &) {
        if (changed.count(key.local) != 0) flows.push_back(key);
        return true;
    });
    for (const auto &key : flows)
        cut_if_blocked(plane, key, DP_REAUTHORIZE_PROFILE_CROSSING);
}

} // namespace sluice::daemon
