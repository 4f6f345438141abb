// SPDX-License-Identifier: Apache-2.0
// Redirection by the C++ layer: which calls it makes, over functions in the library's place.
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include <sluice.hpp>

#include "fake_library.h"

namespace {

struct Fake {
    int handles = 0, references = 0;
    NTSTATUS acquire_status = STATUS_SUCCESS, pend_status = STATUS_SUCCESS;
    FWPS_CONNECT_REQUEST0 copy{};
    std::string context;
    UINT32 learned = 0;
    std::vector<std::string> calls;
    FWP_ACTION_TYPE completed = FWP_ACTION_NONE;
    FWPS_CONNECTION_REDIRECT_STATE state = FWPS_CONNECTION_NOT_REDIRECTED;
};
Fake fake;

} // namespace

NTSTATUS FwpsRedirectHandleCreate0(const GUID *, UINT32, HANDLE *handle) {
    ++fake.handles;
    *handle = &fake;
    return STATUS_SUCCESS;
}
VOID FwpsRedirectHandleDestroy0(HANDLE) {
    --fake.handles;
}
NTSTATUS FwpsAcquireClassifyHandle0(VOID *context, UINT32, UINT64 *handle) {
    if (context != &fake) return STATUS_INVALID_PARAMETER;
    ++fake.references;
    *handle = 7;
    return STATUS_SUCCESS;
}
VOID FwpsReleaseClassifyHandle0(UINT64 handle) {
    EXPECT_EQ(handle, 7u);
    --fake.references;
}
NTSTATUS FwpsPendClassify0(UINT64, UINT64 filter, UINT32, FWPS_CLASSIFY_OUT0 *) {
    EXPECT_EQ(filter, 9u);
    fake.calls.push_back("pend");
    return fake.pend_status;
}
VOID FwpsCompleteClassify0(UINT64, UINT32, const FWPS_CLASSIFY_OUT0 *out) {
    fake.calls.push_back("complete");
    fake.completed = out->actionType;
}
NTSTATUS FwpsAcquireWritableLayerDataPointer0(UINT64, UINT64 filter, UINT32, PVOID *data,
                                              FWPS_CLASSIFY_OUT0 *) {
    EXPECT_EQ(filter, 9u);
    *data = &fake.copy;
    return fake.acquire_status;
}
VOID FwpsApplyModifiedLayerData0(UINT64, PVOID data, UINT32) {
    EXPECT_EQ(data, &fake.copy);
    fake.calls.push_back("apply");
    fake.context.assign(static_cast<char *>(fake.copy.localRedirectContext),
                        fake.copy.localRedirectContextSize);
    std::free(fake.copy.localRedirectContext);
}
NTSTATUS SluiceLearnRedirect0(UINT64, UINT32 milliseconds) {
    fake.calls.push_back("learn");
    fake.learned = milliseconds;
    return STATUS_SUCCESS;
}
FWPS_CONNECTION_REDIRECT_STATE FwpsQueryConnectionRedirectState0(HANDLE, HANDLE, VOID **) {
    return fake.state;
}

namespace sluice {

class CppRedirect : public testing::Test {
protected:
    CppRedirect() {
        library = FakeLibrary{};
        fake = Fake{};
        handle.emplace(key_from_name("provider"));
    }
    FWPS_CLASSIFY_OUT0 connect(Callout::Classify classify) {
        const Callout callout(device, key_from_name("test"), std::move(classify));
        FWPS_INCOMING_VALUE0 fields[32]{};
        FWPS_INCOMING_VALUES0 values{FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, 32, fields};
        FWPS_INCOMING_METADATA_VALUES0 metadata{};
        FWPS_FILTER3 filter{};
        filter.filterId = 9;
        FWPS_CLASSIFY_OUT0 out{};
        out.actionType = FWP_ACTION_CONTINUE;
        out.rights = FWPS_RIGHT_ACTION_WRITE;
        library.callouts.at(callout.id())
            .classifyFn(&values, &metadata, &request, &fake, &filter, 0, &out);
        return out;
    }
    Redirect target() const {
        Redirect to{};
        to.remote.ss_family = SLUICE_AF_INET;
        to.handle = handle->get();
        to.process_id = 12;
        to.context = {'a', 'b'};
        to.learn = std::chrono::milliseconds(500);
        return to;
    }
    using Calls = std::vector<std::string>;
    Device device{"test"};
    FWPS_CONNECT_REQUEST0 request{};
    std::optional<RedirectHandle> handle;
};

TEST_F(CppRedirect, InsideTheLambda) {
    const auto out = connect([this](Classification &connection) {
        EXPECT_EQ(connection.request(), &request);
        EXPECT_EQ(connection.packets(), nullptr);
        EXPECT_FALSE(redirected_locally(request));
        return connection.redirect(target());
    });
    EXPECT_EQ(out.actionType, FWP_ACTION_PERMIT);
    EXPECT_EQ(out.rights, FWPS_RIGHT_ACTION_WRITE);
    EXPECT_EQ(fake.calls, (Calls{"learn", "apply"}));
    EXPECT_EQ(fake.context, "ab");
    EXPECT_EQ(fake.learned, 500u);
    EXPECT_EQ(fake.copy.localRedirectTargetPID, 12u);
    EXPECT_EQ(fake.copy.localRedirectHandle, handle->get());
    EXPECT_EQ(fake.copy.remoteAddressAndPort.ss_family, SLUICE_AF_INET);
    EXPECT_EQ(fake.references, 0);
    handle.reset();
    EXPECT_EQ(fake.handles, 0);
}

TEST_F(CppRedirect, WhatIsRefusedBlocks) {
    fake.acquire_status = STATUS_ACCESS_DENIED;
    const auto out =
        connect([this](Classification &connection) { return connection.redirect(target()); });
    EXPECT_EQ(out.actionType, FWP_ACTION_BLOCK);
    EXPECT_EQ(fake.references, 0);
    EXPECT_TRUE(fake.calls.empty());
}

TEST_F(CppRedirect, LaterFromElsewhere) {
    std::optional<HeldRedirect> held;
    const auto out = connect([&](Classification &connection) {
        held.emplace(connection.pend_redirect());
        return pended();
    });
    EXPECT_EQ(out.actionType, FWP_ACTION_BLOCK);
    EXPECT_EQ(out.rights & FWPS_RIGHT_ACTION_WRITE, 0u);
    EXPECT_EQ(fake.references, 1);
    HeldRedirect moved = *std::move(held);
    moved.redirect(target());
    moved.redirect(target()); // once
    EXPECT_EQ(fake.calls, (Calls{"pend", "learn", "apply", "complete"}));
    EXPECT_EQ(fake.completed, FWP_ACTION_PERMIT);
    EXPECT_FALSE(moved);
}

TEST_F(CppRedirect, OneThatIsDroppedBlocks) {
    connect([](Classification &connection) {
        (void)connection.pend_redirect();
        return pended();
    });
    EXPECT_EQ(fake.completed, FWP_ACTION_BLOCK);
    EXPECT_EQ(fake.references, 0);
    fake = Fake{};
    fake.pend_status = STATUS_FWP_CANNOT_PEND;
    EXPECT_EQ(connect([](Classification &connection) {
                  (void)connection.pend_redirect();
                  return permit();
              }).actionType,
              FWP_ACTION_BLOCK);
    EXPECT_EQ(fake.calls, Calls{"pend"});
    EXPECT_EQ(fake.references, 0);
    ++fake.handles; // of the fixture
}

TEST_F(CppRedirect, WhoIsKnownAndWhoWasThereBefore) {
    connect([this](Classification &connection) {
        EXPECT_FALSE(handle->knows(connection));
        fake.state = FWPS_CONNECTION_REDIRECTED_BY_OTHER;
        EXPECT_FALSE(handle->knows(connection));
        for (const auto s :
             {FWPS_CONNECTION_REDIRECTED_BY_SELF, FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF}) {
            fake.state = s;
            EXPECT_TRUE(handle->knows(connection));
        }
        return soft_permit();
    });
    FWPS_CONNECT_REQUEST0 older{};
    older.localRedirectHandle = &older;
    request.previousVersion = &older;
    EXPECT_TRUE(redirected_locally(request));
}

} // namespace sluice
