// SPDX-License-Identifier: Apache-2.0
// What sessions do to objects other than filters, and how they read them.
#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/sessions.h"
#include "daemon/subscriptions.h"
#include "policy/edit.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

policy::SessionId owner_of(const Session &session) {
    return session.dynamic ? session.id : 0;
}

Result<Guid> key_in(const std::string &bytes) {
    if (bytes.empty()) return Guid{};
    if (auto key = Guid::from_bytes(bytes)) return *key;
    return policy::refuse(STATUS_INVALID_PARAMETER, "an object's key is not a GUID");
}

// By key if there is one, else by run-time id, which providers and sublayers do not have.
Result<void> delete_from(policy::Policy &policy, const protocol::ObjectDelete &m, const Guid &key,
                         policy::SessionId owner) {
    const bool by_id = key.is_null();
    switch (m.kind()) {
    case protocol::PROVIDER:
        return policy::delete_provider(policy, key, owner);
    case protocol::PROVIDER_CONTEXT:
        return by_id ? policy::delete_provider_context(policy, m.id(), owner)
                     : policy::delete_provider_context(policy, key, owner);
    case protocol::SUBLAYER:
        return policy::delete_sublayer(policy, key, owner);
    case protocol::CALLOUT:
        return by_id ? policy::delete_callout(policy, static_cast<std::uint32_t>(m.id()), owner)
                     : policy::delete_callout(policy, key, owner);
    case protocol::FILTER:
        return by_id ? policy::delete_filter(policy, m.id(), owner)
                     : policy::delete_filter(policy, key, owner);
    default:
        return policy::refuse(STATUS_INVALID_PARAMETER, "no such kind of object",
                              std::to_string(m.kind()));
    }
}

} // namespace

void Sessions::change(std::uint64_t id, const Responder &to, Change change) {
    in_order(id, to, [this, to, change = std::move(change)](Session &session) {
        with_writable(session, to, [this, to, change](Session &s) {
            conclude(s, change(s.transaction->policy, s), to);
        });
    });
}

void Sessions::edit(const Responder &to, Edit edit, std::function<void()> then) {
    in_order(0, to, [this, to, edit = std::move(edit), then = std::move(then)](Session &session) {
        with_writable(session, to, [this, to, edit, then](Session &s) {
            const auto changed = edit(s.transaction->policy);
            if (!changed) return conclude(s, changed.error(), to);
            s.transaction->changed = s.transaction->changed || *changed;
            if (auto r = s.transaction->implicit ? commit_now(s) : Result<void>(); !r)
                return refuse(s, r.error(), to);
            then();
            to.done();
            finished(s);
        });
    });
}

// add: puts the object, which the session owns, into the policy.
template <typename Message, typename Add>
void Sessions::add(const Message &message, const Responder &to, Add add) {
    auto object = store::from_message(message);
    if (!object) return to.fail(object.error());
    change(message.session(), to,
           [object = *object, add](policy::Policy &policy, const Session &s) -> Result<Reply> {
               auto added = object;
               added.owner = owner_of(s);
               return add(policy, std::move(added));
           });
}

void Sessions::add_provider(const protocol::Provider &message, const Responder &to) {
    add(message, to, [](policy::Policy &policy, policy::Provider added) -> Result<Reply> {
        if (auto r = policy::add_provider(policy, std::move(added)); !r) return r.error();
        return Reply();
    });
}

void Sessions::add_provider_context(const protocol::ProviderContext &message, const Responder &to) {
    add(message, to, [](policy::Policy &policy, policy::ProviderContext added) -> Result<Reply> {
        auto id = policy::add_provider_context(policy, std::move(added));
        if (!id) return id.error();
        Reply reply;
        reply.set_provider_context_id(*id);
        return reply;
    });
}

void Sessions::add_sublayer(const protocol::SubLayer &message, const Responder &to) {
    add(message, to, [](policy::Policy &policy, policy::SubLayer added) -> Result<Reply> {
        if (auto r = policy::add_sublayer(policy, std::move(added)); !r) return r.error();
        return Reply();
    });
}

void Sessions::add_callout(const protocol::Callout &message, const Responder &to) {
    add(message, to, [](policy::Policy &policy, policy::Callout added) -> Result<Reply> {
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
               if (auto r = policy::delete_filter(policy, id, owner_of(s)); !r) return r.error();
               return Reply();
           });
}

void Sessions::delete_object(const protocol::ObjectDelete &message, const Responder &to) {
    const auto key = key_in(message.key());
    if (!key) return to.fail(key.error());
    change(message.session(), to,
           [message, key = *key](policy::Policy &policy, const Session &s) -> Result<Reply> {
               if (auto r = delete_from(policy, message, key, owner_of(s)); !r) return r.error();
               return Reply();
           });
}

void Sessions::read(std::uint64_t id, const Responder &to,
                    const std::function<void(const policy::Policy &)> &use) {
    if (id == 0) return use(core_.engine->policy());
    const Session *session = named(id, to);
    if (session == nullptr) return;
    use(session->transaction ? session->transaction->policy : core_.engine->policy());
}

void Sessions::subscribe(const protocol::Subscribe &message, const Responder &to) {
    in_order(message.session(), to, [this, message, to](Session &s) {
        if (s.transaction)
            return refuse(s,
                          policy::refuse(STATUS_FWP_TXN_IN_PROGRESS,
                                         "nobody subscribes inside a transaction"),
                          to);
        const auto client = to.client();
        if (!client) return finished(s);
        const auto id = core_.subscriptions->add(s.id, client, message);
        if (!id) return refuse(s, id.error(), to);
        Reply reply;
        reply.set_subscription_id(*id);
        to.done(std::move(reply));
        finished(s);
    });
}

void Sessions::unsubscribe(const protocol::Unsubscribe &message, const Responder &to) {
    in_order(message.session(), to, [this, id = message.subscription(), to](Session &s) {
        if (s.transaction)
            return refuse(s,
                          policy::refuse(STATUS_FWP_TXN_IN_PROGRESS,
                                         "nobody ends a subscription inside a transaction"),
                          to);
        if (!core_.subscriptions->remove(s.id, id))
            return refuse(s,
                          policy::refuse(STATUS_INVALID_HANDLE, "the session has no subscription",
                                         std::to_string(id)),
                          to);
        to.done();
        finished(s);
    });
}

} // namespace sluice::daemon
