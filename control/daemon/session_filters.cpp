// SPDX-License-Identifier: Apache-2.0
// Filters that sessions add. The host of a filter's callout is asked first and may refuse; nobody
// but an open transaction keeps others from writing while it thinks.
#include <algorithm>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/plugins.h"
#include "daemon/sessions.h"
#include "policy/built_in.h"
#include "policy/edit.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

Error not_accepted() {
    return policy::refuse(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED,
                          "the callout's host did not accept the filter");
}

// With the number that was reserved for it: its host hears of it before it is there.
Result<void> add_numbered(policy::Policy &policy, const policy::Filter &filter) {
    const std::uint64_t next = std::exchange(policy.next_filter_id, filter.id);
    const auto id = policy::add_filter(policy, filter);
    policy.next_filter_id = std::max(next, filter.id + 1);
    if (!id) return id.error();
    return {};
}

protocol::Reply reply_with(std::uint64_t filter) {
    protocol::Reply reply;
    reply.set_filter_id(filter);
    return reply;
}

} // namespace

void Sessions::add_filter(const protocol::Filter &message, const Responder &to) {
    auto object = store::from_message(message);
    if (!object) return to.fail(object.error());
    if (!policy::is_ask_callout(object->callout)) return add_read(message.session(), *object, to);
    // With nobody to ask it would block.
    core_.plugins->need_ask(
        [this, id = message.session(), object = std::move(*object), to](const Result<void> &r) {
            if (!r) return to.fail(r.error());
            add_read(id, object, to);
        });
}

void Sessions::add_read(std::uint64_t id, const policy::Filter &object, const Responder &to) {
    in_order(id, to, [this, to, object](Session &s) {
        auto added = object;
        added.owner = s.dynamic ? s.id : 0;
        added.id = core_.engine->reserve_filter_id();
        if (added.key.is_null()) added.key = Guid::random(); // the same however often it is added
        if (s.transaction && !s.transaction->read_only) return add_in_transaction(s, added, to);
        const bool asked = core_.hosts->of_callout(added.callout) != nullptr;
        if (!s.transaction && asked) return add_alone(s, added, to);
        with_writable(s, to,
                      [this, added, to](Session &writer) { add_accepted(writer, added, to); });
    });
}

bool Sessions::ask_host(Session &session, const policy::Filter &filter,
                        const policy::Policy &policy, Answered then) {
    auto *host = filter.callout.is_null() ? nullptr : core_.hosts->of_callout(filter.callout);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client) return false;
    const bool serves_itself = client->id == session.client;
    if (serves_itself) ++session.serving;
    core_.hosts->ask(*host,
                     core_.hosts->notify_message(protocol::FilterNotify::ADD, filter, policy),
                     session.wait,
                     [this, id = session.id, connection = session.connections, serves_itself,
                      then = std::move(then)](bool answered, std::uint32_t status) {
                         auto *s = find(id);
                         if (s == nullptr || s->connections != connection) return;
                         if (serves_itself) --s->serving;
                         then(*s, answered && status == 0);
                     });
    return true;
}

void Sessions::add_in_transaction(Session &session, const policy::Filter &filter,
                                  const Responder &to) {
    auto &policy = session.transaction->policy;
    if (auto r = add_numbered(policy, filter); !r) return conclude(session, r.error(), to);
    const auto &added = policy.filters.at(filter.id);
    const bool asked = ask_host(
        session, added, policy,
        [this, number = session.transaction->number, id = filter.id, to](Session &s, bool yes) {
            if (!s.transaction || s.transaction->number != number) {
                s.aborted = false; // this is the call that hears of it
                return refuse(s,
                              policy::refuse(STATUS_FWP_TXN_ABORTED,
                                             "the session held its transaction for too long"),
                              to, 5);
            }
            const auto at = s.transaction->policy.filters.find(id);
            if (at == s.transaction->policy.filters.end()) // deleted again meanwhile
                return conclude(s, reply_with(id), to);
            if (!yes) {
                s.transaction->policy.filters.erase(at);
                return conclude(s, not_accepted(), to);
            }
            s.transaction->notified.push_back(at->second);
            conclude(s, reply_with(id), to);
        });
    if (!asked) conclude(session, reply_with(filter.id), to);
}

// Tried on a copy, so that the host is asked only about what would be added.
void Sessions::add_alone(Session &session, const policy::Filter &filter, const Responder &to) {
    policy::Policy scratch = core_.engine->policy();
    if (auto r = add_numbered(scratch, filter); !r) return refuse(session, r.error(), to);
    ask_host(session, scratch.filters.at(filter.id), scratch,
             [this, filter, to](Session &s, bool yes) {
                 if (!yes) return refuse(s, not_accepted(), to);
                 with_writable(
                     s, to,
                     [this, filter, to](Session &writer) {
                         writer.transaction->notified.push_back(filter);
                         add_accepted(writer, filter, to);
                     },
                     [this, filter] { core_.hosts->filter_deleted(filter); });
             });
}

void Sessions::add_accepted(Session &session, const policy::Filter &filter, const Responder &to) {
    if (auto r = add_numbered(session.transaction->policy, filter); !r)
        return conclude(session, r.error(), to);
    conclude(session, reply_with(filter.id), to);
}

// The filter stays the one that it is, so its host is not asked.
void Sessions::set_hold(const protocol::FilterHoldSet &message, const Responder &to) {
    const auto hold = store::from_message(message.hold());
    if (!hold) return to.fail(hold.error());
    change(message.session(), to,
           [id = message.filter(), hold = *hold](policy::Policy &policy,
                                                 const Session &s) -> Result<Reply> {
               if (auto r = policy::set_hold(policy, id, hold, s.dynamic ? s.id : 0); !r)
                   return r.error();
               return Reply();
           });
}

} // namespace sluice::daemon
