// SPDX-License-Identifier: Apache-2.0
// Providers, provider contexts, sublayers and callouts: add, delete, get.
#include <cstring>

#include <gtest/gtest.h>

#include "status_world.h"

namespace sluice::test {

namespace {

// What every add refuses alike. `Struct` has flags, displayData and providerData.
template <typename Struct, typename Add, typename Direct>
void adding(const char *function, Add add, Direct direct) {
    typical(function, asks | changes, [=](HANDLE s, const Given &) { return add(s, {}); });
    const auto changed = [=](void (*change)(Struct &)) {
        return [=] { return add(world().open(), change); };
    };
    row(function, STATUS(STATUS_FWP_NULL_POINTER), [=] {
        EXPECT_EQ(add(world().open(), [](Struct &o) { o.providerData.size = 1; }),
                  STATUS_FWP_NULL_POINTER);
        return direct(nullptr, nullptr);
    });
    row(function, STATUS(STATUS_FWP_NULL_DISPLAY_NAME),
        changed([](Struct &o) { o.displayData.name = nullptr; }));
    row(function, STATUS(STATUS_FWP_INVALID_FLAGS),
        changed([](Struct &o) { o.flags = 0x40000000; }));
    row(function, STATUS(STATUS_NOT_SUPPORTED), [=] {
        Struct object{};
        int descriptor = 0;
        return direct(&object, &descriptor);
    });
}

template <typename Struct, typename Add>
void adding_named(const char *function, Add add, GUID Struct::*key, UINT32 persistent) {
    const auto same = [=](HANDLE s) { return add(s, [=](Struct &o) { o.*key = no_key; }); };
    decided(function, STATUS(STATUS_FWP_ALREADY_EXISTS), same, same);
    decided(function, STATUS(STATUS_FWP_LIFETIME_MISMATCH), {},
            [=](HANDLE s) { return add(s, [=](Struct &o) { o.flags = persistent; }); });
    if constexpr (requires(Struct o) { o.providerKey = static_cast<GUID *>(nullptr); })
        decided(function, STATUS(STATUS_FWP_PROVIDER_NOT_FOUND), {}, [=](HANDLE s) {
            GUID missing = no_key;
            return add(s, [&](Struct &o) { o.providerKey = &missing; });
        });
}

// ---- deleting ----

// The object belongs to another dynamic session, or to none.
void deleting(const char *function, const Typical &call) {
    typical(function, asks | changes, call);
    decided(function, STATUS(STATUS_FWP_WRONG_SESSION), {}, [=](HANDLE s) {
        world().refuse(STATUS_SUCCESS);
        const Given foreign(world().open());
        world().refuse(STATUS_FWP_WRONG_SESSION);
        return call(s, foreign);
    });
    row(function, STATUS(STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS), [=] {
        const HANDLE fixed = world().open(0);
        const Given kept(fixed);
        const HANDLE dynamic = world().open();
        world().refuse(STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
        const NTSTATUS status = call(dynamic, kept);
        world().refuse(STATUS_SUCCESS);
        EXPECT_EQ(FwpmFilterDeleteByKey0(fixed, &filter_key), STATUS_SUCCESS);
        EXPECT_EQ(FwpmCalloutDeleteByKey0(fixed, &callout_key), STATUS_SUCCESS);
        EXPECT_EQ(FwpmSubLayerDeleteByKey0(fixed, &sublayer_key), STATUS_SUCCESS);
        EXPECT_EQ(FwpmProviderContextDeleteByKey0(fixed, &context_key), STATUS_SUCCESS);
        EXPECT_EQ(FwpmProviderDeleteByKey0(fixed, &provider_key), STATUS_SUCCESS);
        return status;
    });
}

using ByKey = NTSTATUS (*)(HANDLE, const GUID *);
void deleting(const char *function, Status missing, const GUID &key, ByKey call) {
    deleting(function, [=](HANDLE s, const Given &) { return call(s, &key); });
    row(function, STATUS(STATUS_FWP_NULL_POINTER), [=] { return call(world().open(), nullptr); });
    decided(function, missing, {}, [=](HANDLE s) { return call(s, &no_key); });
}

// A filter that names every object.
NTSTATUS name_all(HANDLE s) {
    const Given given(s);
    GUID provider = provider_key;
    return add_filter(s, [&](FWPM_FILTER0 &f) {
        f.providerKey = &provider;
        f.subLayerKey = sublayer_key;
        f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
        f.action.calloutKey = callout_key;
        f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        f.providerContextKey = context_key;
    });
}
void in_use(const char *function, const Call &call) {
    decided(function, STATUS(STATUS_FWP_IN_USE), name_all, call);
}

// ---- getting ----

template <typename Struct, typename Get>
NTSTATUS got(Get get) {
    Struct *object = nullptr;
    const NTSTATUS status = get(&object);
    EXPECT_EQ(object != nullptr, status == STATUS_SUCCESS);
    FwpmFreeMemory0(reinterpret_cast<void **>(&object));
    EXPECT_EQ(object, nullptr);
    return status;
}

template <typename Struct>
void getting(const char *function, Status missing, const GUID &key,
             NTSTATUS (*get)(HANDLE, const GUID *, Struct **)) {
    const auto call = [=](HANDLE s, const GUID *which) {
        return got<Struct>([=](Struct **out) { return get(s, which, out); });
    };
    typical(function, asks, [=](HANDLE s, const Given &) { return call(s, &key); });
    decided(function, missing, {}, [=](HANDLE s) { return call(s, &no_key); });
    row(function, STATUS(STATUS_FWP_NULL_POINTER), [=] {
        EXPECT_EQ(get(world().open(), &key, nullptr), STATUS_FWP_NULL_POINTER);
        return call(world().open(), nullptr);
    });
}

template <typename Struct, typename Id>
void getting(const char *function, Status missing, Id Given::*which,
             NTSTATUS (*get)(HANDLE, Id, Struct **)) {
    const auto call = [=](HANDLE s, Id id) {
        return got<Struct>([=](Struct **out) { return get(s, id, out); });
    };
    typical(function, asks, [=](HANDLE s, const Given &g) { return call(s, g.*which); });
    decided(function, missing, {}, [=](HANDLE s) { return call(s, Id(0x7FFFFFFF)); });
    row(function, STATUS(STATUS_FWP_NULL_POINTER), [=] { return get(world().open(), 1, nullptr); });
}

// ---- kinds ----

void provider_rows() {
    const auto add = [](HANDLE s, const Change<FWPM_PROVIDER0> &c) { return add_provider(s, c); };
    adding<FWPM_PROVIDER0>("FwpmProviderAdd0", add, [](const FWPM_PROVIDER0 *p, void *sd) {
        return FwpmProviderAdd0(world().open(), p, sd);
    });
    adding_named("FwpmProviderAdd0", add, &FWPM_PROVIDER0::providerKey,
                 FWPM_PROVIDER_FLAG_PERSISTENT);
    deleting("FwpmProviderDeleteByKey0", STATUS(STATUS_FWP_PROVIDER_NOT_FOUND), provider_key,
             FwpmProviderDeleteByKey0);
    in_use("FwpmProviderDeleteByKey0",
           [](HANDLE s) { return FwpmProviderDeleteByKey0(s, &provider_key); });
    decided("FwpmProviderDeleteByKey0", STATUS(STATUS_FWP_BUILTIN_OBJECT), {},
            [](HANDLE s) { return FwpmProviderDeleteByKey0(s, &SLUICE_PROVIDER_POLICY_FILE); });
    getting("FwpmProviderGetByKey0", STATUS(STATUS_FWP_PROVIDER_NOT_FOUND), provider_key,
            FwpmProviderGetByKey0);
}

void sublayer_rows() {
    const auto add = [](HANDLE s, const Change<FWPM_SUBLAYER0> &c) { return add_sublayer(s, c); };
    adding<FWPM_SUBLAYER0>("FwpmSubLayerAdd0", add, [](const FWPM_SUBLAYER0 *l, void *sd) {
        return FwpmSubLayerAdd0(world().open(), l, sd);
    });
    adding_named("FwpmSubLayerAdd0", add, &FWPM_SUBLAYER0::subLayerKey,
                 FWPM_SUBLAYER_FLAG_PERSISTENT);
    decided(
        "FwpmSubLayerAdd0", STATUS(STATUS_FWP_TOO_MANY_SUBLAYERS), {},
        [](HANDLE s) { return add_sublayer(s); }, Where::fake_only);
    deleting("FwpmSubLayerDeleteByKey0", STATUS(STATUS_FWP_SUBLAYER_NOT_FOUND), sublayer_key,
             FwpmSubLayerDeleteByKey0);
    in_use("FwpmSubLayerDeleteByKey0",
           [](HANDLE s) { return FwpmSubLayerDeleteByKey0(s, &sublayer_key); });
    decided("FwpmSubLayerDeleteByKey0", STATUS(STATUS_FWP_BUILTIN_OBJECT), {},
            [](HANDLE s) { return FwpmSubLayerDeleteByKey0(s, &FWPM_SUBLAYER_UNIVERSAL); });
    getting("FwpmSubLayerGetByKey0", STATUS(STATUS_FWP_SUBLAYER_NOT_FOUND), sublayer_key,
            FwpmSubLayerGetByKey0);
}

void callout_rows() {
    const auto add = [](HANDLE s, const Change<FWPM_CALLOUT0> &c) { return add_callout(s, c); };
    adding<FWPM_CALLOUT0>("FwpmCalloutAdd0", add, [](const FWPM_CALLOUT0 *c, void *sd) {
        return FwpmCalloutAdd0(world().open(), c, sd, nullptr);
    });
    adding_named("FwpmCalloutAdd0", add, &FWPM_CALLOUT0::calloutKey, FWPM_CALLOUT_FLAG_PERSISTENT);
    decided("FwpmCalloutAdd0", STATUS(STATUS_FWP_LAYER_NOT_FOUND), {},
            [](HANDLE s) { return add_callout(s, [](auto &c) { c.applicableLayer = no_key; }); });
    decided(
        "FwpmCalloutAdd0", STATUS(STATUS_FWP_TOO_MANY_CALLOUTS), {},
        [](HANDLE s) { return add_callout(s); }, Where::fake_only);
    const Status missing = STATUS(STATUS_FWP_CALLOUT_NOT_FOUND);
    deleting("FwpmCalloutDeleteByKey0", missing, callout_key, FwpmCalloutDeleteByKey0);
    in_use("FwpmCalloutDeleteByKey0",
           [](HANDLE s) { return FwpmCalloutDeleteByKey0(s, &callout_key); });
    deleting("FwpmCalloutDeleteById0",
             [](HANDLE s, const Given &g) { return FwpmCalloutDeleteById0(s, g.callout); });
    in_use("FwpmCalloutDeleteById0", [](HANDLE s) {
        return FwpmCalloutDeleteById0(s, fwp::engine().callout_id(runtime::guid_of(callout_key)));
    });
    decided("FwpmCalloutDeleteById0", missing, {},
            [](HANDLE s) { return FwpmCalloutDeleteById0(s, 0x7FFFFFFF); });
    getting("FwpmCalloutGetByKey0", missing, callout_key, FwpmCalloutGetByKey0);
    getting("FwpmCalloutGetById0", missing, &Given::callout, FwpmCalloutGetById0);
}

// ---- provider contexts: four versions of one thing ----

template <typename Context>
void context_version(char version,
                     NTSTATUS (*add)(HANDLE, const Context *, PSECURITY_DESCRIPTOR, UINT64 *),
                     NTSTATUS (*by_key)(HANDLE, const GUID *, Context **),
                     NTSTATUS (*by_id)(HANDLE, UINT64, Context **)) {
    const auto name = [=](const char *begin) {
        return (new std::string(std::string(begin) + version))->c_str(); // a test's name, kept
    };
    const char *function = name("FwpmProviderContextAdd");
    using Zero = FWPM_PROVIDER_CONTEXT0;
    const auto adder = [=](HANDLE s, const Change<Zero> &change) {
        return add_context(s, change, reinterpret_cast<AddContext>(add));
    };
    adding<Zero>(function, adder, [=](const Zero *c, void *sd) {
        return add(world().open(), reinterpret_cast<const Context *>(c), sd, nullptr);
    });
    adding_named(function, adder, &Zero::providerContextKey, FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT);
    row(function, STATUS(STATUS_FWP_INVALID_ENUMERATOR), [=] {
        return adder(world().open(), [](Zero &c) { c.type = FWPM_PROVIDER_CONTEXT_TYPE_MAX; });
    });
    const Status missing = STATUS(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
    getting(name("FwpmProviderContextGetByKey"), missing, context_key, by_key);
    getting(name("FwpmProviderContextGetById"), missing, &Given::context, by_id);
}

void context_rows() {
    context_version('0', FwpmProviderContextAdd0, FwpmProviderContextGetByKey0,
                    FwpmProviderContextGetById0);
    context_version('1', FwpmProviderContextAdd1, FwpmProviderContextGetByKey1,
                    FwpmProviderContextGetById1);
    context_version('2', FwpmProviderContextAdd2, FwpmProviderContextGetByKey2,
                    FwpmProviderContextGetById2);
    context_version('3', FwpmProviderContextAdd3, FwpmProviderContextGetByKey3,
                    FwpmProviderContextGetById3);
    const Status missing = STATUS(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
    deleting("FwpmProviderContextDeleteByKey0", missing, context_key,
             FwpmProviderContextDeleteByKey0);
    in_use("FwpmProviderContextDeleteByKey0",
           [](HANDLE s) { return FwpmProviderContextDeleteByKey0(s, &context_key); });
    deleting("FwpmProviderContextDeleteById0",
             [](HANDLE s, const Given &g) { return FwpmProviderContextDeleteById0(s, g.context); });
    in_use("FwpmProviderContextDeleteById0", [](HANDLE s) {
        FWPM_PROVIDER_CONTEXT0 *context = nullptr;
        world().refuse(STATUS_SUCCESS);
        EXPECT_EQ(FwpmProviderContextGetByKey0(s, &context_key, &context), STATUS_SUCCESS);
        world().refuse(STATUS_FWP_IN_USE);
        const UINT64 id = context ? context->providerContextId : 0;
        FwpmFreeMemory0(reinterpret_cast<void **>(&context));
        return FwpmProviderContextDeleteById0(s, id);
    });
    decided("FwpmProviderContextDeleteById0", missing, {},
            [](HANDLE s) { return FwpmProviderContextDeleteById0(s, 0x7FFFFFFF); });
}

void got_filter_rows() {
    const Status missing = STATUS(STATUS_FWP_FILTER_NOT_FOUND);
    deleting("FwpmFilterDeleteByKey0", missing, filter_key, FwpmFilterDeleteByKey0);
    deleting("FwpmFilterDeleteById0",
             [](HANDLE s, const Given &g) { return FwpmFilterDeleteById0(s, g.filter); });
    decided("FwpmFilterDeleteById0", missing, {},
            [](HANDLE s) { return FwpmFilterDeleteById0(s, 0x7FFFFFFF); });
    getting("FwpmFilterGetByKey0", missing, filter_key, FwpmFilterGetByKey0);
    getting("FwpmFilterGetById0", missing, &Given::filter, FwpmFilterGetById0);
}

// Options whose outcome is a number that the enumeration does not have.
SLUICE_HOLD_OPTIONS0 with_no_outcome() {
    SLUICE_HOLD_OPTIONS0 options{};
    const UINT32 odd = 4;
    static_assert(sizeof odd == sizeof options.outcome);
    std::memcpy(&options.outcome, &odd, sizeof odd);
    return options;
}

void hold_rows() {
    // A built-in callout, whose number is this process' own once it has read it.
    const Status built_in = STATUS(STATUS_FWP_BUILTIN_OBJECT);
    decided("FwpmCalloutDeleteByKey0", built_in, {},
            [](HANDLE s) { return FwpmCalloutDeleteByKey0(s, &SLUICE_CALLOUT_ASK_CONNECT_V4); });
    decided("FwpmCalloutDeleteById0", built_in, {},
            [](HANDLE s) {
                FWPM_CALLOUT0 *ask = nullptr;
                FwpmCalloutGetByKey0(s, &SLUICE_CALLOUT_ASK_CONNECT_V4, &ask);
                const UINT32 id = ask ? ask->calloutId : 0;
                FwpmFreeMemory0(reinterpret_cast<VOID **>(&ask));
                return FwpmCalloutDeleteById0(s, id);
            });
    constexpr const char *set = "SluiceFilterSetHold0";
    const auto with = [](SLUICE_HOLD_OPTIONS0 options) {
        return [options](HANDLE s, const Given &g) {
            return SluiceFilterSetHold0(s, g.filter, &options);
        };
    };
    deleting(set, with({}));
    row(set, STATUS(STATUS_FWP_NULL_POINTER),
        [] { return SluiceFilterSetHold0(world().open(), 1, nullptr); });
    row(set, STATUS(STATUS_FWP_INVALID_ENUMERATOR), [] {
        const SLUICE_HOLD_OPTIONS0 options = with_no_outcome();
        return SluiceFilterSetHold0(world().open(), 1, &options);
    });
    decided(set, STATUS(STATUS_FWP_FILTER_NOT_FOUND), {}, [](HANDLE s) {
        const SLUICE_HOLD_OPTIONS0 options{};
        return SluiceFilterSetHold0(s, 0x7FFFFFFF, &options);
    });
    // The given filter names no callout.
    decided(set, STATUS(STATUS_FWP_INVALID_PARAMETER), {}, [=](HANDLE s) {
        world().refuse(STATUS_SUCCESS);
        const Given given(s);
        world().refuse(STATUS_FWP_INVALID_PARAMETER);
        return with({1000, SLUICE_HOLD_OUTCOME_BLOCK})(s, given);
    });
    constexpr const char *defaults = "SluiceHostSetHoldDefaults0";
    row(defaults, STATUS(STATUS_FWP_NULL_POINTER),
        [] { return SluiceHostSetHoldDefaults0(nullptr); });
    row(defaults, STATUS(STATUS_FWP_INVALID_ENUMERATOR), [] {
        const SLUICE_HOLD_OPTIONS0 options = with_no_outcome();
        return SluiceHostSetHoldDefaults0(&options);
    });
    row(defaults, STATUS(STATUS_SUCCESS), [] {
        const SLUICE_HOLD_OPTIONS0 options{};
        return SluiceHostSetHoldDefaults0(&options);
    });
}

} // namespace

void object_rows() {
    provider_rows();
    sublayer_rows();
    callout_rows();
    context_rows();
    got_filter_rows();
    hold_rows();
}

} // namespace sluice::test
