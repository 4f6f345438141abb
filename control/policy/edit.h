// SPDX-License-Identifier: Apache-2.0
// Changes to a policy. Each function checks its object completely, then changes `policy`, or
// changes nothing and returns an Error whose ntstatus is the one that the API documents for the
// case and whose text names value and place.
#pragma once

#include "core/result.h"
#include "policy/policy.h"

namespace sluice::policy {

// A policy with the built-in objects: the universal sublayer (weight 0x8000) and the provider of
// what policy files bring.
Policy initial();

Result<void> add_sublayer(Policy &policy,
                          SubLayer sublayer); // a null key is replaced by a random one
Result<std::uint32_t> add_callout(Policy &policy, Callout callout);
// Run-time id of a callout key, made on first use (registration may come before or after the
// management object).
Result<std::uint32_t> callout_id(Policy &policy, const Guid &key);
// Fills id, key if null, sublayer if null, effective_weight; the weight of FWP_EMPTY grows with the
// specificity.
Result<std::uint64_t> add_filter(Policy &policy, Filter filter);
// session: of the caller, 0 = none. Dynamic sessions delete only what is theirs.
Result<void> delete_filter(Policy &policy, std::uint64_t id, SessionId session);

// Replaces the filter's options; it stays the same filter. STATUS_FWP_INVALID_PARAMETER: it names
// no callout. session: as for delete_filter.
Result<void> set_hold(Policy &policy, std::uint64_t id, HoldOptions hold, SessionId session);

Result<void> add_provider(Policy &policy, Provider provider); // a null key is replaced
Result<std::uint64_t> add_provider_context(Policy &policy, ProviderContext context);

// The rest of deletion: an object that is referred to stays (IN_USE), built-in ones always
// (BUILTIN_OBJECT). session as for delete_filter.
Result<void> delete_filter(Policy &policy, const Guid &key, SessionId session);
Result<void> delete_callout(Policy &policy, const Guid &key, SessionId session);
Result<void> delete_callout(Policy &policy, std::uint32_t id, SessionId session);
Result<void> delete_sublayer(Policy &policy, const Guid &key, SessionId session);
Result<void> delete_provider(Policy &policy, const Guid &key, SessionId session);
Result<void> delete_provider_context(Policy &policy, const Guid &key, SessionId session);
Result<void> delete_provider_context(Policy &policy, std::uint64_t id, SessionId session);

Lifetime lifetime(const Provider &object);
Lifetime lifetime(const ProviderContext &object);
Lifetime lifetime(const SubLayer &object);
Lifetime lifetime(const Callout &object);
Lifetime lifetime(const Filter &object);
const char *
lifetime_name(Lifetime lifetime); // "static" for fixed; else as the enumerator, boot-time, built-in

// All objects of a dynamic session. Returns the filters that went.
std::vector<Filter> delete_owned(Policy &policy, SessionId session);

} // namespace sluice::policy
