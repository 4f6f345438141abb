// SPDX-License-Identifier: Apache-2.0
// An object that a callout keeps with a flow.
#pragma once

#include <memory>
#include <utility>

#include "callout.hpp"

namespace sluice {

// The flow owns the object from attach() on; it is deleted once, when the flow ends, when it is
// removed, or with the callout, and never while one of the callout's lambdas looks at that flow.
//
//   struct Seen { UINT64 bytes = 0; };
//   Callout callout{device, key, classify, {}, FlowContext<Seen>::deleter()};
//   ... in classify, at a layer with flows (ALE_FLOW_ESTABLISHED say) of that same callout:
//   FlowContext<Seen>::attach(callout, question.flow(), FWPS_LAYER_DATAGRAM_DATA_V4,
//                             std::make_unique<Seen>());
//   ... at DATAGRAM_DATA:
//   if (Seen *seen = FlowContext<Seen>::of(question)) seen->bytes += ...;
//
// All contexts of one callout are of one type T. Safe to call from any thread.
template <typename T>
class FlowContext {
public:
    // What the Callout is given as its FlowDelete. `before` sees the object for the last time; what
    // it throws is dropped.
    static Callout::FlowDelete deleter(std::function<void(T &)> before = {}) {
        return [before = std::move(before)](UINT16, UINT32, UINT64 context) {
            const std::unique_ptr<T> value(pointer(context));
            if (value && before) before(*value);
        };
    }

    // Gives `value`, not null, to the flow: later classifies of this callout at `layer` find it.
    // Throws Error, and deletes the value, with the statuses of FwpsFlowAssociateContext0:
    // STATUS_INVALID_PARAMETER (null, or the callout has no FlowDelete), STATUS_OBJECT_NAME_EXISTS
    // (this callout has one there already), STATUS_NOT_FOUND (no such flow), ...
    static void attach(const Callout &callout, UINT64 flow, UINT16 layer,
                       std::unique_ptr<T> value) {
        CalloutState &state = *callout.state_;
        const UINT64 context = number(value.get());
        state.contexts.add(context, {flow, layer}); // before: the flow may end at once
        const NTSTATUS status = FwpsFlowAssociateContext0(flow, layer, callout.id(), context);
        if (status != STATUS_SUCCESS) { // NT_SUCCESS() also calls OBJECT_NAME_EXISTS a success
            state.contexts.erase(context);
            throw Error(status, "FwpsFlowAssociateContext0");
        }
        (void)value.release();
    }

    // The object, for as long as the lambda that asks runs; null: the flow has none here.
    static T *of(const Classification &question) noexcept {
        return pointer(question.flow_context());
    }

    // Takes it off the flow. True: it is deleted. False: it will be, once the classify that looks
    // at it has returned. Throws Error where the flow has none (STATUS_UNSUCCESSFUL).
    static bool remove(const Callout &callout, UINT64 flow, UINT16 layer) {
        const NTSTATUS status = FwpsFlowRemoveContext0(flow, layer, callout.id());
        if (status == STATUS_PENDING) return false;
        check(status, "FwpsFlowRemoveContext0");
        return true;
    }

private:
    static UINT64 number(T *value) noexcept { return reinterpret_cast<ULONG_PTR>(value); }
    static T *pointer(UINT64 context) noexcept {
        return reinterpret_cast<T *>(static_cast<ULONG_PTR>(context));
    }
};

} // namespace sluice
