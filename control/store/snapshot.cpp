// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot.h"

#include <algorithm>
#include <cerrno>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include "policy/edit.h"
#include "store/contents.h"
#include "store/wire.h"

namespace sluice::store {

namespace {

using Format = google::protobuf::internal::WireFormatLite;

template <typename Object>
bool belongs(const Object &object) {
    return !lasting(object) && policy::lifetime(object) != policy::Lifetime::built_in;
}

// Each object that belongs here becomes a record made by `add`.
template <typename Objects, typename Add>
void write_all(const Objects &objects, Add add) {
    for (const auto &[ignored, object] : objects) {
        if (!belongs(object)) continue;
        auto *record = add();
        *record->mutable_object() = to_message(object);
        record->set_owner(object.owner);
    }
}

template <typename Records, typename Keep>
Result<void> read_all(const Records &records, Keep keep) {
    for (const auto &record : records) {
        auto object = from_message(record.object());
        if (!object) return object.error();
        object->owner = record.owner();
        keep(std::move(*object), record);
    }
    return {};
}

template <typename Object>
auto by_key(std::map<Guid, Object> &objects) {
    return [&objects](Object object, const auto &) { objects[object.key] = std::move(object); };
}

} // namespace

void write_policy(const policy::Policy &policy, State &state) {
    write_all_but_filters(policy, state);
    write_all(policy.filters, [&] { return state.add_filters(); });
}

void append_filters(const policy::Filters &old, const policy::Filters &now, std::string &state) {
    FilterRecord record;
    google::protobuf::io::StringOutputStream stream(&state);
    google::protobuf::io::CodedOutputStream out(&stream);
    policy::Filters::compare(
        old, now,
        [&](const policy::Filter &filter) {
            if (!belongs(filter)) return;
            Format::WriteUInt64(State::kFiltersGoneFieldNumber, filter.id, &out);
        },
        [&](const policy::Filter &filter) {
            if (!belongs(filter)) return;
            write_message(filter, *record.mutable_object());
            record.set_owner(filter.owner);
            (void)record.ByteSizeLong(); // which WriteMessage takes for known
            Format::WriteMessage(State::kFiltersFieldNumber, record, &out);
        });
}

void append_before(const std::string &before, std::string &state) {
    google::protobuf::io::StringOutputStream stream(&state);
    google::protobuf::io::CodedOutputStream out(&stream);
    Format::WriteBytes(State::kBeforeFieldNumber, before, &out);
}

void write_all_but_filters(const policy::Policy &policy, State &state) {
    state.set_generation(policy.generation);
    state.set_next_filter_id(policy.next_filter_id);
    state.set_next_callout_id(policy.next_callout_id);
    state.set_next_provider_context_id(policy.next_provider_context_id);
    write_all(policy.providers, [&] { return state.add_providers(); });
    write_all(policy.provider_contexts, [&] { return state.add_provider_contexts(); });
    write_all(policy.sublayers, [&] { return state.add_sublayers(); });
    for (const auto &[key, object] : policy.callouts) {
        if (!belongs(object)) continue;
        auto *r = state.add_callouts();
        *r->mutable_object() = to_message(object);
        r->set_owner(object.owner);
        r->set_id(object.id);
    }
    for (const auto &[key, id] : policy.callout_ids) {
        auto *r = state.add_callout_ids();
        r->set_key(key.bytes());
        r->set_id(id);
    }
}

Result<policy::Policy> read_policy(const State &state) {
    policy::Policy policy = policy::initial();
    policy.generation = state.generation();
    // A state that never said a number says 0; numbers begin at 1.
    policy.next_filter_id = std::max<std::uint64_t>(1, state.next_filter_id());
    policy.next_callout_id = std::max<std::uint32_t>(1, state.next_callout_id());
    policy.next_provider_context_id = std::max<std::uint64_t>(1, state.next_provider_context_id());
    auto r = read_all(state.providers(), by_key(policy.providers));
    if (r) r = read_all(state.provider_contexts(), by_key(policy.provider_contexts));
    if (r) r = read_all(state.sublayers(), by_key(policy.sublayers));
    if (r)
        r = read_all(state.callouts(), [&](policy::Callout object, const CalloutRecord &record) {
            object.id = record.id();
            policy.callouts[object.key] = std::move(object);
        });
    if (r)
        r = read_all(state.filters(), [&](policy::Filter object, const FilterRecord &) {
            const std::uint64_t id = object.id;
            policy.filters.insert_or_assign(id, std::move(object));
        });
    if (!r) return r.error();
    for (const auto &record : state.callout_ids()) {
        auto key = Guid::from_bytes(record.key());
        if (!key) return Error(EBADMSG, "callout key in the state is not a GUID");
        policy.callout_ids[*key] = record.id();
    }
    return policy;
}

} // namespace sluice::store
