// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

using namespace sluice;
using fwp::EnumKind;

namespace {

const auto &sublayers_of(const protocol::Objects &objects) {
    return objects.sublayers();
}
auto *take_sublayers(protocol::Objects &objects) {
    return objects.mutable_sublayers();
}

} // namespace

NTSTATUS FwpmSubLayerAdd0(HANDLE engine, const FWPM_SUBLAYER0 *sublayer, PSECURITY_DESCRIPTOR sd) {
    return fwp::add<protocol::SubLayer>(
        engine, sublayer, sd, [](auto &r) { return r.mutable_sublayer_add(); },
        [](auto &, auto &) {});
}
NTSTATUS FwpmSubLayerDeleteByKey0(HANDLE engine, const GUID *key) {
    return fwp::delete_by_key(engine, protocol::SUBLAYER, key);
}
NTSTATUS FwpmSubLayerGetByKey0(HANDLE engine, const GUID *key, FWPM_SUBLAYER0 **out) {
    return fwp::get_by_key(engine, protocol::SUBLAYER, key, out, sublayers_of);
}

NTSTATUS FwpmSubLayerCreateEnumHandle0(HANDLE engine, const FWPM_SUBLAYER_ENUM_TEMPLATE0 *limits,
                                       HANDLE *handle) {
    return fwp::begin_enum(engine, EnumKind::sublayer, protocol::SUBLAYER, limits, handle,
                           take_sublayers);
}
NTSTATUS FwpmSubLayerEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_SUBLAYER0 ***entries,
                           UINT32 *returned) {
    return fwp::next_page<protocol::SubLayer>(engine, EnumKind::sublayer, handle, wanted, entries,
                                              returned);
}
NTSTATUS FwpmSubLayerDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::sublayer, handle);
}
