// SPDX-License-Identifier: Apache-2.0
// The tables of a data plane: policy, hosts and ports, flows and tickets.
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <unistd.h>

#include "compiler/layout.h"
#include "core/crash_point.h"
#include "datapath/datapath_state.h"
#include "datapath/image_map.h"
#include "datapath/netlink.h"
#include "datapath/rollback.h"

namespace sluice::datapath {
namespace {

// The host reads it by itself: mapped, without any right.
Result<Fd> make_notices() {
    Fd ring(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "notices", 0, 0, DP_NOTICES_BYTES, nullptr));
    if (!ring) return Error{errno, "create the ring of notices of a host"};
    return ring;
}

// Of ascending filters in `filter_hits`.
std::vector<std::uint64_t> entries_of(const std::vector<std::uint64_t> &ids) {
    std::vector<std::uint64_t> entries;
    for (const std::uint64_t id : ids)
        if (entries.empty() || entries.back() != id / DP_HITS) entries.push_back(id / DP_HITS);
    return entries;
}

std::vector<std::uint64_t> missing_in(const std::vector<std::uint64_t> &of,
                                      const std::vector<std::uint64_t> &in) {
    std::vector<std::uint64_t> out;
    std::set_difference(of.begin(), of.end(), in.begin(), in.end(), std::back_inserter(out));
    return out;
}

} // namespace

Result<void> Datapath::publish(const compiler::Plan &plan) {
    if (!plan.layout && plan.image.size() < DP_LAYERS_MAX)
        return Error{EINVAL, "publish a plan without index cells"};
    // What is written from here on, slots of targets and an image, is no program's any more.
    state_->swap.settle();
    const auto slots = state_->write_targets(plan.goals);
    if (!slots) return slots.error();
    crash_point();
    auto image = state_->fill_image(plan, *slots);
    if (!image) return image.error();
    Rollback undo;
    const auto all_fit = state_->add_counters(plan.filter_ids, undo);
    if (!all_fit) return all_fit.error();
    if (auto hooked = state_->attach_redirect_hooks(plan); !hooked) return hooked;
    crash_point();
    auto swapped = state_->swap.publish(state_->policy.fd(), state_->policy_large.fd(), **image);
    if (!swapped) {
        **image = ImageMap(); // it may be in force for all that
        return swapped;
    }
    undo.keep();
    state_->image_in_force = static_cast<std::size_t>(*image - state_->images.data());
    state_->keep_targets(*slots);
    state_->delete_counters_but(plan.filter_ids);
    if (!*all_fit) (void)state_->add_counters(plan.filter_ids, undo);
    undo.keep();
    state_->counted = plan.filter_ids;
    return {};
}

bool Datapath::settled() const {
    return state_->swap.settled();
}

// The map that is not in force: since the swap that took it out of force has settled, no program is
// in it any more.
Result<ImageMap *> Datapath::State::fill_image(const compiler::Plan &plan,
                                               const std::vector<std::uint32_t> &slots) {
    ImageMap &image = images[1 - image_in_force];
    if (plan.layout) {
        auto filled = datapath::fill_image(image, *plan.layout);
        if (!filled) return filled.error();
        return &image;
    }
    auto made =
        make_image(compiler::lay_out(plan.goals.empty() ? plan.image : with_slots(plan, slots)));
    if (!made) return made.error();
    image = std::move(*made);
    return &image;
}

Result<bool> Datapath::State::add_counters(const std::vector<std::uint64_t> &ids, Rollback &undo) {
    std::vector<std::uint64_t> missing = entries_of(ids);
    if (counted) missing = missing_in(missing, entries_of(*counted));
    for (const std::uint64_t entry : missing) {
        crash_point();
        auto made = filter_hits.set_all(entry, {}, BPF_NOEXIST);
        // Entries come from a store that the kernel fills again a little later.
        for (int tries = 0; !made && made.error().code == ENOMEM && tries < 200; ++tries) {
            usleep(1000);
            made = filter_hits.set_all(entry, {}, BPF_NOEXIST);
        }
        if (made)
            undo.add([this, entry] { filter_hits.erase(entry); });
        else if (made.error().code == E2BIG)
            return false;
        else if (made.error().code != EEXIST)
            return made.error();
    }
    return true;
}

void Datapath::State::delete_counters_but(const std::vector<std::uint64_t> &ids) {
    auto before = counted ? entries_of(*counted) : filter_hits.keys();
    if (!counted) std::sort(before.begin(), before.end());
    for (const std::uint64_t entry : missing_in(before, entries_of(ids))) {
        crash_point();
        filter_hits.erase(entry);
    }
}

Result<void> Datapath::set_callout(std::uint32_t id, const dp_callout &value) {
    crash_point();
    return state_->callouts.set(id, value);
}

std::optional<dp_callout> Datapath::callout(std::uint32_t id) const {
    return state_->callouts.find(id);
}

Result<void> Datapath::set_host(std::uint32_t id, const dp_host &value) {
    crash_point();
    return state_->hosts.set(id, value);
}

std::optional<dp_host> Datapath::host(std::uint32_t id) const {
    return state_->hosts.find(id);
}
Result<void> Datapath::delete_host(std::uint32_t id) {
    auto done = state_->hosts.erase(id);
    auto silenced = state_->notices.erase(id);
    return done ? silenced : done;
}

Result<std::unique_ptr<PortDevice>> Datapath::make_port(std::uint32_t host, std::uint32_t frames,
                                                        PortHandover &handover) {
    const PortDevice::Programs programs{state_->port_down.get(), state_->port_forward.get(),
                                        state_->port_apply.get(), state_->port_guard.get()};
    auto port = PortDevice::make(state_->ns, host, frames, programs, handover);
    if (!port) return port;
    auto ring = make_notices();
    if (!ring) return ring.error(); // the port goes with its owner
    auto heard = state_->notices.set(host, std::uint32_t(ring->get()));
    if (!heard) return heard.error();
    auto entered = state_->ports.set((*port)->near_ifindex(), {host, 0});
    if (!entered) {
        (void)state_->notices.erase(host);
        return entered.error();
    }
    handover.notices = std::move(*ring);
    return port;
}

Result<std::unique_ptr<PortDevice>> Datapath::adopt_port(std::uint32_t host, Fd memfd, NetNs far) {
    auto port = PortDevice::adopt(state_->ns, host, std::move(memfd), std::move(far));
    if (!port) return port;
    const auto known = state_->ports.find((*port)->near_ifindex());
    if (known && known->host == host) return port;
    (*port)->release(); // whosever it is
    return Error{ENOENT, "take over a port that is not in the data plane", std::to_string(host)};
}

void Datapath::delete_port(std::uint32_t near_ifindex) {
    const auto known = state_->ports.find(near_ifindex);
    if (!known) return;
    (void)state_->ns.enter([&]() -> Result<void> {
        const auto link = netlink::link(near_ifindex);
        if (!link || link->name != "slc" + std::to_string(known->host)) return {};
        return netlink::delete_link(near_ifindex);
    });
    (void)state_->ports.erase(near_ifindex);
}

std::map<std::uint32_t, std::uint32_t> Datapath::ports() const {
    std::map<std::uint32_t, std::uint32_t> all;
    state_->ports.each([&](std::uint32_t ifindex, const dp_port &port) {
        all.emplace(ifindex, port.host);
        return true;
    });
    return all;
}

void Datapath::each_flow(
    const std::function<bool(const dp_flow_key &, const dp_flow &)> &visit) const {
    state_->flows.each(visit);
}

bool Datapath::some_flows(
    FlowPlace &place,
    const std::function<bool(const dp_flow_key &, const dp_flow &)> &visit) const {
    MapPlace at{place.bucket, place.begun};
    const bool more = state_->flows.each_some(at, visit);
    place = {at.bucket, at.begun};
    return more;
}

std::optional<dp_flow> Datapath::flow(const dp_flow_key &key) const {
    return state_->flows.find(key);
}

void Datapath::delete_flow(const dp_flow_key &key) {
    dp_judge_request request{};
    request.order = DP_JUDGE_END;
    request.key = key;
    (void)order(request); // a failure leaves the flow to the next walk
}

void Datapath::fold_flow_cache() {
    constexpr std::uint32_t sets_at_once = 4096; // a run is not interrupted
    for (std::uint32_t first = 0; first < state_->config.cache_sets; first += sets_at_once) {
        dp_judge_request request{};
        request.order = DP_JUDGE_FOLD;
        request.ticket = std::uint64_t{sets_at_once} << 32 | first;
        if (!order(request)) return; // the next call makes up for it
    }
}

void Datapath::forget_contexts(const dp_flow_key &key, std::uint64_t slots) {
    dp_judge_request request{};
    request.order = DP_JUDGE_FORGET;
    request.key = key;
    request.ticket = slots;
    (void)order(request);
}

Result<void> Datapath::set_context_slot(std::uint32_t slot, const dp_context_slot &value) {
    return state_->context_slots.set(slot - 1, value);
}

void Datapath::each_ended(const std::function<bool(std::uint64_t, const dp_ended &)> &visit) const {
    state_->ended.each(visit);
}

void Datapath::delete_ended(std::uint64_t flow) {
    (void)state_->ended.erase(flow);
}

void Datapath::each_ticket(
    const std::function<bool(std::uint64_t, const dp_ticket &)> &visit) const {
    state_->tickets.each(visit);
}

void Datapath::delete_ticket(std::uint64_t ticket) {
    (void)state_->tickets.erase(ticket);
}

void Datapath::each_operation(
    const std::function<bool(std::uint64_t, const dp_operation &)> &visit) const {
    state_->operations.each(visit);
}

std::optional<dp_operation> Datapath::operation(std::uint64_t id) const {
    return state_->operations.find(id);
}

Result<bool> Datapath::abandon_operation(std::uint64_t id) {
    dp_judge_request request{};
    request.order = DP_JUDGE_ABANDON;
    request.ticket = id;
    const auto done = order(request);
    if (!done) return done.error();
    return *done == DP_JUDGE_ENDED;
}

void Datapath::delete_operation(std::uint64_t id) {
    (void)state_->operations.erase(id);
}

void Datapath::each_use(
    const std::function<bool(const dp_use_key &, const dp_use &)> &visit) const {
    state_->uses.each(visit);
}

void Datapath::delete_use(const dp_use_key &key) {
    (void)state_->uses.erase(key);
}

std::string Datapath::exe_path(std::uint32_t dev, std::uint64_t inode) const {
    const auto exe = state_->exes.find({inode, dev, 0});
    if (!exe) return {};
    return std::string(exe->path, std::min<std::size_t>(exe->length, DP_EXE_PATH_MAX - 1));
}

} // namespace sluice::datapath
