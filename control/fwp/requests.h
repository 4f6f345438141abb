// SPDX-License-Identifier: Apache-2.0
// What the functions of one kind of object have in common: add, delete, get, enumerate, subscribe.
#pragma once

#include "fwp/convert.h"
#include "fwp/enumerations.h"
#include "fwp/instance.h"

namespace sluice::fwp {

inline Result<protocol::Reply> request(HANDLE session, const runtime::Sessions::Fill &fill) {
    return engine().sessions().request(session, fill);
}
// A request whose only outcome is its status.
inline NTSTATUS ask(HANDLE session, const runtime::Sessions::Fill &fill) {
    auto reply = request(session, fill);
    return reply ? STATUS_SUCCESS : status_of(reply.error());
}

// `body`: the request's part to which the converted object goes. Its session is filled in here.
template <typename Message, typename Struct, typename Body, typename Done>
NTSTATUS add(HANDLE session, const Struct *object, PSECURITY_DESCRIPTOR sd, Body body, Done done) {
    return guarded([&] {
        if (!object) return STATUS_FWP_NULL_POINTER;
        if (sd) return STATUS_NOT_SUPPORTED;
        Message message;
        if (auto good = to_message(*object, message); !good) return status_of(good.error());
        auto reply = request(session, [&](protocol::Request &r, std::uint64_t id) {
            auto *part = body(r);
            *part = message;
            part->set_session(id);
        });
        if (!reply) return status_of(reply.error());
        done(message, *reply);
        return STATUS_SUCCESS;
    });
}

struct Name { // of an object: a key, or a run-time id
    const GUID *key = nullptr;
    std::uint64_t id = 0;
};

template <typename Part>
void put(Part &part, std::uint64_t session, protocol::ObjectKind kind, const Name &name) {
    part.set_session(session);
    part.set_kind(kind);
    if (name.key)
        part.set_key(runtime::guid_of(*name.key).bytes());
    else
        part.set_id(name.id);
}

NTSTATUS delete_object(HANDLE session, protocol::ObjectKind kind, const Name &name);
inline NTSTATUS delete_by_key(HANDLE session, protocol::ObjectKind kind, const GUID *key) {
    return key ? delete_object(session, kind, {key}) : STATUS_FWP_NULL_POINTER;
}

// `list`: where the answer's objects of the kind stand.
template <typename Struct, typename List>
NTSTATUS get(HANDLE session, protocol::ObjectKind kind, const Name &name, Struct **out, List list) {
    return guarded([&] {
        if (!out) return STATUS_FWP_NULL_POINTER;
        auto reply = request(session, [&](protocol::Request &r, std::uint64_t id) {
            put(*r.mutable_object_get(), id, kind, name);
        });
        if (!reply) return status_of(reply.error());
        const auto &found = list(reply->objects());
        if (found.empty()) return STATUS_UNSUCCESSFUL; // an answer that answers nothing
        *out = copy_out<Struct>(found.Get(0));
        return STATUS_SUCCESS;
    });
}
template <typename Struct, typename List>
NTSTATUS get_by_key(HANDLE session, protocol::ObjectKind kind, const GUID *key, Struct **out,
                    List list) {
    return key ? get(session, kind, {key}, out, list) : STATUS_FWP_NULL_POINTER;
}

using EnumKind = Enumerations::Kind;

// Takes the snapshot: `list` is moved out of the reply.
template <typename List>
NTSTATUS begin_enum(HANDLE session, EnumKind kind, HANDLE *out, List list,
                    const runtime::Sessions::Fill &fill) {
    auto reply = request(session, fill);
    if (!reply) return status_of(reply.error());
    auto objects = std::make_shared<std::decay_t<decltype(*list(*reply))>>();
    objects->Swap(list(*reply));
    const auto count = static_cast<std::size_t>(objects->size());
    *out = enumerations().add(session, kind, std::move(objects), count);
    return STATUS_SUCCESS;
}

template <typename Template, typename List>
NTSTATUS begin_enum(HANDLE session, EnumKind kind, protocol::ObjectKind object,
                    const Template *limits, HANDLE *out, List list) {
    return guarded([&] {
        if (!out) return STATUS_FWP_NULL_POINTER;
        protocol::ObjectEnum message;
        message.set_kind(object);
        if (limits)
            if (auto good = to_message(*limits, message); !good) return status_of(good.error());
        return begin_enum(
            session, kind, out, [&](protocol::Reply &r) { return list(*r.mutable_objects()); },
            [&](protocol::Request &r, std::uint64_t id) {
                *r.mutable_object_enum() = message;
                r.mutable_object_enum()->set_session(id);
            });
    });
}

template <typename Message, typename Struct>
NTSTATUS next_page(HANDLE session, EnumKind kind, HANDLE handle, UINT32 wanted, Struct ***entries,
                   UINT32 *returned) {
    return guarded([&] {
        if (!entries || !returned) return STATUS_FWP_NULL_POINTER;
        if (!engine().sessions().known(session)) return STATUS_INVALID_HANDLE;
        using List = google::protobuf::RepeatedPtrField<Message>;
        return enumerations().page<Struct, List>(
            session, handle, kind, wanted, entries, returned,
            [](runtime::Arena &arena, const List &list, std::size_t i) {
                return make<Struct>(arena, list.Get(static_cast<int>(i)));
            });
    });
}

inline NTSTATUS end_enum(HANDLE session, EnumKind kind, HANDLE handle) {
    return guarded([&] { return enumerations().remove(session, handle, kind); });
}

} // namespace sluice::fwp
