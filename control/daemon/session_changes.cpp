// SPDX-License-Identifier: Apache-2.0
// The operations of sessions on objects.
#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/sessions.h"
#include "policy/edit.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

void Sessions::add_sublayer(const protocol::SubLayer &message, const Responder &to) {
    auto object = store::from_message(message);
    if (!object) return to.fail(object.error());
    change(message.session(), to,
           [object = *object](policy::Policy &policy, const Session &s) -> Result<Reply> {
               auto added = object;
               added.owner = s.dynamic ? s.id : 0;
               if (auto r = policy::add_sublayer(policy, std::move(added)); !r) return r.error();
               return Reply();
           });
}

void Sessions::add_callout(const protocol::Callout &message, const Responder &to) {
    auto object = store::from_message(message);
    if (!object) return to.fail(object.error());
    change(message.session(), to,
           [object = *object](policy::Policy &policy, const Session &s) -> Result<Reply> {
               auto added = object;
               added.owner = s.dynamic ? s.id : 0;
               auto id = policy::add_callout(policy, std::move(added));
               if (!id) return id.error();
               Reply reply;
               reply.set_callout_id(*id);
               return reply;
           });
}

void Sessions::delete_filter(const protocol::FilterDelete &message, const Responder &to) {
    change(message.session(), to,
           [id = message.id()](policy::Policy &policy, const Session &s) -> Result<Reply> {
               if (auto r = policy::delete_filter(policy, id, s.dynamic ? s.id : 0); !r)
                   return r.error();
               return Reply();
           });
}

void Sessions::add_filter(const protocol::Filter &message, const Responder &to) {
    auto object = store::from_message(message);
    if (!object) return to.fail(object.error());
    in_order(message.session(), to, [this, to, object = std::move(*object)](Session &session) {
        with_writable(session, to, [this, to, object](Session &s) {
            auto added = object;
            added.owner = s.dynamic ? s.id : 0;
            auto id = policy::add_filter(s.transaction->policy, std::move(added));
            if (!id) return conclude(s, id.error(), to);
            notify_filter(s, *id, to);
        });
    });
}

// The host of the filter's callout is asked first, if there is one: it may refuse the filter.
void Sessions::notify_filter(Session &session, std::uint64_t id, const Responder &to) {
    const auto &policy = session.transaction->policy;
    const auto &filter = policy.filters.at(id);
    const auto *host = filter.callout.is_null() ? nullptr : core_.hosts->of_callout(filter.callout);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client) {
        Reply reply;
        reply.set_filter_id(id);
        return conclude(session, std::move(reply), to);
    }
    protocol::Notice notice;
    notice.mutable_filter_notify()->set_type(protocol::FilterNotify::ADD);
    notice.mutable_filter_notify()->set_callout_key(filter.callout.bytes());
    *notice.mutable_filter_notify()->mutable_filter() = core_.hosts->filter_message(filter, policy);
    core_.notices.send(
        client, std::move(notice), core_.options.notify,
        [this, session_id = session.id, id, to](bool answered, std::uint32_t status) {
            filter_answered(session_id, id, answered && status == 0, to);
        });
}

void Sessions::filter_answered(std::uint64_t id, std::uint64_t filter_id, bool accepted,
                               const Responder &to) {
    Session *session = find(id);
    // The session, or the transaction that this belonged to, may have ended meanwhile.
    if (session == nullptr || !session->transaction) return;
    auto &transaction = *session->transaction;
    const auto it = transaction.policy.filters.find(filter_id);
    if (it == transaction.policy.filters.end()) return;
    if (!accepted) {
        transaction.policy.filters.erase(it);
        return conclude(
            *session,
            Error::status(static_cast<std::uint32_t>(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED),
                          "the callout's host did not accept the filter"),
            to);
    }
    transaction.notified.push_back(it->second);
    Reply reply;
    reply.set_filter_id(filter_id);
    conclude(*session, std::move(reply), to);
}

} // namespace sluice::daemon
