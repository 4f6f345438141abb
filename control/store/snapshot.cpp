// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot.h"

#include "store/wire.h"

namespace sluice::store {

void write_policy(const policy::Policy &policy, State &state) {
    state.set_generation(policy.generation);
    state.set_next_filter_id(policy.next_filter_id);
    state.set_next_callout_id(policy.next_callout_id);
    for (const auto &[key, object] : policy.sublayers) {
        auto *r = state.add_sublayers();
        *r->mutable_object() = to_message(object);
        r->set_owner(object.owner);
    }
    for (const auto &[key, object] : policy.callouts) {
        auto *r = state.add_callouts();
        *r->mutable_object() = to_message(object);
        r->set_owner(object.owner);
        r->set_id(object.id);
    }
    for (const auto &[id, object] : policy.filters) {
        auto *r = state.add_filters();
        *r->mutable_object() = to_message(object);
        r->set_owner(object.owner);
    }
    for (const auto &[key, id] : policy.callout_ids) {
        auto *r = state.add_callout_ids();
        r->set_key(key.bytes());
        r->set_id(id);
    }
}

Result<policy::Policy> read_policy(const State &state) {
    policy::Policy policy;
    policy.generation = state.generation();
    policy.next_filter_id = state.next_filter_id();
    policy.next_callout_id = state.next_callout_id();
    for (const auto &r : state.sublayers()) {
        auto object = from_message(r.object());
        if (!object) return object.error();
        object->owner = r.owner();
        policy.sublayers[object->key] = std::move(*object);
    }
    for (const auto &r : state.callouts()) {
        auto object = from_message(r.object());
        if (!object) return object.error();
        object->owner = r.owner();
        object->id = r.id();
        policy.callouts[object->key] = std::move(*object);
    }
    for (const auto &r : state.filters()) {
        auto object = from_message(r.object());
        if (!object) return object.error();
        object->owner = r.owner();
        policy.filters[object->id] = std::move(*object);
    }
    for (const auto &r : state.callout_ids()) {
        auto key = Guid::from_bytes(r.key());
        if (!key) return Error(EBADMSG, "callout key in the state is not a GUID");
        policy.callout_ids[*key] = r.id();
    }
    return policy;
}

} // namespace sluice::store
