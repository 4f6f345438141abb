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
