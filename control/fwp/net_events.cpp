// SPDX-License-Identifier: Apache-2.0
#include "fwp/net_event_filter.h"
#include "fwp/subscribing.h"

using namespace sluice;
using fwp::EnumKind;
using fwp::Subscribed;

namespace {

template <typename Event, typename Callback>
NTSTATUS subscribe_events(HANDLE engine, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                          Callback callback, VOID *context, HANDLE *handle) {
    return fwp::guarded([&] {
        if (!subscription || !callback || !handle) return STATUS_FWP_NULL_POINTER;
        if (subscription->flags != 0) return STATUS_FWP_INVALID_FLAGS;
        auto filter = fwp::NetEventFilter::make(subscription->enumTemplate);
        if (!filter) return fwp::status_of(filter.error());
        protocol::Subscribe message;
        message.set_net_events(true);
        auto made = fwp::engine().subscriptions().add(
            engine, Subscribed::net_event, std::move(message),
            [=, filter = *std::move(filter)](const protocol::Notice &notice) {
                if (!filter.admits(notice.net_event())) return;
                runtime::Arena arena;
                callback(context, fwp::make<Event>(arena, notice.net_event()));
            });
        if (!made) return fwp::status_of(made.error());
        *handle = *made;
        return STATUS_SUCCESS;
    });
}

NTSTATUS begin_events(HANDLE engine, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *limits, HANDLE *handle) {
    auto filter = fwp::NetEventFilter::make(limits);
    if (!filter) return fwp::status_of(filter.error());
    const std::uint64_t from = limits ? fwp::from_filetime(limits->startTime) : 0;
    const std::uint64_t to = limits ? fwp::from_filetime(limits->endTime) : 0;
    if (to != 0 && from > to) return STATUS_FWP_INVALID_INTERVAL;
    return fwp::begin_enum(
        engine, EnumKind::net_event, handle,
        [&](protocol::Reply &reply) {
            auto *events = reply.mutable_net_events()->mutable_events();
            const auto unwanted = std::remove_if(events->begin(), events->end(),
                                                 [&](auto &e) { return !filter->admits(e); });
            events->erase(unwanted, events->end());
            return events;
        },
        [&](protocol::Request &r, std::uint64_t session) {
            r.mutable_net_event_enum()->set_session(session);
            r.mutable_net_event_enum()->set_from_ns(from);
            r.mutable_net_event_enum()->set_to_ns(to);
        });
}

} // namespace

NTSTATUS FwpmNetEventCreateEnumHandle0(HANDLE engine, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *limits,
                                       HANDLE *handle) {
    return fwp::guarded(
        [&] { return handle ? begin_events(engine, limits, handle) : STATUS_FWP_NULL_POINTER; });
}
NTSTATUS FwpmNetEventDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::net_event, handle);
}
NTSTATUS FwpmNetEventUnsubscribe0(HANDLE engine, HANDLE handle) {
    return fwp::unsubscribe(engine, Subscribed::net_event, handle);
}
NTSTATUS FwpmNetEventSubscriptionsGet0(HANDLE engine, FWPM_NET_EVENT_SUBSCRIPTION0 ***entries,
                                       UINT32 *count) {
    return fwp::list_subscriptions(engine, Subscribed::net_event, entries, count);
}

NTSTATUS FwpmNetEventEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_NET_EVENT0 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::NetEvent>(engine, EnumKind::net_event, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmNetEventEnum1(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_NET_EVENT1 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::NetEvent>(engine, EnumKind::net_event, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmNetEventEnum2(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_NET_EVENT2 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::NetEvent>(engine, EnumKind::net_event, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmNetEventEnum3(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_NET_EVENT3 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::NetEvent>(engine, EnumKind::net_event, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmNetEventEnum4(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_NET_EVENT4 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::NetEvent>(engine, EnumKind::net_event, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmNetEventEnum5(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_NET_EVENT5 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::NetEvent>(engine, EnumKind::net_event, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmNetEventSubscribe0(HANDLE engine, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                FWPM_NET_EVENT_CALLBACK0 callback, VOID *context, HANDLE *handle) {
    return subscribe_events<FWPM_NET_EVENT1>(engine, subscription, callback, context, handle);
}
NTSTATUS FwpmNetEventSubscribe1(HANDLE engine, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                FWPM_NET_EVENT_CALLBACK1 callback, VOID *context, HANDLE *handle) {
    return subscribe_events<FWPM_NET_EVENT2>(engine, subscription, callback, context, handle);
}
NTSTATUS FwpmNetEventSubscribe2(HANDLE engine, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                FWPM_NET_EVENT_CALLBACK2 callback, VOID *context, HANDLE *handle) {
    return subscribe_events<FWPM_NET_EVENT3>(engine, subscription, callback, context, handle);
}
NTSTATUS FwpmNetEventSubscribe3(HANDLE engine, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                FWPM_NET_EVENT_CALLBACK3 callback, VOID *context, HANDLE *handle) {
    return subscribe_events<FWPM_NET_EVENT4>(engine, subscription, callback, context, handle);
}
NTSTATUS FwpmNetEventSubscribe4(HANDLE engine, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                FWPM_NET_EVENT_CALLBACK4 callback, VOID *context, HANDLE *handle) {
    return subscribe_events<FWPM_NET_EVENT5>(engine, subscription, callback, context, handle);
}
