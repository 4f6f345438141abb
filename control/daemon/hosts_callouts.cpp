// SPDX-License-Identifier: Apache-2.0
// Callouts of hosts, and what hosts hear of the filters that name them.
#include <algorithm>
#include <cerrno>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/flow_contexts.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/sessions.h"
#include "policy/edit.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

constexpr std::uint32_t keep_pended_data_flag = 0x80000000u; // SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA

// The context itself goes only to callouts that say so; its number to all.
void add_context(const policy::Policy &policy, const policy::Filter &filter, protocol::Filter &m) {
    const auto context = policy.provider_contexts.find(filter.provider_context);
    if (context == policy.provider_contexts.end()) return;
    m.set_provider_context_id(context->second.id);
    const auto callout = policy.callouts.find(filter.callout);
    if (callout != policy.callouts.end() &&
        (callout->second.flags & FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT))
        *m.mutable_provider_context_object() = store::to_message(context->second);
}

std::uint32_t kernel_flags(std::uint32_t flags) {
    return ((flags & keep_pended_data_flag) != 0 ? DP_CALLOUT_KEEP_PENDED_DATA : 0) |
           ((flags & FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW) != 0 ? DP_CALLOUT_CONDITIONAL_ON_FLOW
                                                                : 0);
}

} // namespace

void Hosts::register_callout(Host &host, const protocol::CalloutRegister &message,
                             const Responder &to) {
    const auto key = Guid::from_bytes(message.key());
    if (!key || key->is_null()) return to.fail(Error(EINVAL, "callout key is not a GUID"));
    if (const auto *other = of_callout(*key))
        return to.fail(Error::status(static_cast<std::uint32_t>(STATUS_FWP_ALREADY_EXISTS),
                                     "callout is registered by host " + std::to_string(other->id),
                                     key->text()));
    auto id = core_.engine->callout_id(*key, core_.sessions->open_policy());
    if (!id) return to.fail(id.error());
    host.callouts[*key] = {message.local_id(), message.flags(), message.version(),
                           message.has_flow_delete()};
    core_.save_or_warn();
    const std::uint32_t slot = core_.flow_contexts->registered(*id, message.has_flow_delete());
    const auto &filters = core_.engine->policy().filters;
    const bool named = std::any_of(filters.begin(), filters.end(),
                                   [&](const auto &f) { return f.second.callout == *key; });
    if (named) send_table(host.id); // before the kernel begins to ask
    set_callout(*key, &host);
    if (named) core_.engine->republish_soon();
    protocol::Reply reply;
    reply.mutable_callout_registered()->set_id(*id);
    reply.mutable_callout_registered()->set_slot(slot);
    to.done(std::move(reply));
    core_.plugins->callout_registered(host);
}

void Hosts::unregister_callout(Host &host, const protocol::CalloutUnregister &message,
                               const Responder &to) {
    const auto key = Guid::from_bytes(message.key());
    const auto it = key ? host.callouts.find(*key) : host.callouts.end();
    if (it == host.callouts.end())
        return to.fail(Error::status(static_cast<std::uint32_t>(STATUS_FWP_CALLOUT_NOT_FOUND),
                                     "host " + std::to_string(host.id) + " has no such callout"));
    set_callout(*key, nullptr);
    host.callouts.erase(it);
    const auto &ids = core_.engine->policy().callout_ids;
    if (const auto id = ids.find(*key); id != ids.end())
        core_.flow_contexts->unregistered(id->second);
    send_table(host.id);
    core_.engine->republish_soon();
    to.done();
}

void Hosts::set_callout(const Guid &key, const Host *host) {
    const auto &ids = core_.engine->policy().callout_ids;
    const auto id = ids.find(key);
    if (id == ids.end()) return;
    for (const auto &[compartment, plane] : core_.planes->all()) {
        dp_callout record = plane->callout(id->second).value_or(dp_callout{}); // keeps its counter
        if (host != nullptr && host->behind) host = nullptr; // until it knows its filters
        record.host = host != nullptr ? host->id : 0;
        record.local_id = host != nullptr ? host->callouts.at(key).local_id : 0;
        record.flags = host != nullptr ? kernel_flags(host->callouts.at(key).flags) : 0;
        if (const auto slot = core_.flow_contexts->slot_of(id->second)) record.slot = slot;
        if (auto r = plane->set_callout(id->second, record); !r)
            spdlog::error("callout {} in compartment {}: {}", key.text(), compartment,
                          r.error().text());
    }
    core_.flow_contexts->publish();
}

void Hosts::set_callouts(const Host &host) {
    for (const auto &[key, registered] : host.callouts)
        set_callout(key, &host);
}

protocol::Filter Hosts::filter_message(const policy::Filter &filter,
                                       const policy::Policy &policy) const {
    auto m = store::to_message(filter);
    m.set_layer_name(store::layer_name(filter.layer));
    m.set_lifetime(policy::lifetime_name(policy::lifetime(filter)));
    add_context(policy, filter, m);
    if (const auto s = policy.sublayers.find(filter.sublayer); s != policy.sublayers.end()) {
        m.set_sublayer_weight(s->second.weight);
        m.set_sublayer_name(s->second.name);
    }
    if (filter.callout.is_null()) return m;
    if (const auto id = policy.callout_ids.find(filter.callout); id != policy.callout_ids.end())
        m.set_callout_id(id->second);
    if (const auto c = policy.callouts.find(filter.callout); c != policy.callouts.end())
        m.set_callout_name(c->second.name);
    if (const auto *host = of_callout(filter.callout))
        m.set_callout_local_id(host->callouts.at(filter.callout).local_id);
    return m;
}

// ---- what a host is told ----

void Hosts::ask(const Host &host, protocol::Notice notice, Milliseconds wait,
                std::function<void(bool, std::uint32_t)> done, std::function<void()> late) {
    const auto client = host.client.lock();
    if (!client) return done(false, 0);
    const auto heard = [this, id = host.id](bool in_time) {
        if (auto *h = of(id)) h->hung = !in_time;
    };
    core_.notices.send(
        client, std::move(notice), wait,
        [heard, done = std::move(done)](Notices::Outcome outcome, std::uint32_t status) {
            heard(outcome != Notices::Outcome::late);
            done(outcome == Notices::Outcome::answered, status);
        },
        [heard, late = std::move(late)](std::uint32_t) {
            heard(true);
            if (late) late();
        });
}

void Hosts::send_table(std::uint32_t id) {
    auto *host = of(id);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client) return;
    protocol::Notice notice;
    notice.mutable_filter_table()->set_generation(core_.engine->policy().generation);
    for (const auto &[filter_id, filter] : core_.engine->policy().filters) {
        if (!host->callouts.contains(filter.callout)) continue;
        if (notice.filter_table().filters_size() == static_cast<int>(protocol::list_page)) {
            notice.mutable_filter_table()->set_more(true);
            client->notice(notice);
            notice.mutable_filter_table()->clear_filters();
            notice.mutable_filter_table()->set_more(false);
        }
        *notice.mutable_filter_table()->add_filters() =
            filter_message(filter, core_.engine->policy());
    }
    const std::uint64_t table = ++host->tables;
    ask(
        *host, std::move(notice), core_.options.acknowledge,
        [this, id, table](bool answered, std::uint32_t) { table_answered(id, table, answered); },
        [this, id, table] { table_answered(id, table, true); });
}

void Hosts::table_answered(std::uint32_t id, std::uint64_t table, bool in_time) {
    auto *host = of(id);
    if (host == nullptr || host->state != Host::State::live || host->tables != table) return;
    if (host->behind == !in_time) return;
    host->behind = !in_time;
    spdlog::warn("host {} '{}' {}", id, host->name,
                 in_time ? "knows its filters now: its callouts are asked again"
                         : "does not acknowledge its filters: its callouts count as unregistered");
    set_callouts(*host);
    core_.engine->republish_soon();
}

protocol::Notice Hosts::notify_message(protocol::FilterNotify::Type type,
                                       const policy::Filter &filter,
                                       const policy::Policy &policy) const {
    protocol::Notice notice;
    auto *m = notice.mutable_filter_notify();
    m->set_type(type);
    m->set_callout_key(filter.callout.bytes());
    *m->mutable_filter() = filter_message(filter, policy);
    return notice;
}

void Hosts::filter_deleted(const policy::Filter &filter) {
    const auto *host = of_callout(filter.callout);
    if (const auto client = host != nullptr ? host->client.lock() : nullptr)
        client->notice(
            notify_message(protocol::FilterNotify::DELETE, filter, core_.engine->policy()));
}

void Hosts::filter_committed(const policy::Filter &filter) {
    const auto *host = of_callout(filter.callout);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client ||
        !(host->callouts.at(filter.callout).flags & FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY))
        return;
    client->notice(
        notify_message(protocol::FilterNotify::COMMIT_ADD, filter, core_.engine->policy()));
}

} // namespace sluice::daemon
