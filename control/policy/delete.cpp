// SPDX-License-Identifier: Apache-2.0
// J7: what is referred to stays, what is built in stays, and a session keeps to its own.
#include <algorithm>

#include <sluice/fwp.h>

#include "policy/check.h"
#include "policy/redirect.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

// The name of one of `objects` that meets `refers`, if there is one.
template <typename Map, typename Refers>
const std::string *referrer(const Map &objects, Refers refers) {
    const auto found = std::find_if(objects.begin(), objects.end(),
                                    [&](const auto &entry) { return refers(entry.second); });
    return found != objects.end() ? &found->second.name : nullptr;
}

Result<void> in_use(const char *kind, const std::string &name, const char *by_kind,
                    const std::string &by) {
    return refuse(STATUS_FWP_IN_USE, std::string(by_kind) + " '" + by + "' refers to " + kind,
                  name);
}

Result<void> erase_filter(Policy &policy, Filters::const_iterator at, SessionId session) {
    const Filter &filter = at->second;
    if (Result<void> r = check_owner(filter, session, "filter"); !r) return r;
    const Guid context = filter.provider_context;
    const bool own = !context.is_null() && context == own_context_key(filter.key);
    policy.filters.erase(at);
    if (own) (void)delete_provider_context(policy, context, session); // unless others refer to it
    return {};
}

Result<void> erase_callout(Policy &policy, std::map<Guid, Callout>::iterator at,
                           SessionId session) {
    const Callout &callout = at->second;
    if (Result<void> r = check_owner(callout, session, "callout"); !r) return r;
    const std::string *by =
        referrer(policy.filters, [&](const Filter &f) { return f.callout == callout.key; });
    if (by != nullptr) return in_use("callout", callout.name, "filter", *by);
    policy.callouts.erase(at);
    return {};
}

Result<void> erase_context(Policy &policy, std::map<Guid, ProviderContext>::iterator at,
                           SessionId session) {
    const ProviderContext &context = at->second;
    if (Result<void> r = check_owner(context, session, "provider context"); !r) return r;
    const std::string *by = referrer(
        policy.filters, [&](const Filter &f) { return f.provider_context == context.key; });
    if (by != nullptr) return in_use("provider context", context.name, "filter", *by);
    policy.provider_contexts.erase(at);
    return {};
}

} // namespace

Result<void> delete_filter(Policy &policy, std::uint64_t id, SessionId session) {
    const auto found = policy.filters.find(id);
    if (found == policy.filters.end())
        return refuse(STATUS_FWP_FILTER_NOT_FOUND, "no such filter", std::to_string(id));
    return erase_filter(policy, found, session);
}

Result<void> delete_filter(Policy &policy, const Guid &key, SessionId session) {
    const auto found = policy.filters.find_key(key);
    if (found == policy.filters.end())
        return refuse(STATUS_FWP_FILTER_NOT_FOUND, "no such filter", key.text());
    return erase_filter(policy, found, session);
}

Result<void> delete_callout(Policy &policy, const Guid &key, SessionId session) {
    const auto found = policy.callouts.find(key);
    if (found == policy.callouts.end())
        return refuse(STATUS_FWP_CALLOUT_NOT_FOUND, "no such callout", key.text());
    return erase_callout(policy, found, session);
}

Result<void> delete_callout(Policy &policy, std::uint32_t id, SessionId session) {
    const auto found = std::find_if(policy.callouts.begin(), policy.callouts.end(),
                                    [&](const auto &entry) { return entry.second.id == id; });
    if (found == policy.callouts.end())
        return refuse(STATUS_FWP_CALLOUT_NOT_FOUND, "no such callout", std::to_string(id));
    return erase_callout(policy, found, session);
}

Result<void> delete_sublayer(Policy &policy, const Guid &key, SessionId session) {
    const auto found = policy.sublayers.find(key);
    if (found == policy.sublayers.end())
        return refuse(STATUS_FWP_SUBLAYER_NOT_FOUND, "no such sublayer", key.text());
    if (Result<void> r = check_owner(found->second, session, "sublayer"); !r) return r;
    const std::string *by =
        referrer(policy.filters, [&](const Filter &f) { return f.sublayer == key; });
    if (by != nullptr) return in_use("sublayer", found->second.name, "filter", *by);
    policy.sublayers.erase(found);
    return {};
}

Result<void> delete_provider(Policy &policy, const Guid &key, SessionId session) {
    const auto found = policy.providers.find(key);
    if (found == policy.providers.end())
        return refuse(STATUS_FWP_PROVIDER_NOT_FOUND, "no such provider", key.text());
    if (Result<void> r = check_owner(found->second, session, "provider"); !r) return r;
    const auto refers = [&](const auto &object) { return object.provider == key; };
    const std::string &name = found->second.name;
    if (const std::string *by = referrer(policy.filters, refers))
        return in_use("provider", name, "filter", *by);
    if (const std::string *by = referrer(policy.callouts, refers))
        return in_use("provider", name, "callout", *by);
    if (const std::string *by = referrer(policy.sublayers, refers))
        return in_use("provider", name, "sublayer", *by);
    if (const std::string *by = referrer(policy.provider_contexts, refers))
        return in_use("provider", name, "provider context", *by);
    policy.providers.erase(found);
    return {};
}

Result<void> delete_provider_context(Policy &policy, const Guid &key, SessionId session) {
    const auto found = policy.provider_contexts.find(key);
    if (found == policy.provider_contexts.end())
        return refuse(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND, "no such provider context",
                      key.text());
    return erase_context(policy, found, session);
}

Result<void> delete_provider_context(Policy &policy, std::uint64_t id, SessionId session) {
    const auto found =
        std::find_if(policy.provider_contexts.begin(), policy.provider_contexts.end(),
                     [&](const auto &entry) { return entry.second.id == id; });
    if (found == policy.provider_contexts.end())
        return refuse(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND, "no such provider context",
                      std::to_string(id));
    return erase_context(policy, found, session);
}

std::vector<Filter> delete_owned(Policy &policy, SessionId session) {
    std::vector<Filter> gone;
    if (session == 0) return gone;
    for (const auto &[id, filter] : policy.filters) {
        if (filter.owner == session) gone.push_back(filter);
    }
    // Nobody else's object can refer to these: adding sees to lifetimes.
    const auto is_owned = [&](const auto &entry) { return entry.second.owner == session; };
    erase_if(policy.filters, is_owned);
    std::erase_if(policy.provider_contexts, is_owned);
    std::erase_if(policy.callouts, is_owned);
    std::erase_if(policy.sublayers, is_owned);
    std::erase_if(policy.providers, is_owned);
    return gone;
}

} // namespace sluice::policy
