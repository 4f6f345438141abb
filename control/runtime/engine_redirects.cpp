// SPDX-License-Identifier: Apache-2.0
// Redirect handles, as sluiced is told of them.
#include "runtime/engine.h"

namespace sluice::runtime {

Result<void> Engine::announce(const RedirectHandles::Entry &handle, std::uint64_t connection,
                              bool restoring) {
    if (!redirect_handles_.claim_announcement(handle.number, connection)) return {};
    protocol::Request request;
    auto &body = *request.mutable_redirect_handle_create();
    body.set_number(handle.number);
    body.set_provider(handle.provider.bytes());
    auto reply = client_.request(std::move(request), restoring);
    if (!reply) return {}; // the next connection begins with it
    if (reply->status() != 0) return Error::status(reply->status(), reply->error());
    return {};
}

NTSTATUS Engine::create_redirect_handle(const Guid &provider, HANDLE *out) {
    start();
    const auto made = redirect_handles_.add(provider);
    const HANDLE handle = RedirectHandles::handle_of(made.number);
    if (const std::uint64_t connection = client_.connection(); connection != 0) {
        Pace::give_way_here();
        if (auto told = announce(made, connection, false); !told) {
            (void)redirect_handles_.remove(handle);
            return NTSTATUS(told.error().ntstatus);
        }
    }
    *out = handle;
    return STATUS_SUCCESS;
}

void Engine::destroy_redirect_handle(HANDLE handle) {
    const auto gone = redirect_handles_.remove(handle);
    if (!gone || client_.connection() == 0) return;
    protocol::Request request;
    request.mutable_redirect_handle_destroy()->set_number(gone->number);
    Pace::give_way_here();
    (void)client_.request(std::move(request)); // sluiced gone: it forgets the host's handles anyway
}

FWPS_CONNECTION_REDIRECT_STATE Engine::redirect_state(HANDLE records, HANDLE handle,
                                                      void **context) {
    const auto own = redirect_handles_.find(handle);
    return records_.state(records, own ? &own->provider : nullptr, redirect_contexts_, context);
}

} // namespace sluice::runtime
