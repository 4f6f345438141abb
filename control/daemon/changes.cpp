// SPDX-License-Identifier: Apache-2.0
#include "daemon/changes.h"

#include "store/wire.h"

namespace sluice::daemon {

namespace {

std::uint64_t id_of(const policy::Provider &) {
    return 0;
}
std::uint64_t id_of(const policy::SubLayer &) {
    return 0;
}
std::uint64_t id_of(const policy::ProviderContext &object) {
    return object.id;
}
std::uint64_t id_of(const policy::Callout &object) {
    return object.id;
}
std::uint64_t id_of(const policy::Filter &object) {
    return object.id;
}

// Filters do not change under one id; the others have no other name than their key.
bool same(const policy::Filter &a, const policy::Filter &b) {
    return a.id == b.id;
}
template <typename T>
bool same(const T &a, const T &b) {
    return store::to_message(a).SerializeAsString() == store::to_message(b).SerializeAsString();
}

template <typename Map>
void missing(const Map &from, const Map &in, bool added, protocol::ObjectKind kind,
             std::vector<ObjectChange> &out) {
    for (const auto &[name, object] : from) {
        const auto other = in.find(name);
        if (other == in.end() || !same(object, other->second))
            out.push_back({kind, added, object.key, id_of(object)});
    }
}

template <typename Map>
std::vector<ObjectChange> between(const Map &old, const Map &now, protocol::ObjectKind kind) {
    std::vector<ObjectChange> out;
    missing(old, now, false, kind, out);
    missing(now, old, true, kind, out);
    return out;
}

} // namespace

std::vector<ObjectChange> changes_between(const policy::Policy &old, const policy::Policy &now,
                                          protocol::ObjectKind kind) {
    switch (kind) {
    case protocol::PROVIDER:
        return between(old.providers, now.providers, kind);
    case protocol::PROVIDER_CONTEXT:
        return between(old.provider_contexts, now.provider_contexts, kind);
    case protocol::SUBLAYER:
        return between(old.sublayers, now.sublayers, kind);
    case protocol::CALLOUT:
        return between(old.callouts, now.callouts, kind);
    default:
        return between(old.filters, now.filters, protocol::FILTER);
    }
}

bool meets(const policy::Policy &policy, const ObjectChange &change,
           const policy::Template &wanted) {
    const auto of_provider = [&](const auto &map) {
        const auto at = map.find(change.key);
        return at != map.end() &&
               (wanted.provider.is_null() || at->second.provider == wanted.provider);
    };
    switch (change.kind) {
    case protocol::PROVIDER:
        return true;
    case protocol::PROVIDER_CONTEXT:
        return of_provider(policy.provider_contexts) &&
               (!wanted.context_type ||
                policy.provider_contexts.at(change.key).type == *wanted.context_type);
    case protocol::SUBLAYER:
        return of_provider(policy.sublayers);
    case protocol::CALLOUT:
        return of_provider(policy.callouts) &&
               (!wanted.layer || policy.callouts.at(change.key).layer == *wanted.layer);
    default:
        const auto filter = policy.filters.find(change.id);
        if (filter == policy.filters.end()) return false;
        const auto met = policy::meets(filter->second, wanted);
        return met && *met;
    }
}

} // namespace sluice::daemon
