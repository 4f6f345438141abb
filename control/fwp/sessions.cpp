// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "fwp/requests.h"
#include "runtime/text.h"

using namespace sluice;

namespace {

// What an option that cannot be asked about is refused with; success for the others.
NTSTATUS option_status(FWPM_ENGINE_OPTION option) {
    switch (option) {
    case FWPM_ENGINE_COLLECT_NET_EVENTS:
    case FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC:
        return STATUS_SUCCESS;
    case FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS:
    case FWPM_ENGINE_NAME_CACHE:
    case FWPM_ENGINE_MONITOR_IPSEC_CONNECTIONS:
    case FWPM_ENGINE_PACKET_QUEUING:
        return STATUS_NOT_SUPPORTED;
    default:
        return STATUS_FWP_INVALID_ENUMERATOR;
    }
}

} // namespace

VOID FwpmFreeMemory0(VOID **p) {
    if (!p) return;
    std::free(*p);
    *p = nullptr;
}

NTSTATUS FwpmEngineOpen0(const WCHAR *server, UINT32 authn, SEC_WINNT_AUTH_IDENTITY_W *identity,
                         const FWPM_SESSION0 *session, HANDLE *engine) {
    return fwp::guarded([&] {
        if (!engine) return STATUS_FWP_NULL_POINTER;
        if (server || identity) return STATUS_INVALID_PARAMETER;
        if (authn != RPC_C_AUTHN_WINNT && authn != RPC_C_AUTHN_DEFAULT)
            return STATUS_INVALID_PARAMETER;
        runtime::Sessions::Spec spec;
        if (session) {
            if (session->flags & ~(FWPM_SESSION_FLAG_DYNAMIC | FWPM_SESSION_FLAG_RESERVED))
                return STATUS_FWP_INVALID_FLAGS;
            spec.key = runtime::guid_of(session->sessionKey);
            spec.dynamic = session->flags & FWPM_SESSION_FLAG_DYNAMIC;
            spec.wait_ms = session->txnWaitTimeoutInMSec;
            spec.name = runtime::to_utf8(session->displayData.name);
        }
        fwp::engine().start();
        auto opened = fwp::engine().sessions().open(std::move(spec));
        if (!opened) return fwp::status_of(opened.error());
        *engine = *opened;
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpmEngineClose0(HANDLE engine) {
    return fwp::guarded([&] {
        fwp::engine().subscriptions().end_session(engine);
        fwp::enumerations().end_session(engine);
        return fwp::engine().sessions().close(engine);
    });
}

NTSTATUS FwpmTransactionBegin0(HANDLE engine, UINT32 flags) {
    return fwp::guarded([&] {
        if (flags & ~FWPM_TXN_READ_ONLY) return STATUS_FWP_INVALID_FLAGS;
        return fwp::ask(engine, [&](protocol::Request &r, std::uint64_t session) {
            r.mutable_transaction_begin()->set_session(session);
            r.mutable_transaction_begin()->set_read_only(flags & FWPM_TXN_READ_ONLY);
        });
    });
}

NTSTATUS FwpmTransactionCommit0(HANDLE engine) {
    return fwp::guarded([&] {
        return fwp::ask(engine, [](protocol::Request &r, std::uint64_t session) {
            r.mutable_transaction_commit()->set_session(session);
        });
    });
}

NTSTATUS FwpmTransactionAbort0(HANDLE engine) {
    return fwp::guarded([&] {
        return fwp::ask(engine, [](protocol::Request &r, std::uint64_t session) {
            r.mutable_transaction_abort()->set_session(session);
        });
    });
}

NTSTATUS FwpmEngineGetOption0(HANDLE engine, FWPM_ENGINE_OPTION option, FWP_VALUE0 **value) {
    return fwp::guarded([&] {
        if (!value) return STATUS_FWP_NULL_POINTER;
        if (const NTSTATUS status = option_status(option); status != STATUS_SUCCESS) return status;
        auto reply = fwp::request(engine, [&](protocol::Request &r, std::uint64_t session) {
            r.mutable_engine_option_get()->set_session(session);
            r.mutable_engine_option_get()->set_option(option);
        });
        if (!reply) return fwp::status_of(reply.error());
        *value = static_cast<FWP_VALUE0 *>(runtime::one_allocation([&](runtime::Arena &arena) {
            auto *made = arena.make<FWP_VALUE0>();
            *made = runtime::to_value(arena, reply->engine_option().value());
        }));
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpmEngineSetOption0(HANDLE engine, FWPM_ENGINE_OPTION option, const FWP_VALUE0 *value) {
    return fwp::guarded([&] {
        if (!value) return STATUS_FWP_NULL_POINTER;
        if (const NTSTATUS status = option_status(option); status != STATUS_SUCCESS) return status;
        if (value->type != FWP_UINT32) return STATUS_FWP_TYPE_MISMATCH;
        if (option == FWPM_ENGINE_COLLECT_NET_EVENTS && value->uint32 > 1)
            return STATUS_FWP_OUT_OF_BOUNDS;
        return fwp::ask(engine, [&](protocol::Request &r, std::uint64_t session) {
            auto &set = *r.mutable_engine_option_set();
            set.set_session(session);
            set.set_option(option);
            set.mutable_value()->set_type(FWP_UINT32);
            set.mutable_value()->set_number(value->uint32);
        });
    });
}

FWPM_SERVICE_STATE FwpmBfeStateGet0(VOID) {
    bool running = false;
    (void)fwp::guarded([&] {
        fwp::engine().start();
        running = fwp::engine().connected();
        return STATUS_SUCCESS;
    });
    return running ? FWPM_SERVICE_RUNNING : FWPM_SERVICE_STOPPED;
}

NTSTATUS FwpmBfeStateSubscribeChanges0(VOID *device, FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback,
                                       VOID *context, HANDLE *handle) {
    return fwp::guarded([&] {
        if (!callback || !handle) return STATUS_FWP_NULL_POINTER;
        if (!fwp::engine().devices().alive(device)) return STATUS_INVALID_PARAMETER;
        const HANDLE made = fwp::engine().subscriptions().add_state([=](bool running) {
            callback(context, running ? FWPM_SERVICE_RUNNING : FWPM_SERVICE_STOPPED);
        });
        fwp::engine().start();
        *handle = made;
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpmBfeStateUnsubscribeChanges0(HANDLE handle) {
    return fwp::guarded([&] { return fwp::engine().subscriptions().remove_state(handle); });
}

NTSTATUS FwpmSessionCreateEnumHandle0(HANDLE engine, const FWPM_SESSION_ENUM_TEMPLATE0 *,
                                      HANDLE *handle) {
    return fwp::guarded([&] {
        if (!handle) return STATUS_FWP_NULL_POINTER;
        return fwp::begin_enum(
            engine, fwp::EnumKind::session, handle,
            [](protocol::Reply &r) { return r.mutable_sessions()->mutable_sessions(); },
            [](protocol::Request &r, std::uint64_t session) {
                r.mutable_session_enum()->set_session(session);
            });
    });
}
NTSTATUS FwpmSessionEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_SESSION0 ***entries,
                          UINT32 *returned) {
    return fwp::next_page<protocol::SessionInfo>(engine, fwp::EnumKind::session, handle, wanted,
                                                 entries, returned);
}
NTSTATUS FwpmSessionDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, fwp::EnumKind::session, handle);
}
