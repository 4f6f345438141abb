// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <sluice/fwp.h>

#include "policy/built_in.h"
#include "policy/check.h"
#include "policy/edit.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

Lifetime of(SessionId owner, std::uint32_t flags, std::uint32_t persistent) {
    if (owner != 0) return Lifetime::dynamic;
    return (flags & persistent) != 0 ? Lifetime::persistent : Lifetime::fixed;
}

// Who may refer to whom: what lives at least as long. Persistent and boot-time ones are in the same
// store and go together.
int rank(Lifetime lifetime) {
    switch (lifetime) {
    case Lifetime::dynamic:
        return 0;
    case Lifetime::fixed:
        return 1;
    case Lifetime::persistent:
    case Lifetime::boot_time:
        return 2;
    case Lifetime::built_in:
        break;
    }
    return 3;
}

} // namespace

const Guid &universal_key() {
    static const Guid key = table_key("FWPM_SUBLAYER_UNIVERSAL");
    return key;
}

const Guid &policy_file_key() {
    static const Guid key = table_key("SLUICE_PROVIDER_POLICY_FILE");
    return key;
}

Lifetime lifetime(const Provider &object) {
    if (object.key == policy_file_key()) return Lifetime::built_in;
    return of(object.owner, object.flags, FWPM_PROVIDER_FLAG_PERSISTENT);
}
Lifetime lifetime(const ProviderContext &object) {
    return of(object.owner, object.flags, FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT);
}
Lifetime lifetime(const SubLayer &object) {
    if (object.key == universal_key()) return Lifetime::built_in;
    return of(object.owner, object.flags, FWPM_SUBLAYER_FLAG_PERSISTENT);
}
Lifetime lifetime(const Callout &object) {
    if (is_ask_callout(object.key)) return Lifetime::built_in;
    return of(object.owner, object.flags, FWPM_CALLOUT_FLAG_PERSISTENT);
}
Lifetime lifetime(const Filter &object) {
    if (object.owner == 0 && (object.flags & FWPM_FILTER_FLAG_BOOTTIME) != 0)
        return Lifetime::boot_time;
    return of(object.owner, object.flags, FWPM_FILTER_FLAG_PERSISTENT);
}

const char *lifetime_name(Lifetime lifetime) {
    switch (lifetime) {
    case Lifetime::dynamic:
        return "dynamic";
    case Lifetime::fixed:
        return "static";
    case Lifetime::persistent:
        return "persistent";
    case Lifetime::boot_time:
        return "boot-time";
    case Lifetime::built_in:
        break;
    }
    return "built-in";
}

Result<void> check_refers(const Subject &who, const char *to, Lifetime other, SessionId owner) {
    const bool lasts =
        other == Lifetime::dynamic ? owner == who.owner : rank(other) >= rank(who.lifetime);
    if (lasts) return {};
    return refuse(STATUS_FWP_LIFETIME_MISMATCH,
                  std::string("the ") + to + " (" + lifetime_name(other) + ") can end before the " +
                      lifetime_name(who.lifetime) + " " + who.kind,
                  who.name);
}

Result<void> check_common(const Policy &policy, const Subject &who, const Guid &provider,
                          bool asks_to_last) {
    if (who.name.empty())
        return refuse(STATUS_FWP_NULL_DISPLAY_NAME, std::string("a ") + who.kind + " needs a name");
    if (asks_to_last && who.owner != 0)
        return refuse(STATUS_FWP_LIFETIME_MISMATCH,
                      std::string("a dynamic session adds nothing that outlives it, ") + who.kind,
                      who.name);
    if (provider.is_null()) return {};
    const auto known = policy.providers.find(provider);
    if (known == policy.providers.end())
        return refuse(STATUS_FWP_PROVIDER_NOT_FOUND, "no such provider", provider.text());
    return check_refers(who, "provider", lifetime(known->second), known->second.owner);
}

} // namespace sluice::policy
