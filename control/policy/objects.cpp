// SPDX-License-Identifier: Apache-2.0
// Adding what filters refer to: providers, provider contexts, sublayers, callouts.
#include <sluice/fwp.h>

#include "policy/built_in.h"
#include "policy/check.h"
#include "policy/edit.h"
#include "policy/wfp.h"
#include "shared/policy.h"

namespace sluice::policy {

namespace {

constexpr std::size_t sublayers_max = 65536;

template <typename Object>
Result<void> check_object(const Policy &policy, const char *kind, const Object &object,
                          const Guid &provider, std::uint32_t known, std::uint32_t persistent) {
    if ((object.flags & ~known) != 0)
        return refuse(STATUS_FWP_INVALID_FLAGS, std::string("unknown flags of ") + kind,
                      object.name);
    return check_common(policy, subject(kind, object), provider, (object.flags & persistent) != 0);
}

template <typename Object>
Result<void> check_key(const std::map<Guid, Object> &objects, const Guid &key, const char *kind) {
    if (!objects.contains(key)) return {};
    return refuse(STATUS_FWP_ALREADY_EXISTS, std::string("the key is taken by a ") + kind,
                  key.text());
}

Result<void> check_type(const ProviderContext &context) {
    if (context.type >= FWPM_PROVIDER_CONTEXT_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR,
                      "no type of provider context: " + std::to_string(context.type) + ", of",
                      context.name);
    if (context.type != FWPM_GENERAL_CONTEXT)
        return refuse(STATUS_NOT_SUPPORTED,
                      "only general provider contexts mean anything here, not type " +
                          std::to_string(context.type) + " of",
                      context.name);
    return {};
}

} // namespace

Result<void> add_provider(Policy &policy, Provider provider) {
    constexpr std::uint32_t persistent = FWPM_PROVIDER_FLAG_PERSISTENT;
    if (provider.key.is_null()) provider.key = Guid::random();
    if (Result<void> r = check_key(policy.providers, provider.key, "provider"); !r) return r;
    if (Result<void> r = check_object(policy, "provider", provider, Guid{}, persistent, persistent);
        !r)
        return r;
    const Guid key = provider.key;
    policy.providers.emplace(key, std::move(provider));
    return {};
}

Result<std::uint64_t> add_provider_context(Policy &policy, ProviderContext context) {
    constexpr std::uint32_t persistent = FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT;
    if (context.key.is_null()) context.key = Guid::random();
    if (Result<void> r = check_object(policy, "provider context", context, context.provider,
                                      persistent, persistent);
        !r)
        return r.error();
    if (Result<void> r = check_type(context); !r) return r.error();
    if (Result<void> r = check_key(policy.provider_contexts, context.key, "provider context"); !r)
        return r.error();
    const std::uint64_t id = policy.next_provider_context_id++;
    context.id = id;
    const Guid key = context.key;
    policy.provider_contexts.emplace(key, std::move(context));
    return id;
}

Result<void> add_sublayer(Policy &policy, SubLayer sublayer) {
    constexpr std::uint32_t persistent = FWPM_SUBLAYER_FLAG_PERSISTENT;
    if (Result<void> r =
            check_object(policy, "sublayer", sublayer, sublayer.provider, persistent, persistent);
        !r)
        return r;
    if (sublayer.key.is_null()) sublayer.key = Guid::random();
    if (Result<void> r = check_key(policy.sublayers, sublayer.key, "sublayer"); !r) return r;
    if (policy.sublayers.size() >= sublayers_max)
        return refuse(STATUS_FWP_TOO_MANY_SUBLAYERS, "no room for sublayer", sublayer.name);
    const Guid key = sublayer.key;
    policy.sublayers.emplace(key, std::move(sublayer));
    return {};
}

Result<std::uint32_t> callout_id(Policy &policy, const Guid &key) {
    if (const auto known = policy.callout_ids.find(key); known != policy.callout_ids.end())
        return known->second;
    if (policy.next_callout_id >= ask_callouts().front().id)
        return refuse(STATUS_FWP_TOO_MANY_CALLOUTS, "no room for callout", key.text());
    const std::uint32_t id = policy.next_callout_id++;
    policy.callout_ids.emplace(key, id);
    return id;
}

Result<std::uint32_t> add_callout(Policy &policy, Callout callout) {
    constexpr std::uint32_t persistent = FWPM_CALLOUT_FLAG_PERSISTENT;
    if (Result<void> r =
            check_object(policy, "callout", callout, callout.provider,
                         persistent | FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT, persistent);
        !r)
        return r.error();
    if (!layer_known(callout.layer))
        return refuse(STATUS_FWP_LAYER_NOT_FOUND, "no such layer", std::to_string(callout.layer));
    if (callout.key.is_null()) callout.key = Guid::random();
    if (Result<void> r = check_key(policy.callouts, callout.key, "callout"); !r) return r.error();
    const Result<std::uint32_t> id = callout_id(policy, callout.key);
    if (!id) return id;
    callout.id = *id;
    const Guid key = callout.key;
    policy.callouts.emplace(key, std::move(callout));
    return id;
}

} // namespace sluice::policy
