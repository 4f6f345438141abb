// SPDX-License-Identifier: Apache-2.0
#include "daemon/subscriptions.h"

#include <algorithm>

#include "daemon/changes.h"
#include "daemon/enumeration.h"
#include "sluice/fwp.h"

namespace sluice::daemon {

Result<std::uint64_t> Subscriptions::add(std::uint64_t session,
                                         const std::shared_ptr<Client> &client,
                                         const protocol::Subscribe &what) {
    auto wanted = template_of(what.filter());
    if (!wanted) return wanted.error();
    // What is wrong with a template of filters shows when it is used.
    if (what.kind() == protocol::FILTER && !what.net_events())
        if (auto tried = policy::meets(policy::Filter(), *wanted); !tried) return tried.error();
    const std::uint64_t id = next_++;
    all_[id] = {session,      client->id,        client, what.kind(), what.net_events(),
                what.flags(), std::move(*wanted)};
    return id;
}

void Subscriptions::end(std::map<std::uint64_t, Subscription>::iterator at) {
    if (const auto client = at->second.client.lock()) {
        protocol::Notice notice;
        notice.mutable_subscription_end()->set_subscription(at->first);
        client->notice(std::move(notice));
    }
    all_.erase(at);
}

bool Subscriptions::remove(std::uint64_t session, std::uint64_t id) {
    const auto at = all_.find(id);
    if (at == all_.end() || at->second.session != session) return false;
    end(at);
    return true;
}

void Subscriptions::session_ended(std::uint64_t session) {
    for (auto at = all_.begin(); at != all_.end();) {
        const auto here = at++;
        if (here->second.session == session) end(here);
    }
}

void Subscriptions::client_gone(std::uint64_t client) {
    std::erase_if(all_, [&](const auto &s) { return s.second.client_id == client; });
}

bool Subscriptions::any_net_events() const {
    return std::any_of(all_.begin(), all_.end(), [](const auto &s) { return s.second.net_events; });
}

void Subscriptions::changed(const policy::Policy &old, const policy::Policy &now,
                            std::uint64_t by) {
    std::map<protocol::ObjectKind, std::vector<ObjectChange>> changes; // worked out once a kind
    for (const auto &[id, s] : all_) {
        const auto client = s.client.lock();
        if (!client || s.net_events || s.session == by) continue;
        const protocol::ObjectKind kind = s.kind;
        if (!changes.contains(kind)) changes[kind] = changes_between(old, now, kind);
        for (const auto &change : changes[kind]) {
            const std::uint32_t flag = change.added ? FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD
                                                    : FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE;
            if (!(s.flags & flag)) continue;
            if (!meets(change.added ? now : old, change, s.wanted)) continue;
            protocol::Notice notice;
            auto *m = notice.mutable_change();
            m->set_subscription(id);
            m->set_kind(kind);
            m->set_type(change.added ? FWPM_CHANGE_ADD : FWPM_CHANGE_DELETE);
            m->set_key(change.key.bytes());
            m->set_id(change.id);
            client->notice(std::move(notice));
        }
    }
}

void Subscriptions::net_event(const protocol::NetEvent &event) {
    for (const auto &[id, s] : all_) {
        const auto client = s.client.lock();
        // Events that nobody reads are lost; its changes and replies are not.
        if (!client || !s.net_events || client->is_behind()) continue;
        protocol::Notice notice;
        *notice.mutable_net_event() = event;
        notice.mutable_net_event()->set_subscription(id);
        client->notice(std::move(notice));
    }
}

} // namespace sluice::daemon
