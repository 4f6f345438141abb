// SPDX-License-Identifier: Apache-2.0
// A registered callout. The C callbacks carry no user data, so each registration takes one of a
// fixed number of slots, and each slot has functions of its own. Slots are hidden symbols, so that
// two plugins in one process never share them.
#pragma once

#include <array>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "device.hpp"
#include "engine.hpp"
#include "hold.hpp"

namespace sluice {

inline constexpr std::size_t max_callouts = 64; // at a time, in one plugin

namespace detail {

struct Slots {
    std::mutex mutex;
    std::array<std::shared_ptr<CalloutState>, max_callouts> states;
};
[[gnu::visibility("hidden")]] inline Slots slots;

inline void answer(FWPS_CLASSIFY_OUT0 &out, const FWPS_FILTER3 &filter, Verdict verdict) {
    const bool veto = verdict.action == FWP_ACTION_BLOCK && out.actionType == FWP_ACTION_PERMIT;
    if ((out.rights & FWPS_RIGHT_ACTION_WRITE) == 0 && !veto) return;
    out.actionType = verdict.action;
    if (verdict.absorb) out.flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    const bool filter_clears = verdict.action == FWP_ACTION_PERMIT &&
                               (filter.flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0;
    if (verdict.final || filter_clears) out.rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

template <std::size_t Slot>
struct [[gnu::visibility("hidden")]] Callbacks{static void NTAPI classify(
    const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *data,
    const void *context, const FWPS_FILTER3 *filter, UINT64 flow_context,
    FWPS_CLASSIFY_OUT0 *out){CalloutState & state = *slots.states[Slot];
Classification question(state, *values, *metadata, data, context, *filter, flow_context, *out);
answer(*out, *filter, state.ask(question));
} // namespace detail
static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER3 *filter) {
    CalloutState &state = *slots.states[Slot];
    try {
        return state.notify ? state.notify(type, key, *filter) : STATUS_SUCCESS;
    } catch (...) {
        return STATUS_UNSUCCESSFUL;
    }
}
static void NTAPI flow_delete(UINT16 layer, UINT32 callout, UINT64 context) {
    CalloutState &state = *slots.states[Slot];
    try {
        state.contexts.erase(context); // first: its memory may be another's afterwards
        if (state.flow_delete) state.flow_delete(layer, callout, context);
    } catch (...) { // a flow ends whatever the plugin thinks of it
    }
}
}; // namespace sluice

template <std::size_t... Slot>
constexpr std::array<FWPS_CALLOUT3, sizeof...(Slot)> callbacks(std::index_sequence<Slot...>) {
    return {{{{},
              0,
              Callbacks<Slot>::classify,
              Callbacks<Slot>::notify,
              Callbacks<Slot>::flow_delete}...}};
}

} // namespace detail

class Callout {
public:
    using Classify = decltype(CalloutState::classify);
    using Notify = decltype(CalloutState::notify);
    using FlowDelete = decltype(CalloutState::flow_delete);

    // Registers the callbacks only. `classify` may run before this returns, on several threads.
    Callout(const Device &device, const GUID &key, Classify classify, Notify notify = {},
            FlowDelete flow_delete = {}, UINT32 flags = 0)
        : state_(new CalloutState) {
        state_->classify = std::move(classify);
        state_->notify = std::move(notify);
        state_->flow_delete = std::move(flow_delete);
        take_slot();
        FWPS_CALLOUT3 callout = detail::callbacks(std::make_index_sequence<max_callouts>{})[slot_];
        callout.calloutKey = key;
        callout.flags = flags | SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA;
        if (!state_->flow_delete) callout.flowDeleteFn = nullptr;
        const NTSTATUS status = FwpsCalloutRegister3(device.get(), &callout, &id_);
        if (!NT_SUCCESS(status)) give_slot_back();
        check(status, "FwpsCalloutRegister3");
    }

    // Registers under the key made from `name` and adds the management object for one layer, so
    // that filters can name it: `sluice filter add --action callout --callout NAME`.
    Callout(const Device &device, Engine &engine, std::string_view name, const GUID &layer,
            Classify classify)
        : Callout(device, key_from_name(name), std::move(classify)) {
        engine.add_callout(key_from_name(name), name, layer);
    }

    // Once this is over no lambda runs any more, and what FlowContext keeps with flows has been
    // deleted. Should the engine refuse (asked from one of the callout's own lambdas, or contexts
    // are left that were attached without FlowContext or are used by a lambda that does not return
    // within five seconds) the state is left alive rather than pulled away.
    ~Callout() {
        if (NT_SUCCESS(unregister())) give_slot_back();
    }
    Callout(const Callout &) = delete;
    Callout &operator=(const Callout &) = delete;

    UINT32 id() const noexcept { return id_; }

private:
    template <typename T>
    friend class FlowContext;

    // The engine wants every context removed first; classifies that run meanwhile may attach more,
    // or have the removal wait for them.
    NTSTATUS unregister() noexcept {
        constexpr std::chrono::milliseconds patience{5000}, pause{5};
        const auto end = std::chrono::steady_clock::now() + patience;
        for (;;) {
            const NTSTATUS status = FwpsCalloutUnregisterById0(id_);
            if (status != STATUS_DEVICE_BUSY || std::chrono::steady_clock::now() > end)
                return status;
            try {
                const auto places = state_->contexts.all();
                if (places.empty()) return status;
                for (const auto &place : places)
                    FwpsFlowRemoveContext0(place.flow, place.layer, id_);
                std::this_thread::sleep_for(pause);
            } catch (...) { // out of memory
                return status;
            }
        }
    }
    void take_slot() {
        std::lock_guard lock(detail::slots.mutex);
        for (slot_ = 0; slot_ < max_callouts; ++slot_) {
            if (detail::slots.states[slot_]) continue;
            detail::slots.states[slot_] = state_;
            return;
        }
        throw Error(STATUS_FWP_TOO_MANY_CALLOUTS, "Callout");
    }
    void give_slot_back() {
        std::lock_guard lock(detail::slots.mutex);
        detail::slots.states[slot_].reset();
    }

    std::shared_ptr<CalloutState> state_;
    std::size_t slot_ = 0;
    UINT32 id_ = 0;
};

} // namespace sluice
