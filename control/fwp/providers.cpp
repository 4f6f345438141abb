// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

using namespace sluice;
using fwp::EnumKind;

namespace {

const auto &providers_of(const protocol::Objects &objects) {
    return objects.providers();
}
auto *take_providers(protocol::Objects &objects) {
    return objects.mutable_providers();
}

} // namespace

NTSTATUS FwpmProviderAdd0(HANDLE engine, const FWPM_PROVIDER0 *provider, PSECURITY_DESCRIPTOR sd) {
    return fwp::add<protocol::Provider>(
        engine, provider, sd, [](auto &r) { return r.mutable_provider_add(); },
        [](auto &, auto &) {});
}
NTSTATUS FwpmProviderDeleteByKey0(HANDLE engine, const GUID *key) {
    return fwp::delete_by_key(engine, protocol::PROVIDER, key);
}
NTSTATUS FwpmProviderGetByKey0(HANDLE engine, const GUID *key, FWPM_PROVIDER0 **out) {
    return fwp::get_by_key(engine, protocol::PROVIDER, key, out, providers_of);
}

NTSTATUS FwpmProviderCreateEnumHandle0(HANDLE engine, const FWPM_PROVIDER_ENUM_TEMPLATE0 *limits,
                                       HANDLE *handle) {
    return fwp::begin_enum(engine, EnumKind::provider, protocol::PROVIDER, limits, handle,
                           take_providers);
}
NTSTATUS FwpmProviderEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_PROVIDER0 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::Provider>(engine, EnumKind::provider, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmProviderDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::provider, handle);
}
