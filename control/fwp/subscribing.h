// SPDX-License-Identifier: Apache-2.0
// What subscriptions to changes and to net events have in common.
#pragma once

#include "fwp/requests.h"

namespace sluice::fwp {

using Subscribed = runtime::Subscriptions::Kind;

inline NTSTATUS unsubscribe(HANDLE session, Subscribed kind, HANDLE handle) {
    return guarded([&] { return engine().subscriptions().remove(session, kind, handle); });
}

// The template is not handed out again: what it limits is in it only as a message.
template <typename Subscription>
NTSTATUS list_subscriptions(HANDLE session, Subscribed kind, Subscription ***entries,
                            UINT32 *count) {
    return guarded([&] {
        if (!entries || !count) return STATUS_FWP_NULL_POINTER;
        if (!engine().sessions().known(session)) return STATUS_INVALID_HANDLE;
        const auto found = engine().subscriptions().list(kind);
        Subscription **made = nullptr;
        if (!found.empty())
            made = static_cast<Subscription **>(runtime::one_allocation([&](runtime::Arena &arena) {
                auto **array = arena.make<Subscription *>(found.size());
                for (const auto &one : found) {
                    *array = arena.make<Subscription>();
                    (*array)->flags = one.request.flags();
                    (*array++)->sessionKey = runtime::to_guid(one.session_key.bytes());
                }
            }));
        *entries = made;
        *count = static_cast<UINT32>(found.size());
        return STATUS_SUCCESS;
    });
}

} // namespace sluice::fwp
