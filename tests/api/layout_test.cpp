// SPDX-License-Identifier: Apache-2.0
// Binary layout, as far as code outside can see it. Compiling is the test.
#include <cstddef>

#include <gtest/gtest.h>

#include <sluice/fwp.h>

static_assert(sizeof(LONG) == 4 && sizeof(ULONG) == 4 && sizeof(DWORD) == 4 &&
              sizeof(NTSTATUS) == 4);
static_assert(sizeof(BOOL) == 4 && sizeof(BOOLEAN) == 1 && sizeof(WCHAR) == 2);
static_assert(sizeof(HANDLE) == sizeof(void *) && sizeof(SIZE_T) == sizeof(void *));
static_assert(sizeof(FWP_DATA_TYPE) == 4 && sizeof(COMPARTMENT_ID) == 4);
static_assert(static_cast<COMPARTMENT_ID>(0xFFFFFFFFu) != DEFAULT_COMPARTMENT_ID);
static_assert(sizeof(GUID) == 16 && sizeof(FWP_VALUE0) == 16 && sizeof(FWP_CONDITION_VALUE0) == 16);
static_assert(sizeof(MDL) == 48 && offsetof(MDL, MappedSystemVa) == 24 &&
              offsetof(MDL, ByteCount) == 40);
static_assert(sizeof(FWPM_FILTER0) == 200 && offsetof(FWPM_FILTER0, weight) == 96 &&
              offsetof(FWPM_FILTER0, action) == 128 && offsetof(FWPM_FILTER0, rawContext) == 152 &&
              offsetof(FWPM_FILTER0, filterId) == 176);
static_assert(sizeof(FWPM_PROVIDER0) == 64 && offsetof(FWPM_PROVIDER0, serviceName) == 56);
static_assert(sizeof(FWPM_SUBLAYER0) == 72 && offsetof(FWPM_SUBLAYER0, weight) == 64);
static_assert(sizeof(FWPM_CALLOUT0) == 88 && offsetof(FWPM_CALLOUT0, calloutId) == 80);
static_assert(sizeof(FWPM_PROVIDER_CONTEXT0) == 88 &&
              offsetof(FWPM_PROVIDER_CONTEXT0, dataBuffer) == 72 &&
              sizeof(FWPM_PROVIDER_CONTEXT3) == 88);
static_assert(sizeof(FWPM_SESSION0) == 72 && offsetof(FWPM_SESSION0, sid) == 48);
static_assert(sizeof(FWPM_LAYER0) == 72 && offsetof(FWPM_LAYER0, layerId) == 64);
static_assert(sizeof(FWPM_FILTER_ENUM_TEMPLATE0) == 72 &&
              offsetof(FWPM_FILTER_ENUM_TEMPLATE0, calloutKey) == 64);
static_assert(sizeof(FWPM_FILTER_SUBSCRIPTION0) == 32 && sizeof(FWPM_FILTER_CHANGE0) == 32 &&
              sizeof(FWPM_CALLOUT_CHANGE0) == 24 && sizeof(FWPM_PROVIDER_CHANGE0) == 20);
static_assert(sizeof(FWPM_NET_EVENT_HEADER0) == 88 && sizeof(FWPM_NET_EVENT_HEADER1) == 144 &&
              sizeof(FWPM_NET_EVENT_HEADER2) == 104 && sizeof(FWPM_NET_EVENT_HEADER3) == 136);
static_assert(offsetof(FWPM_NET_EVENT_HEADER0, localAddrV4) == 20 &&
              offsetof(FWPM_NET_EVENT_HEADER0, appId) == 64 &&
              offsetof(FWPM_NET_EVENT_HEADER1, frame) == 96);
static_assert(sizeof(FWPM_NET_EVENT_CLASSIFY_DROP0) == 16 &&
              sizeof(FWPM_NET_EVENT_CLASSIFY_DROP1) == 32 &&
              sizeof(FWPM_NET_EVENT_CLASSIFY_DROP2) == 56 &&
              sizeof(FWPM_NET_EVENT_CLASSIFY_ALLOW0) == 32);
static_assert(offsetof(FWPM_NET_EVENT0, classifyDrop) == 96 &&
              offsetof(FWPM_NET_EVENT1, classifyDrop) == 152 &&
              offsetof(FWPM_NET_EVENT2, classifyDrop) == 112 &&
              offsetof(FWPM_NET_EVENT5, classifyAllow) == 144);
static_assert(offsetof(NET_BUFFER, CurrentMdl) == 8 &&
              offsetof(NET_BUFFER, CurrentMdlOffset) == 16);
static_assert(offsetof(NET_BUFFER, DataLength) == 24 && offsetof(NET_BUFFER, MdlChain) == 32);
static_assert(offsetof(NET_BUFFER, DataOffset) == 40 && sizeof(NET_BUFFER) == 176);
static_assert(offsetof(NET_BUFFER_LIST, FirstNetBuffer) == 8 &&
              offsetof(NET_BUFFER_LIST, Status) == 0x8C);
static_assert(offsetof(NET_BUFFER_LIST, NetBufferListInfo) == 0x90);
static_assert(sizeof(sluice_sockaddr_in) == 16 && sizeof(sluice_sockaddr_in6) == 28);
static_assert(sizeof(sluice_sockaddr_storage) == 128 && sizeof(IP_ADDRESS_PREFIX) == 32);
static_assert(offsetof(FWPS_CALLOUT0, flags) == 16 && offsetof(FWPS_CALLOUT0, classifyFn) == 24);
static_assert(sizeof(FWPS_CALLOUT0) == 48 && sizeof(FWPS_CALLOUT3) == 48);
static_assert(sizeof(FWPS_FILTER0) == sizeof(FWPS_FILTER3) &&
              offsetof(FWPS_FILTER3, context) == 48);
static_assert(offsetof(FWPS_CLASSIFY_OUT0, rights) == 24 && sizeof(FWPS_CLASSIFY_OUT0) == 40);
static_assert(offsetof(FWPM_FILTER0, action) == 128 && offsetof(FWPM_FILTER0, filterId) == 176);
static_assert(sizeof(FWPM_FILTER0) == 200 && sizeof(FWPM_CALLOUT0) == 88);
static_assert(SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA == 0x80000000u);

TEST(Layout, UnicodeStringCountsBytesWithoutTheZero) {
    const WCHAR text[] = {'a', 'b', 0};
    UNICODE_STRING string;
    RtlInitUnicodeString(&string, text);
    EXPECT_EQ(string.Length, 4);
    EXPECT_EQ(string.MaximumLength, 6);
    RtlInitUnicodeString(&string, nullptr);
    EXPECT_EQ(string.Length, 0);
    EXPECT_EQ(string.Buffer, nullptr);
}
