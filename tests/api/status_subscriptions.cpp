// SPDX-License-Identifier: Apache-2.0
// Subscriptions to changes and net events.
#include <gtest/gtest.h>

#include "status_world.h"

namespace sluice::test {

namespace {

template <typename Subscription, typename Callback>
struct Kind {
    const char *add_name, *end_name, *list_name;
    NTSTATUS (*add)(HANDLE, const Subscription *, Callback, VOID *, HANDLE *);
    NTSTATUS (*end)(HANDLE, HANDLE);
    NTSTATUS (*list)(HANDLE, Subscription ***, UINT32 *);
    Callback callback;
    UINT32 flags; // known ones

    NTSTATUS added(HANDLE session, const Change<Subscription> &change = {},
                   HANDLE *made = nullptr) const {
        Subscription wanted{};
        wanted.flags = flags;
        if (change) change(wanted);
        HANDLE handle = nullptr;
        const NTSTATUS status = add(session, &wanted, callback, nullptr, &handle);
        EXPECT_EQ(handle != nullptr, status == STATUS_SUCCESS);
        if (made) *made = handle;
        return status;
    }
};

template <typename Subscription, typename Callback>
void end_rows(const Kind<Subscription, Callback> &k) {
    row(k.end_name, STATUS(STATUS_SUCCESS), [=] {
        const HANDLE s = world().open();
        HANDLE handle = nullptr;
        EXPECT_EQ(k.added(s, {}, &handle), STATUS_SUCCESS);
        return k.end(s, handle);
    });
    row(k.end_name, STATUS(STATUS_INVALID_HANDLE), [=] {
        const HANDLE s = world().open();
        HANDLE handle = nullptr;
        EXPECT_EQ(k.added(s, {}, &handle), STATUS_SUCCESS);
        EXPECT_EQ(k.end(nullptr, handle), STATUS_INVALID_HANDLE);
        EXPECT_EQ(k.end(world().open(), handle), STATUS_INVALID_HANDLE);
        EXPECT_EQ(FwpmBfeStateUnsubscribeChanges0(handle), STATUS_INVALID_HANDLE);
        EXPECT_EQ(k.end(s, handle), STATUS_SUCCESS);
        return k.end(s, handle);
    });
}

template <typename Subscription, typename Callback>
void list_rows(const Kind<Subscription, Callback> &k) {
    typical(k.list_name, local, [=](HANDLE s, const Given &given) {
        Subscription **entries = nullptr;
        UINT32 count = 77;
        EXPECT_EQ(k.added(given.session), STATUS_SUCCESS);
        const NTSTATUS status = k.list(s, &entries, &count);
        EXPECT_EQ(entries != nullptr, status == STATUS_SUCCESS);
        if (entries) {
            EXPECT_EQ(count, 1u);
            EXPECT_EQ(entries[0]->flags, k.flags);
            EXPECT_TRUE(entries[0]->sessionKey != GUID{});
        }
        FwpmFreeMemory0(reinterpret_cast<void **>(&entries));
        if (status == STATUS_SUCCESS) { // and with it ends the subscription
            EXPECT_EQ(FwpmEngineClose0(given.session), STATUS_SUCCESS);
        }
        return status;
    });
    row(k.list_name, STATUS(STATUS_FWP_NULL_POINTER), [=] {
        UINT32 count = 0;
        EXPECT_EQ(k.list(world().open(), nullptr, &count), STATUS_FWP_NULL_POINTER);
        Subscription **entries = nullptr;
        return k.list(world().open(), &entries, nullptr);
    });
}

template <typename Subscription, typename Callback>
void add_rows(const Kind<Subscription, Callback> &k) {
    typical(k.add_name, asks, [=](HANDLE s, const Given &) { return k.added(s); });
    row(k.add_name, STATUS(STATUS_FWP_NULL_POINTER), [=] {
        const HANDLE s = world().open();
        Subscription wanted{};
        HANDLE handle = nullptr;
        EXPECT_EQ(k.add(s, nullptr, k.callback, nullptr, &handle), STATUS_FWP_NULL_POINTER);
        EXPECT_EQ(k.add(s, &wanted, nullptr, nullptr, &handle), STATUS_FWP_NULL_POINTER);
        EXPECT_EQ(handle, nullptr);
        return k.add(s, &wanted, k.callback, nullptr, nullptr);
    });
    row(k.add_name, STATUS(STATUS_FWP_INVALID_FLAGS),
        [=] { return k.added(world().open(), [](auto &w) { w.flags = 4; }); });
    decided(
        k.add_name, STATUS(STATUS_FWP_TXN_IN_PROGRESS),
        [](HANDLE s) { return FwpmTransactionBegin0(s, 0); }, [=](HANDLE s) { return k.added(s); });
}

template <typename Subscription, typename Callback>
void kind_rows(const Kind<Subscription, Callback> &k) {
    add_rows(k);
    end_rows(k);
    list_rows(k);
}

constexpr UINT32 both =
    FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE;
#define CHANGES(kind, Kind_)                                                                       \
    Kind<FWPM_##kind##_SUBSCRIPTION0, FWPM_##kind##_CHANGE_CALLBACK0> {                            \
        "Fwpm" #Kind_ "SubscribeChanges0", "Fwpm" #Kind_ "UnsubscribeChanges0",                    \
            "Fwpm" #Kind_ "SubscriptionsGet0", Fwpm##Kind_##SubscribeChanges0,                     \
            Fwpm##Kind_##UnsubscribeChanges0, Fwpm##Kind_##SubscriptionsGet0,                      \
            [](VOID *, const FWPM_##kind##_CHANGE0 *) {}, both                                     \
    }
#define EVENTS(version, shown)                                                                     \
    Kind<FWPM_NET_EVENT_SUBSCRIPTION0, FWPM_NET_EVENT_CALLBACK##version> {                         \
        "FwpmNetEventSubscribe" #version, "FwpmNetEventUnsubscribe0",                              \
            "FwpmNetEventSubscriptionsGet0", FwpmNetEventSubscribe##version,                       \
            FwpmNetEventUnsubscribe0, FwpmNetEventSubscriptionsGet0,                               \
            [](VOID *, const FWPM_NET_EVENT##shown *) {}, 0                                        \
    }

template <typename Callback>
void event_rows(const Kind<FWPM_NET_EVENT_SUBSCRIPTION0, Callback> &k) {
    add_rows(k);
    const auto refused = [=](Status s, void (*change)(FWPM_FILTER_CONDITION0 &)) {
        row(k.add_name, s, [=] {
            FWPM_FILTER_CONDITION0 condition{};
            condition.fieldKey = FWPM_CONDITION_IP_PROTOCOL;
            condition.conditionValue.type = FWP_UINT8;
            change(condition);
            FWPM_NET_EVENT_ENUM_TEMPLATE0 limits{{}, {}, 1, &condition};
            return k.added(world().open(), [&](auto &w) { w.enumTemplate = &limits; });
        });
    };
    refused(STATUS(STATUS_FWP_CONDITION_NOT_FOUND), [](auto &c) { c.fieldKey = no_key; });
    refused(STATUS(STATUS_FWP_INVALID_ENUMERATOR),
            [](auto &c) { c.matchType = FWP_MATCH_TYPE_MAX; });
    refused(STATUS(STATUS_FWP_TYPE_MISMATCH), [](auto &c) { c.conditionValue.type = FWP_UINT16; });
    refused(STATUS(STATUS_FWP_MATCH_TYPE_MISMATCH),
            [](auto &c) { c.matchType = FWP_MATCH_PREFIX; });
}

} // namespace

void subscription_rows() {
    kind_rows(CHANGES(PROVIDER, Provider));
    kind_rows(CHANGES(PROVIDER_CONTEXT, ProviderContext));
    kind_rows(CHANGES(SUBLAYER, SubLayer));
    kind_rows(CHANGES(CALLOUT, Callout));
    kind_rows(CHANGES(FILTER, Filter));
    row("FwpmFilterSubscribeChanges0", STATUS(STATUS_FWP_INVALID_ENUMERATOR), [] {
        FWPM_FILTER_ENUM_TEMPLATE0 limits{};
        limits.enumType = FWP_FILTER_ENUM_TYPE_MAX;
        return CHANGES(FILTER, Filter).added(world().open(), [&](auto &w) {
            w.enumTemplate = &limits;
        });
    });
    row("FwpmProviderContextSubscribeChanges0", STATUS(STATUS_FWP_INVALID_ENUMERATOR), [] {
        FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 limits{nullptr, FWPM_PROVIDER_CONTEXT_TYPE_MAX};
        return CHANGES(PROVIDER_CONTEXT, ProviderContext).added(world().open(), [&](auto &w) {
            w.enumTemplate = &limits;
        });
    });
    event_rows(EVENTS(0, 1));
    event_rows(EVENTS(1, 2));
    event_rows(EVENTS(2, 3));
    event_rows(EVENTS(3, 4));
    event_rows(EVENTS(4, 5));
    end_rows(EVENTS(0, 1));
    list_rows(EVENTS(0, 1));
}

} // namespace sluice::test
