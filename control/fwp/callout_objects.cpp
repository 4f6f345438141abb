// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

using namespace sluice;
using fwp::EnumKind;

namespace {

const auto &callouts_of(const protocol::Objects &objects) {
    return objects.callouts();
}
auto *take_callouts(protocol::Objects &objects) {
    return objects.mutable_callouts();
}

// Run-time ids are this process' own, so sluiced is asked by key; an id that was never given out
// has none, and a key of zeros names no callout.
GUID key_of(UINT32 id) {
    return runtime::to_guid(fwp::engine().callout_key(id).bytes());
}

} // namespace

NTSTATUS FwpmCalloutAdd0(HANDLE engine, const FWPM_CALLOUT0 *callout, PSECURITY_DESCRIPTOR sd,
                         UINT32 *id) {
    return fwp::add<protocol::Callout>(
        engine, callout, sd, [](auto &r) { return r.mutable_callout_add(); },
        [id](const protocol::Callout &added, auto &) {
            if (id) *id = fwp::engine().callout_id(Guid::from_bytes(added.key()).value_or(Guid{}));
        });
}
NTSTATUS FwpmCalloutDeleteById0(HANDLE engine, UINT32 id) {
    const GUID key = key_of(id);
    return fwp::delete_by_key(engine, protocol::CALLOUT, &key);
}
NTSTATUS FwpmCalloutGetById0(HANDLE engine, UINT32 id, FWPM_CALLOUT0 **out) {
    const GUID key = key_of(id);
    return fwp::get_by_key(engine, protocol::CALLOUT, &key, out, callouts_of);
}
NTSTATUS FwpmCalloutDeleteByKey0(HANDLE engine, const GUID *key) {
    return fwp::delete_by_key(engine, protocol::CALLOUT, key);
}
NTSTATUS FwpmCalloutGetByKey0(HANDLE engine, const GUID *key, FWPM_CALLOUT0 **out) {
    return fwp::get_by_key(engine, protocol::CALLOUT, key, out, callouts_of);
}

NTSTATUS FwpmCalloutCreateEnumHandle0(HANDLE engine, const FWPM_CALLOUT_ENUM_TEMPLATE0 *limits,
                                      HANDLE *handle) {
    return fwp::begin_enum(engine, EnumKind::callout, protocol::CALLOUT, limits, handle,
                           take_callouts);
}
NTSTATUS FwpmCalloutEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_CALLOUT0 ***entries,
                          UINT32 *returned) {
    return fwp::next_page<protocol::Callout>(engine, EnumKind::callout, handle, wanted, entries,
                                             returned);
}
NTSTATUS FwpmCalloutDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::callout, handle);
}
