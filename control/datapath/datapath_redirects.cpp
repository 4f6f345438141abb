// SPDX-License-Identifier: Apache-2.0
// What a data plane has for redirections: targets of filters, handles of hosts, the redirections
// themselves and what was learned.
#include <algorithm>
#include <bpf/bpf.h>
#include <unistd.h>

#include "datapath/attach_cgroup.h"
#include "datapath/datapath_state.h"
#include "datapath/image_map.h"

namespace sluice::datapath {

namespace {

bool is_empty(const dp_redirect_goal &goal) {
    return goal.v4.present == 0 && goal.v6.present == 0;
}

bool has_redirect_layers(const __u64 (&present)[2]) {
    constexpr std::uint64_t four = 0xf;
    static_assert(DP_LAYER_ALE_CONNECT_REDIRECT_V4 / 64 == 1 &&
                  DP_LAYER_ALE_BIND_REDIRECT_V6 / 64 == 1);
    return (present[1] & four << DP_LAYER_ALE_CONNECT_REDIRECT_V4 % 64) != 0;
}

} // namespace

Result<void> Datapath::State::open_redirects() {
    const std::string &dir = pins.path();
    Result<void> done;
    open_map(done, targets, dir, "targets");
    open_map(done, handles, dir, "handles");
    open_map(done, redirects, dir, "redirects");
    open_map(done, redirect_peers, dir, "redirect_peers");
    open_map(done, contexts_of, dir, "contexts_of");
    open_map(done, learned, dir, "learned");
    open_map(done, own_addresses, dir, "own_addresses");
    if (!done) return done;
    for (std::uint32_t slot = 1; slot < DP_TARGETS_MAX; ++slot)
        if (const auto goal = targets.find(slot); goal && !is_empty(*goal))
            target_slots.emplace(slot, *goal);
    return {};
}

Result<std::vector<std::uint32_t>>
Datapath::State::write_targets(const std::vector<dp_redirect_goal> &goals) {
    auto slots = place_goals(target_slots, goals);
    if (!slots) return slots;
    for (std::size_t i = 0; i < goals.size(); ++i) {
        const std::uint32_t slot = (*slots)[i];
        if (target_slots.contains(slot)) continue;
        if (auto written = targets.set(slot, goals[i]); !written) return written.error();
    }
    return slots;
}

void Datapath::State::keep_targets(const std::vector<std::uint32_t> &slots) {
    TargetSlots kept;
    for (const std::uint32_t slot : slots)
        if (const auto goal = targets.find(slot)) kept.emplace(slot, *goal);
    for (const auto &[slot, goal] : target_slots)
        if (!kept.contains(slot)) (void)targets.set(slot, {}); // else it is overwritten later
    target_slots = std::move(kept);
}

bool Datapath::State::policy_redirects() const {
    const auto head = published_head(policy.fd(), policy_large.fd());
    return head && has_redirect_layers(head->present);
}

Result<void> Datapath::State::attach_redirect_hooks(const compiler::Plan &plan) {
    if (!has_redirect_layers(plan.present)) return {};
    const bool attached = access(pins.at("l_connect4_cgroup").c_str(), F_OK) == 0;
    return attached ? attach_redirect_cgroup(pins) : Result<void>();
}

Result<void> Datapath::set_redirect_handle(const dp_handle_key &key, const dp_handle &value) {
    return state_->handles.set(key, value);
}

Result<void> Datapath::delete_redirect_handle(const dp_handle_key &key) {
    return state_->handles.erase(key);
}

Result<void> Datapath::set_own_addresses(const std::vector<dp_addr> &addresses) {
    const auto is = [](const dp_addr &a) {
        return [a](const dp_addr &b) { return a.hi == b.hi && a.lo == b.lo; };
    };
    state_->own_addresses.each([&](const dp_addr &key, std::uint32_t) {
        if (std::none_of(addresses.begin(), addresses.end(), is(key)))
            (void)state_->own_addresses.erase(key);
        return true;
    });
    for (const dp_addr &address : addresses)
        if (auto set = state_->own_addresses.set(address, 1); !set) return set;
    return {};
}

void Datapath::forget_redirect_handles(const std::function<bool(const dp_handle_key &)> &is_gone) {
    state_->handles.each([&](const dp_handle_key &key, const dp_handle &) {
        if (is_gone(key)) (void)state_->handles.erase(key);
        return true;
    });
}

void Datapath::each_redirect(
    const std::function<bool(std::uint64_t, const dp_redirect &)> &visit) const {
    state_->redirects.each(visit);
}

void Datapath::end_redirect(std::uint64_t id, std::uint64_t now_ns) {
    auto redirect = state_->redirects.find(id);
    if (!redirect || redirect->state == DP_REDIRECT_ENDED) return;
    redirect->state = DP_REDIRECT_ENDED;
    redirect->ended_ns = now_ns;
    (void)state_->redirects.set(id, *redirect, BPF_EXIST);
}

void Datapath::delete_redirect(std::uint64_t id, const dp_redirect &redirect) {
    // The same addresses may be another redirection's by now.
    if (state_->redirect_peers.find(redirect.wire) == id)
        (void)state_->redirect_peers.erase(redirect.wire);
    if (redirect.way == DP_WAY_BIND) { // what its socket sends is found by that
        dp_flow_key own{};
        own.remote = redirect.app.remote;
        own.remote_port = redirect.app.remote_port;
        own.protocol = redirect.app.protocol;
        if (state_->redirect_peers.find(own) == id) (void)state_->redirect_peers.erase(own);
    }
    (void)state_->contexts_of.erase(id);
    (void)state_->redirects.erase(id);
}

void Datapath::each_learned(
    const std::function<bool(const dp_learned_key &, const dp_learned &)> &visit) const {
    state_->learned.each(visit);
}

void Datapath::delete_learned(const dp_learned_key &key, const dp_learned &value) {
    (void)state_->learned.erase(key);
    if (value.context_id != 0) (void)state_->contexts_of.erase(value.context_id);
}

} // namespace sluice::datapath
