// SPDX-License-Identifier: Apache-2.0
// Enumerations of every kind, layers, and application ids.
#include <cstring>
#include <memory>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/text.h"
#include "status_world.h"

namespace sluice::test {

namespace {

// The three functions of one kind, in one version of the structure.
template <typename Template, typename Struct>
struct Trio {
    const char *create_name, *page_name, *end_name;
    NTSTATUS (*create)(HANDLE, const Template *, HANDLE *);
    NTSTATUS (*page)(HANDLE, HANDLE, UINT32, Struct ***, UINT32 *);
    NTSTATUS (*end)(HANDLE, HANDLE);
    int manner = asks;

    // A session of its own: the one under test may be void.
    [[nodiscard]] HANDLE begun(HANDLE session) const {
        HANDLE handle = nullptr;
        EXPECT_EQ(create(session, nullptr, &handle), STATUS_SUCCESS);
        return handle;
    }
    [[nodiscard]] NTSTATUS created(HANDLE session, const Template *limits) const {
        HANDLE handle = nullptr;
        const NTSTATUS status = create(session, limits, &handle);
        EXPECT_EQ(handle != nullptr, status == STATUS_SUCCESS);
        return status;
    }
};

// Pages until the end; every entry can be read.
template <typename Template, typename Struct>
NTSTATUS read_all(const Trio<Template, Struct> &t, HANDLE session) {
    const HANDLE handle = t.begun(session);
    for (;;) {
        Struct **entries = nullptr;
        UINT32 count = 77;
        const NTSTATUS status = t.page(session, handle, 1, &entries, &count);
        EXPECT_EQ(status, STATUS_SUCCESS);
        EXPECT_EQ(entries != nullptr, count == 1);
        if (status != STATUS_SUCCESS || count == 0) return status;
        Struct copy;
        std::memcpy(&copy, entries[0], sizeof copy);
        FwpmFreeMemory0(reinterpret_cast<void **>(&entries));
    }
}

template <typename Template, typename Struct>
void page_rows(const Trio<Template, Struct> &t) {
    row(t.page_name, STATUS(STATUS_SUCCESS), [=] {
        const Given given(world().open());
        return read_all(t, given.session);
    });
    row(t.page_name, STATUS(STATUS_FWP_NULL_POINTER), [=] {
        const HANDLE s = world().open(), handle = t.begun(s);
        UINT32 count = 0;
        EXPECT_EQ(t.page(s, handle, 1, nullptr, &count), STATUS_FWP_NULL_POINTER);
        Struct **entries = nullptr;
        return t.page(s, handle, 1, &entries, nullptr);
    });
    row(t.page_name, STATUS(STATUS_INVALID_HANDLE), [=] {
        const HANDLE s = world().open(), handle = t.begun(s);
        Struct **entries = nullptr;
        UINT32 count = 77;
        EXPECT_EQ(t.page(nullptr, handle, 1, &entries, &count), STATUS_INVALID_HANDLE);
        EXPECT_EQ(t.page(world().open(), handle, 1, &entries, &count), STATUS_INVALID_HANDLE);
        EXPECT_EQ(t.page(s, s, 1, &entries, &count), STATUS_INVALID_HANDLE);
        EXPECT_EQ(t.end(s, handle), STATUS_SUCCESS);
        const NTSTATUS status = t.page(s, handle, 1, &entries, &count);
        EXPECT_TRUE(entries == nullptr && count == 77);
        return status;
    });
}

template <typename Template, typename Struct>
void trio_rows(const Trio<Template, Struct> &t) {
    typical(t.create_name, t.manner,
            [=](HANDLE s, const Given &) { return t.created(s, nullptr); });
    row(t.create_name, STATUS(STATUS_FWP_NULL_POINTER),
        [=] { return t.create(world().open(), nullptr, nullptr); });
    page_rows(t);
    row(t.end_name, STATUS(STATUS_SUCCESS), [=] {
        const HANDLE s = world().open();
        return t.end(s, t.begun(s));
    });
    row(t.end_name, STATUS(STATUS_INVALID_HANDLE), [=] {
        const HANDLE s = world().open();
        EXPECT_EQ(t.end(world().open(), t.begun(s)), STATUS_INVALID_HANDLE);
        return t.end(s, nullptr);
    });
}

#define TRIO(kind, Kind, version)                                                                  \
    Trio<FWPM_##kind##_ENUM_TEMPLATE0, FWPM_##kind##version> {                                     \
        "Fwpm" #Kind "CreateEnumHandle0", "Fwpm" #Kind "Enum" #version,                            \
            "Fwpm" #Kind "DestroyEnumHandle0", Fwpm##Kind##CreateEnumHandle0,                      \
            Fwpm##Kind##Enum##version, Fwpm##Kind##DestroyEnumHandle0                              \
    }

// ---- templates ----

void filter_template(Status s, const Change<FWPM_FILTER_ENUM_TEMPLATE0> &change) {
    decided("FwpmFilterCreateEnumHandle0", s, {}, [=](HANDLE session) {
        FWPM_FILTER_CONDITION0 conditions[2]{};
        for (auto &c : conditions) {
            c.fieldKey = FWPM_CONDITION_IP_REMOTE_PORT;
            c.conditionValue.type = FWP_UINT16;
        }
        FWPM_FILTER_ENUM_TEMPLATE0 limits{};
        limits.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
        limits.numFilterConditions = 1;
        limits.filterCondition = conditions;
        change(limits);
        return TRIO(FILTER, Filter, 0).created(session, &limits);
    });
}

void template_rows() {
    filter_template(STATUS(STATUS_FWP_LAYER_NOT_FOUND), [](auto &t) { t.layerKey = no_key; });
    filter_template(STATUS(STATUS_FWP_INVALID_PARAMETER), [](auto &t) { t.layerKey = {}; });
    filter_template(STATUS(STATUS_FWP_DUPLICATE_CONDITION),
                    [](auto &t) { t.numFilterConditions = 2; });
    filter_template(STATUS(STATUS_FWP_CONDITION_NOT_FOUND),
                    [](auto &t) { t.filterCondition->fieldKey = no_key; });
    filter_template(STATUS(STATUS_FWP_TYPE_MISMATCH),
                    [](auto &t) { t.filterCondition->conditionValue.type = FWP_UINT8; });
    filter_template(STATUS(STATUS_FWP_MATCH_TYPE_MISMATCH), [](auto &t) {
        t.filterCondition->matchType = FWP_MATCH_EQUAL_CASE_INSENSITIVE;
    });
    filter_template(STATUS(STATUS_FWP_INVALID_FLAGS), [](auto &t) { t.flags = 0x100; });
    filter_template(STATUS(STATUS_FWP_INVALID_ENUMERATOR),
                    [](auto &t) { t.enumType = FWP_FILTER_ENUM_TYPE_MAX; });
    row("FwpmProviderContextCreateEnumHandle0", STATUS(STATUS_FWP_INVALID_ENUMERATOR), [] {
        const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 limits{nullptr, FWPM_PROVIDER_CONTEXT_TYPE_MAX};
        return TRIO(PROVIDER_CONTEXT, ProviderContext, 0).created(world().open(), &limits);
    });
}

NTSTATUS with_event_template(HANDLE s, const Change<FWPM_NET_EVENT_ENUM_TEMPLATE0> &change) {
    FWPM_FILTER_CONDITION0 condition{};
    condition.fieldKey = FWPM_CONDITION_IP_PROTOCOL;
    condition.conditionValue.type = FWP_UINT8;
    FWPM_NET_EVENT_ENUM_TEMPLATE0 limits{{}, {}, 1, &condition};
    change(limits);
    return TRIO(NET_EVENT, NetEvent, 0).created(s, &limits);
}

void event_template_rows() {
    const char *create = "FwpmNetEventCreateEnumHandle0";
    const auto refused = [=](Status s, const Change<FWPM_NET_EVENT_ENUM_TEMPLATE0> &change) {
        row(create, s, [=] { return with_event_template(world().open(), change); });
    };
    refused(STATUS(STATUS_FWP_INVALID_INTERVAL), [](auto &t) {
        t.startTime = {0, 0x01DC0001};
        t.endTime = {0, 0x01DC0000};
    });
    refused(STATUS(STATUS_FWP_CONDITION_NOT_FOUND),
            [](auto &t) { t.filterCondition->fieldKey = no_key; });
    refused(STATUS(STATUS_FWP_INVALID_ENUMERATOR),
            [](auto &t) { t.filterCondition->matchType = FWP_MATCH_TYPE_MAX; });
    refused(STATUS(STATUS_FWP_TYPE_MISMATCH),
            [](auto &t) { t.filterCondition->conditionValue.type = FWP_UINT16; });
    refused(STATUS(STATUS_FWP_MATCH_TYPE_MISMATCH),
            [](auto &t) { t.filterCondition->matchType = FWP_MATCH_FLAGS_ALL_SET; });
    row(create, STATUS(STATUS_FWP_NET_EVENTS_DISABLED), [] {
        const HANDLE s = world().open();
        const auto collect = [&](UINT32 on) {
            FWP_VALUE0 value{};
            value.type = FWP_UINT32;
            value.uint32 = on;
            EXPECT_EQ(FwpmEngineSetOption0(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &value),
                      STATUS_SUCCESS);
        };
        collect(0);
        world().refuse(STATUS_FWP_NET_EVENTS_DISABLED);
        const NTSTATUS status = TRIO(NET_EVENT, NetEvent, 0).created(s, nullptr);
        world().refuse(STATUS_SUCCESS);
        collect(1);
        return status;
    });
}

// ---- layers and application ids ----

void layer_rows() {
    auto layers = TRIO(LAYER, Layer, 0);
    layers.manner = local;
    trio_rows(layers);
    const auto by_id = [](HANDLE s, UINT16 id) {
        FWPM_LAYER0 *layer = nullptr;
        const NTSTATUS status = FwpmLayerGetById0(s, id, &layer);
        EXPECT_EQ(layer != nullptr, status == STATUS_SUCCESS);
        if (layer) {
            EXPECT_TRUE(layer->layerId == id && layer->numFields > 0);
        }
        FwpmFreeMemory0(reinterpret_cast<void **>(&layer));
        return status;
    };
    const auto by_key = [](HANDLE s, const GUID *key) {
        FWPM_LAYER0 *layer = nullptr;
        const NTSTATUS status = FwpmLayerGetByKey0(s, key, &layer);
        EXPECT_EQ(layer != nullptr, status == STATUS_SUCCESS);
        if (layer) {
            EXPECT_TRUE(layer->layerKey == *key);
        }
        FwpmFreeMemory0(reinterpret_cast<void **>(&layer));
        return status;
    };
    typical("FwpmLayerGetById0", local,
            [=](HANDLE s, const Given &) { return by_id(s, FWPS_LAYER_ALE_AUTH_CONNECT_V6); });
    row("FwpmLayerGetById0", STATUS(STATUS_FWP_LAYER_NOT_FOUND),
        [=] { return by_id(world().open(), 0xFFFF); });
    row("FwpmLayerGetById0", STATUS(STATUS_FWP_NULL_POINTER),
        [] { return FwpmLayerGetById0(world().open(), 0, nullptr); });
    typical("FwpmLayerGetByKey0", local,
            [=](HANDLE s, const Given &) { return by_key(s, &FWPM_LAYER_IPFORWARD_V4); });
    row("FwpmLayerGetByKey0", STATUS(STATUS_FWP_LAYER_NOT_FOUND),
        [=] { return by_key(world().open(), &no_key); });
    row("FwpmLayerGetByKey0", STATUS(STATUS_FWP_NULL_POINTER), [=] {
        EXPECT_EQ(by_key(world().open(), nullptr), STATUS_FWP_NULL_POINTER);
        return FwpmLayerGetByKey0(world().open(), &FWPM_LAYER_IPFORWARD_V4, nullptr);
    });
}

NTSTATUS app_id(std::u16string path, std::string *out = nullptr) {
    FWP_BYTE_BLOB *blob = nullptr;
    const NTSTATUS status =
        FwpmGetAppIdFromFileName0(reinterpret_cast<PCWSTR>(path.c_str()), &blob);
    EXPECT_EQ(blob != nullptr, status == STATUS_SUCCESS);
    if (blob && out)
        *out = runtime::to_utf8(reinterpret_cast<const WCHAR *>(blob->data), blob->size / 2);
    FwpmFreeMemory0(reinterpret_cast<void **>(&blob));
    return status;
}

void app_id_rows() {
    const char *function = "FwpmGetAppIdFromFileName0";
    row(function, STATUS(STATUS_SUCCESS), [] {
        std::string id;
        const NTSTATUS status = app_id(u"/proc/self/../self/exe", &id);
        char self[4096] = {};
        EXPECT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
        EXPECT_EQ(id, std::string(self) + '\0');
        return status;
    });
    row(function, STATUS(STATUS_FWP_NULL_POINTER), [] {
        FWP_BYTE_BLOB *blob = nullptr;
        EXPECT_EQ(FwpmGetAppIdFromFileName0(nullptr, &blob), STATUS_FWP_NULL_POINTER);
        return FwpmGetAppIdFromFileName0(a_name, nullptr);
    });
    row(function, STATUS(STATUS_OBJECT_NAME_NOT_FOUND), [] {
        EXPECT_EQ(app_id(u""), STATUS_OBJECT_NAME_NOT_FOUND);
        return app_id(u"/nonexistent/at/all");
    });
    row(function, STATUS(STATUS_ACCESS_DENIED), [] {
        // Root may search everything, so the question is asked as nobody.
        const std::string folder = "/tmp/sluice-status-" + std::to_string(::getpid());
        EXPECT_EQ(::mkdir(folder.c_str(), 0), 0);
        const bool root = ::geteuid() == 0;
        if (root) {
            EXPECT_EQ(::seteuid(65534), 0);
        }
        const NTSTATUS status = app_id(runtime::to_utf16(folder + "/file"));
        if (root) {
            EXPECT_EQ(::seteuid(0), 0);
        }
        ::rmdir(folder.c_str());
        return status;
    });
}

} // namespace

void enumeration_rows() {
    trio_rows(TRIO(PROVIDER, Provider, 0));
    trio_rows(TRIO(SUBLAYER, SubLayer, 0));
    trio_rows(TRIO(CALLOUT, Callout, 0));
    trio_rows(TRIO(FILTER, Filter, 0));
    trio_rows(TRIO(SESSION, Session, 0));
    trio_rows(TRIO(PROVIDER_CONTEXT, ProviderContext, 0));
    page_rows(TRIO(PROVIDER_CONTEXT, ProviderContext, 1));
    page_rows(TRIO(PROVIDER_CONTEXT, ProviderContext, 2));
    page_rows(TRIO(PROVIDER_CONTEXT, ProviderContext, 3));
    trio_rows(TRIO(NET_EVENT, NetEvent, 0));
    page_rows(TRIO(NET_EVENT, NetEvent, 1));
    page_rows(TRIO(NET_EVENT, NetEvent, 2));
    page_rows(TRIO(NET_EVENT, NetEvent, 3));
    page_rows(TRIO(NET_EVENT, NetEvent, 4));
    page_rows(TRIO(NET_EVENT, NetEvent, 5));
    template_rows();
    event_template_rows();
    layer_rows();
    app_id_rows();
}

} // namespace sluice::test
