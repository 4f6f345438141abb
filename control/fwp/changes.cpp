// SPDX-License-Identifier: Apache-2.0
#include "fwp/subscribing.h"

using namespace sluice;
using fwp::Subscribed;

namespace {

constexpr UINT32 subscription_flags =
    FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE;

FWPM_CHANGE_TYPE type_of(const protocol::Change &change) {
    return static_cast<FWPM_CHANGE_TYPE>(change.type());
}

// `change`: what the callback is shown.
template <typename Subscription, typename Callback, typename Change>
NTSTATUS subscribe(HANDLE engine, Subscribed kind, protocol::ObjectKind object,
                   const Subscription *subscription, Callback callback, VOID *context,
                   HANDLE *handle, Change change) {
    return fwp::guarded([&] {
        if (!subscription || !callback || !handle) return STATUS_FWP_NULL_POINTER;
        if (subscription->flags & ~subscription_flags) return STATUS_FWP_INVALID_FLAGS;
        protocol::Subscribe message;
        message.set_kind(object);
        message.set_flags(subscription->flags);
        message.mutable_filter()->set_kind(object);
        if (subscription->enumTemplate) {
            auto good = fwp::to_message(*subscription->enumTemplate, *message.mutable_filter());
            if (!good) return fwp::status_of(good.error());
        }
        auto made = fwp::engine().subscriptions().add(
            engine, kind, std::move(message), [=](const protocol::Notice &notice) {
                const auto shown = change(notice.change());
                callback(context, &shown);
            });
        if (!made) return fwp::status_of(made.error());
        *handle = *made;
        return STATUS_SUCCESS;
    });
}

} // namespace

NTSTATUS FwpmProviderSubscribeChanges0(HANDLE engine,
                                       const FWPM_PROVIDER_SUBSCRIPTION0 *subscription,
                                       FWPM_PROVIDER_CHANGE_CALLBACK0 callback, VOID *context,
                                       HANDLE *handle) {
    return subscribe(engine, Subscribed::provider, protocol::PROVIDER, subscription, callback,
                     context, handle, [](const protocol::Change &c) {
                         return FWPM_PROVIDER_CHANGE0{type_of(c), runtime::to_guid(c.key())};
                     });
}
NTSTATUS FwpmProviderUnsubscribeChanges0(HANDLE engine, HANDLE handle) {
    return fwp::unsubscribe(engine, Subscribed::provider, handle);
}
NTSTATUS FwpmProviderSubscriptionsGet0(HANDLE engine, FWPM_PROVIDER_SUBSCRIPTION0 ***entries,
                                       UINT32 *count) {
    return fwp::list_subscriptions(engine, Subscribed::provider, entries, count);
}

NTSTATUS FwpmProviderContextSubscribeChanges0(
    HANDLE engine, const FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0 *subscription,
    FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0 callback, VOID *context, HANDLE *handle) {
    return subscribe(
        engine, Subscribed::provider_context, protocol::PROVIDER_CONTEXT, subscription, callback,
        context, handle, [](const protocol::Change &c) {
            return FWPM_PROVIDER_CONTEXT_CHANGE0{type_of(c), runtime::to_guid(c.key()), c.id()};
        });
}
NTSTATUS FwpmProviderContextUnsubscribeChanges0(HANDLE engine, HANDLE handle) {
    return fwp::unsubscribe(engine, Subscribed::provider_context, handle);
}
NTSTATUS FwpmProviderContextSubscriptionsGet0(HANDLE engine,
                                              FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0 ***entries,
                                              UINT32 *count) {
    return fwp::list_subscriptions(engine, Subscribed::provider_context, entries, count);
}

NTSTATUS FwpmSubLayerSubscribeChanges0(HANDLE engine,
                                       const FWPM_SUBLAYER_SUBSCRIPTION0 *subscription,
                                       FWPM_SUBLAYER_CHANGE_CALLBACK0 callback, VOID *context,
                                       HANDLE *handle) {
    return subscribe(engine, Subscribed::sublayer, protocol::SUBLAYER, subscription, callback,
                     context, handle, [](const protocol::Change &c) {
                         return FWPM_SUBLAYER_CHANGE0{type_of(c), runtime::to_guid(c.key())};
                     });
}
NTSTATUS FwpmSubLayerUnsubscribeChanges0(HANDLE engine, HANDLE handle) {
    return fwp::unsubscribe(engine, Subscribed::sublayer, handle);
}
NTSTATUS FwpmSubLayerSubscriptionsGet0(HANDLE engine, FWPM_SUBLAYER_SUBSCRIPTION0 ***entries,
                                       UINT32 *count) {
    return fwp::list_subscriptions(engine, Subscribed::sublayer, entries, count);
}

NTSTATUS FwpmCalloutSubscribeChanges0(HANDLE engine, const FWPM_CALLOUT_SUBSCRIPTION0 *subscription,
                                      FWPM_CALLOUT_CHANGE_CALLBACK0 callback, VOID *context,
                                      HANDLE *handle) {
    return subscribe(engine, Subscribed::callout, protocol::CALLOUT, subscription, callback,
                     context, handle, [](const protocol::Change &c) {
                         return FWPM_CALLOUT_CHANGE0{
                             type_of(c), runtime::to_guid(c.key()),
                             fwp::engine().callout_id(Guid::from_bytes(c.key()).value_or(Guid{}))};
                     });
}
NTSTATUS FwpmCalloutUnsubscribeChanges0(HANDLE engine, HANDLE handle) {
    return fwp::unsubscribe(engine, Subscribed::callout, handle);
}
NTSTATUS FwpmCalloutSubscriptionsGet0(HANDLE engine, FWPM_CALLOUT_SUBSCRIPTION0 ***entries,
                                      UINT32 *count) {
    return fwp::list_subscriptions(engine, Subscribed::callout, entries, count);
}

NTSTATUS FwpmFilterSubscribeChanges0(HANDLE engine, const FWPM_FILTER_SUBSCRIPTION0 *subscription,
                                     FWPM_FILTER_CHANGE_CALLBACK0 callback, VOID *context,
                                     HANDLE *handle) {
    return subscribe(engine, Subscribed::filter, protocol::FILTER, subscription, callback, context,
                     handle, [](const protocol::Change &c) {
                         return FWPM_FILTER_CHANGE0{type_of(c), runtime::to_guid(c.key()), c.id()};
                     });
}
NTSTATUS FwpmFilterUnsubscribeChanges0(HANDLE engine, HANDLE handle) {
    return fwp::unsubscribe(engine, Subscribed::filter, handle);
}
NTSTATUS FwpmFilterSubscriptionsGet0(HANDLE engine, FWPM_FILTER_SUBSCRIPTION0 ***entries,
                                     UINT32 *count) {
    return fwp::list_subscriptions(engine, Subscribed::filter, entries, count);
}
