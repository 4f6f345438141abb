// SPDX-License-Identifier: Apache-2.0
// What FwpmFilterAdd0 refuses, each by a filter that deserves it.
#include <gtest/gtest.h>

#include "status_world.h"

namespace sluice::test {

namespace {

constexpr const char *add = "FwpmFilterAdd0";

void refused(Status s, const Change<FWPM_FILTER0> &change, const Call &situation = {}) {
    decided(add, s, situation, [=](HANDLE session) { return add_filter(session, change); });
}
void refused_if(Status s, const Change<FWPM_FILTER_CONDITION0> &change) {
    decided(add, s, {}, [=](HANDLE session) { return add_filter_if(session, change); });
}

void local_rows() {
    typical(add, asks | changes, [](HANDLE s, const Given &) { return add_filter(s); });
    row(add, STATUS(STATUS_FWP_NULL_POINTER), [] {
        const HANDLE s = world().open();
        EXPECT_EQ(FwpmFilterAdd0(s, nullptr, nullptr, nullptr), STATUS_FWP_NULL_POINTER);
        EXPECT_EQ(add_filter(s, [](auto &f) { f.filterCondition = nullptr; }),
                  STATUS_FWP_NULL_POINTER);
        EXPECT_EQ(add_filter(s, [](auto &f) { f.weight.type = FWP_UINT64; }),
                  STATUS_FWP_NULL_POINTER);
        for (const FWP_DATA_TYPE type :
             {FWP_UINT64, FWP_DOUBLE, FWP_BYTE_ARRAY16_TYPE, FWP_BYTE_ARRAY6_TYPE,
              FWP_BYTE_BLOB_TYPE, FWP_SID, FWP_SECURITY_DESCRIPTOR_TYPE, FWP_UNICODE_STRING_TYPE,
              FWP_V4_ADDR_MASK, FWP_V6_ADDR_MASK, FWP_RANGE_TYPE})
            EXPECT_EQ(add_filter_if(s,
                                    [=](auto &c) {
                                        c.conditionValue = {type, {}};
                                    }),
                      STATUS_FWP_NULL_POINTER)
                << type;
        return add_filter(s, [](auto &f) { f.providerData.size = 1; });
    });
    row(add, STATUS(STATUS_FWP_NULL_DISPLAY_NAME),
        [] { return add_filter(world().open(), [](auto &f) { f.displayData.name = nullptr; }); });
    row(add, STATUS(STATUS_FWP_INVALID_FLAGS),
        [] { return add_filter(world().open(), [](auto &f) { f.flags = 0x80000000; }); });
    row(add, STATUS(STATUS_FWP_INVALID_ENUMERATOR), [] {
        const HANDLE s = world().open();
        EXPECT_EQ(add_filter_if(s, [](auto &c) { c.matchType = FWP_MATCH_TYPE_MAX; }),
                  STATUS_FWP_INVALID_ENUMERATOR);
        return add_filter_if(s, [](auto &c) { c.conditionValue.type = FWP_DATA_TYPE_MAX; });
    });
}

void name_rows() {
    refused(STATUS(STATUS_FWP_LAYER_NOT_FOUND), [](auto &f) { f.layerKey = no_key; });
    refused(STATUS(STATUS_FWP_SUBLAYER_NOT_FOUND), [](auto &f) { f.subLayerKey = no_key; });
    refused(STATUS(STATUS_FWP_PROVIDER_NOT_FOUND), [](auto &f) {
        static GUID missing = no_key;
        f.providerKey = &missing;
    });
    const auto with_context = [](auto &f) {
        f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        f.providerContextKey = no_key;
    };
    refused(STATUS(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND), with_context);
    const auto asking = [](const GUID &key) {
        return [key](auto &f) {
            f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
            f.action.calloutKey = key;
        };
    };
    refused(STATUS(STATUS_FWP_CALLOUT_NOT_FOUND), asking(no_key));
    refused(STATUS(STATUS_FWP_INCOMPATIBLE_LAYER), asking(callout_key), [](HANDLE s) {
        return add_callout(s, [](auto &c) {
            c.calloutKey = callout_key;
            c.applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V6;
        });
    });
    refused(STATUS(STATUS_NOT_SUPPORTED),
            [](auto &f) { f.flags = FWPM_FILTER_FLAG_HAS_SECURITY_REALM_PROVIDER_CONTEXT; });
    refused(STATUS(STATUS_FWP_INVALID_ACTION_TYPE), [](auto &f) { f.action.type = 0x1234; });
    refused(STATUS(STATUS_FWP_INVALID_PARAMETER),
            [](auto &f) { f.flags = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED; });
    refused(STATUS(STATUS_FWP_INVALID_WEIGHT), [](auto &f) {
        f.weight.type = FWP_UINT8;
        f.weight.uint8 = 16;
    });
    refused(STATUS(STATUS_FWP_LIFETIME_MISMATCH),
            [](auto &f) { f.flags = FWPM_FILTER_FLAG_PERSISTENT; });
    const auto same = [](auto &f) { f.filterKey = no_key; };
    refused(STATUS(STATUS_FWP_ALREADY_EXISTS), same, [=](HANDLE s) { return add_filter(s, same); });
}

void condition_rows() {
    refused_if(STATUS(STATUS_FWP_CONDITION_NOT_FOUND), [](auto &c) { c.fieldKey = no_key; });
    refused_if(STATUS(STATUS_FWP_TYPE_MISMATCH),
               [](auto &c) { c.conditionValue.type = FWP_UINT8; });
    refused_if(STATUS(STATUS_FWP_MATCH_TYPE_MISMATCH),
               [](auto &c) { c.matchType = FWP_MATCH_EQUAL_CASE_INSENSITIVE; });
    refused_if(STATUS(STATUS_FWP_INVALID_RANGE), [](auto &c) {
        static FWP_RANGE0 range;
        range.valueLow.type = range.valueHigh.type = FWP_UINT16;
        range.valueLow.uint16 = 2;
        range.valueHigh.uint16 = 1;
        c.matchType = FWP_MATCH_RANGE;
        c.conditionValue.type = FWP_RANGE_TYPE;
        c.conditionValue.rangeValue = &range;
    });
    refused_if(STATUS(STATUS_FWP_INVALID_NET_MASK), [](auto &c) {
        static FWP_V4_ADDR_AND_MASK net{0x0A000000, 0xFF00FF00};
        c.fieldKey = FWPM_CONDITION_IP_REMOTE_ADDRESS;
        c.conditionValue.type = FWP_V4_ADDR_MASK;
        c.conditionValue.v4AddrMask = &net;
    });
    refused_if(STATUS(STATUS_FWP_OUT_OF_BOUNDS), [](auto &c) {
        static std::u16string path(70'000, u'p');
        c.fieldKey = FWPM_CONDITION_ALE_APP_ID;
        c.conditionValue.type = FWP_UNICODE_STRING_TYPE;
        c.conditionValue.unicodeString = reinterpret_cast<LPWSTR>(path.data());
    });
    const auto twice = [](UINT16 port, FWP_MATCH_TYPE match) {
        return [=](FWPM_FILTER0 &f) {
            static FWPM_FILTER_CONDITION0 both[2];
            both[0] = both[1] = *f.filterCondition;
            both[0].matchType = both[1].matchType = match;
            both[1].conditionValue.uint16 = port;
            f.filterCondition = both;
            f.numFilterConditions = 2;
        };
    };
    refused(STATUS(STATUS_FWP_DUPLICATE_CONDITION), twice(10, FWP_MATCH_NOT_EQUAL));
    refused_if(STATUS(STATUS_FWP_NEVER_MATCH), [](auto &c) {
        c.matchType = FWP_MATCH_GREATER;
        c.conditionValue.uint16 = 0xFFFF;
    });
}

// A callout of this process says no, or the thread in sluiced's place says that it did.
NTSTATUS NTAPI refusing(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *, FWPS_FILTER3 *) {
    return type == FWPS_CALLOUT_NOTIFY_ADD_FILTER ? STATUS_ACCESS_DENIED : STATUS_SUCCESS;
}
VOID NTAPI never(const FWPS_INCOMING_VALUES0 *, const FWPS_INCOMING_METADATA_VALUES0 *, VOID *,
                 const void *, const FWPS_FILTER3 *, UINT64, FWPS_CLASSIFY_OUT0 *) {}

void notification_row() {
    row(add, STATUS(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED), [] {
        DRIVER_OBJECT driver{};
        PDEVICE_OBJECT device = nullptr;
        EXPECT_EQ(IoCreateDevice(&driver, 0, nullptr, 0, 0, 0, &device), STATUS_SUCCESS);
        const FWPS_CALLOUT3 callout{callout_key, 0, never, refusing, nullptr};
        EXPECT_EQ(FwpsCalloutRegister3(device, &callout, nullptr), STATUS_SUCCESS);
        const Given given(world().open());
        world().refuse(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED);
        const NTSTATUS status = add_filter(given.session, [](auto &f) {
            f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
            f.action.calloutKey = callout_key;
        });
        world().refuse(STATUS_SUCCESS);
        EXPECT_EQ(FwpsCalloutUnregisterByKey0(&callout_key), STATUS_SUCCESS);
        IoDeleteDevice(device);
        return status;
    });
}

} // namespace

void filter_rows() {
    local_rows();
    name_rows();
    condition_rows();
    notification_row();
}

} // namespace sluice::test
