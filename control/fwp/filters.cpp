// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

using namespace sluice;
using fwp::EnumKind;

namespace {

const auto &filters_of(const protocol::Objects &objects) {
    return objects.filters();
}
auto *take_filters(protocol::Objects &objects) {
    return objects.mutable_filters();
}

} // namespace

NTSTATUS FwpmFilterAdd0(HANDLE engine, const FWPM_FILTER0 *filter, PSECURITY_DESCRIPTOR sd,
                        UINT64 *id) {
    return fwp::add<protocol::Filter>(
        engine, filter, sd, [](auto &r) { return r.mutable_filter_add(); },
        [id](auto &, const protocol::Reply &reply) {
            if (id) *id = reply.filter_id();
        });
}
NTSTATUS FwpmFilterDeleteById0(HANDLE engine, UINT64 id) {
    return fwp::guarded([&] {
        return fwp::ask(engine, [&](protocol::Request &r, std::uint64_t session) {
            r.mutable_filter_delete()->set_session(session);
            r.mutable_filter_delete()->set_id(id);
        });
    });
}
NTSTATUS FwpmFilterGetById0(HANDLE engine, UINT64 id, FWPM_FILTER0 **out) {
    return fwp::get(engine, protocol::FILTER, {nullptr, id}, out, filters_of);
}
NTSTATUS FwpmFilterDeleteByKey0(HANDLE engine, const GUID *key) {
    return fwp::delete_by_key(engine, protocol::FILTER, key);
}
NTSTATUS FwpmFilterGetByKey0(HANDLE engine, const GUID *key, FWPM_FILTER0 **out) {
    return fwp::get_by_key(engine, protocol::FILTER, key, out, filters_of);
}

NTSTATUS FwpmFilterCreateEnumHandle0(HANDLE engine, const FWPM_FILTER_ENUM_TEMPLATE0 *limits,
                                     HANDLE *handle) {
    return fwp::begin_enum(engine, EnumKind::filter, protocol::FILTER, limits, handle,
                           take_filters);
}
NTSTATUS FwpmFilterEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_FILTER0 ***entries,
                         UINT32 *returned) {
    return fwp::next_page<protocol::Filter>(engine, EnumKind::filter, handle, wanted, entries,
                                            returned);
}
NTSTATUS FwpmFilterDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::filter, handle);
}
