// SPDX-License-Identifier: Apache-2.0
#include "fwp/convert.h"
#include "fwp/instance.h"
#include "runtime/text.h"

using namespace sluice;

namespace {

// A request whose only outcome is its status.
NTSTATUS ask(HANDLE engine, const runtime::Sessions::Fill &fill) {
    auto reply = fwp::engine().sessions().request(engine, fill);
    return reply ? STATUS_SUCCESS : fwp::status_of(reply.error());
}

// Adds an object that was converted already; its session is filled in here.
template <typename Message, typename Setter>
Result<protocol::Reply> add(HANDLE engine, const Message &message, Setter mutable_body) {
    return fwp::engine().sessions().request(engine,
                                            [&](protocol::Request &r, std::uint64_t session) {
                                                auto *body = mutable_body(r);
                                                *body = message;
                                                body->set_session(session);
                                            });
}

} // namespace

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
    return fwp::guarded([&] { return fwp::engine().sessions().close(engine); });
}

NTSTATUS FwpmTransactionBegin0(HANDLE engine, UINT32 flags) {
    return fwp::guarded([&] {
        if (flags & ~FWPM_TXN_READ_ONLY) return STATUS_FWP_INVALID_FLAGS;
        return ask(engine, [&](protocol::Request &r, std::uint64_t session) {
            r.mutable_transaction_begin()->set_session(session);
            r.mutable_transaction_begin()->set_read_only(flags & FWPM_TXN_READ_ONLY);
        });
    });
}

NTSTATUS FwpmTransactionCommit0(HANDLE engine) {
    return fwp::guarded([&] {
        return ask(engine, [](protocol::Request &r, std::uint64_t session) {
            r.mutable_transaction_commit()->set_session(session);
        });
    });
}

NTSTATUS FwpmTransactionAbort0(HANDLE engine) {
    return fwp::guarded([&] {
        return ask(engine, [](protocol::Request &r, std::uint64_t session) {
            r.mutable_transaction_abort()->set_session(session);
        });
    });
}

NTSTATUS FwpmSubLayerAdd0(HANDLE engine, const FWPM_SUBLAYER0 *sublayer, PSECURITY_DESCRIPTOR sd) {
    return fwp::guarded([&] {
        if (!sublayer) return STATUS_FWP_NULL_POINTER;
        if (sd) return STATUS_NOT_SUPPORTED;
        protocol::SubLayer message;
        if (auto good = fwp::to_message(*sublayer, message); !good)
            return fwp::status_of(good.error());
        auto reply = add(engine, message, [](auto &r) { return r.mutable_sublayer_add(); });
        return reply ? STATUS_SUCCESS : fwp::status_of(reply.error());
    });
}

NTSTATUS FwpmCalloutAdd0(HANDLE engine, const FWPM_CALLOUT0 *callout, PSECURITY_DESCRIPTOR sd,
                         UINT32 *id) {
    return fwp::guarded([&] {
        if (!callout) return STATUS_FWP_NULL_POINTER;
        if (sd) return STATUS_NOT_SUPPORTED;
        protocol::Callout message;
        if (auto good = fwp::to_message(*callout, message); !good)
            return fwp::status_of(good.error());
        auto reply = add(engine, message, [](auto &r) { return r.mutable_callout_add(); });
        if (!reply) return fwp::status_of(reply.error());
        // The id of this process, which FwpsCalloutRegister gives too; sluiced's own number stays
        // inside.
        if (id) *id = fwp::engine().callout_id(Guid::from_bytes(message.key()).value_or(Guid{}));
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpmFilterAdd0(HANDLE engine, const FWPM_FILTER0 *filter, PSECURITY_DESCRIPTOR sd,
                        UINT64 *id) {
    return fwp::guarded([&] {
        if (!filter) return STATUS_FWP_NULL_POINTER;
        if (sd) return STATUS_NOT_SUPPORTED;
        protocol::Filter message;
        if (auto good = fwp::to_message(*filter, message); !good)
            return fwp::status_of(good.error());
        auto reply = add(engine, message, [](auto &r) { return r.mutable_filter_add(); });
        if (!reply) return fwp::status_of(reply.error());
        if (id) *id = reply->filter_id();
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpmFilterDeleteById0(HANDLE engine, UINT64 id) {
    return fwp::guarded([&] {
        return ask(engine, [&](protocol::Request &r, std::uint64_t session) {
            r.mutable_filter_delete()->set_session(session);
            r.mutable_filter_delete()->set_id(id);
        });
    });
}
