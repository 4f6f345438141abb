// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

using namespace sluice;
using fwp::EnumKind;

namespace {

const auto &provider_contexts_of(const protocol::Objects &objects) {
    return objects.provider_contexts();
}
auto *take_provider_contexts(protocol::Objects &objects) {
    return objects.mutable_provider_contexts();
}

// The versions differ in policies that mean nothing here; their layout is one.
template <typename Context>
NTSTATUS add_context(HANDLE engine, const Context *context, PSECURITY_DESCRIPTOR sd, UINT64 *id) {
    static_assert(sizeof *context == sizeof(FWPM_PROVIDER_CONTEXT0));
    return fwp::add<protocol::ProviderContext>(
        engine, reinterpret_cast<const FWPM_PROVIDER_CONTEXT0 *>(context), sd,
        [](auto &r) { return r.mutable_provider_context_add(); },
        [id](auto &, const protocol::Reply &reply) {
            if (id) *id = reply.provider_context_id();
        });
}
template <typename Context>
NTSTATUS get_context(HANDLE engine, const fwp::Name &name, Context **out) {
    static_assert(sizeof **out == sizeof(FWPM_PROVIDER_CONTEXT0));
    return fwp::get(engine, protocol::PROVIDER_CONTEXT, name,
                    reinterpret_cast<FWPM_PROVIDER_CONTEXT0 **>(out), provider_contexts_of);
}
template <typename Context>
NTSTATUS get_context_by_key(HANDLE engine, const GUID *key, Context **out) {
    return key ? get_context(engine, {key}, out) : STATUS_FWP_NULL_POINTER;
}
template <typename Context>
NTSTATUS page(HANDLE engine, HANDLE handle, UINT32 wanted, Context ***entries, UINT32 *returned) {
    return fwp::next_page<protocol::ProviderContext>(
        engine, EnumKind::provider_context, handle, wanted,
        reinterpret_cast<FWPM_PROVIDER_CONTEXT0 ***>(entries), returned);
}

} // namespace

NTSTATUS FwpmProviderContextAdd0(HANDLE engine, const FWPM_PROVIDER_CONTEXT0 *context,
                                 PSECURITY_DESCRIPTOR sd, UINT64 *id) {
    return add_context(engine, context, sd, id);
}
NTSTATUS FwpmProviderContextGetById0(HANDLE engine, UINT64 id, FWPM_PROVIDER_CONTEXT0 **out) {
    return get_context(engine, {nullptr, id}, out);
}
NTSTATUS FwpmProviderContextGetByKey0(HANDLE engine, const GUID *key,
                                      FWPM_PROVIDER_CONTEXT0 **out) {
    return get_context_by_key(engine, key, out);
}
NTSTATUS FwpmProviderContextAdd1(HANDLE engine, const FWPM_PROVIDER_CONTEXT1 *context,
                                 PSECURITY_DESCRIPTOR sd, UINT64 *id) {
    return add_context(engine, context, sd, id);
}
NTSTATUS FwpmProviderContextGetById1(HANDLE engine, UINT64 id, FWPM_PROVIDER_CONTEXT1 **out) {
    return get_context(engine, {nullptr, id}, out);
}
NTSTATUS FwpmProviderContextGetByKey1(HANDLE engine, const GUID *key,
                                      FWPM_PROVIDER_CONTEXT1 **out) {
    return get_context_by_key(engine, key, out);
}
NTSTATUS FwpmProviderContextAdd2(HANDLE engine, const FWPM_PROVIDER_CONTEXT2 *context,
                                 PSECURITY_DESCRIPTOR sd, UINT64 *id) {
    return add_context(engine, context, sd, id);
}
NTSTATUS FwpmProviderContextGetById2(HANDLE engine, UINT64 id, FWPM_PROVIDER_CONTEXT2 **out) {
    return get_context(engine, {nullptr, id}, out);
}
NTSTATUS FwpmProviderContextGetByKey2(HANDLE engine, const GUID *key,
                                      FWPM_PROVIDER_CONTEXT2 **out) {
    return get_context_by_key(engine, key, out);
}
NTSTATUS FwpmProviderContextAdd3(HANDLE engine, const FWPM_PROVIDER_CONTEXT3 *context,
                                 PSECURITY_DESCRIPTOR sd, UINT64 *id) {
    return add_context(engine, context, sd, id);
}
NTSTATUS FwpmProviderContextGetById3(HANDLE engine, UINT64 id, FWPM_PROVIDER_CONTEXT3 **out) {
    return get_context(engine, {nullptr, id}, out);
}
NTSTATUS FwpmProviderContextGetByKey3(HANDLE engine, const GUID *key,
                                      FWPM_PROVIDER_CONTEXT3 **out) {
    return get_context_by_key(engine, key, out);
}

NTSTATUS FwpmProviderContextDeleteById0(HANDLE engine, UINT64 id) {
    return fwp::delete_object(engine, protocol::PROVIDER_CONTEXT, {nullptr, id});
}
NTSTATUS FwpmProviderContextDeleteByKey0(HANDLE engine, const GUID *key) {
    return fwp::delete_by_key(engine, protocol::PROVIDER_CONTEXT, key);
}

NTSTATUS FwpmProviderContextCreateEnumHandle0(HANDLE engine,
                                              const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *limits,
                                              HANDLE *handle) {
    return fwp::begin_enum(engine, EnumKind::provider_context, protocol::PROVIDER_CONTEXT, limits,
                           handle, take_provider_contexts);
}
NTSTATUS FwpmProviderContextEnum0(HANDLE engine, HANDLE handle, UINT32 wanted,
                                  FWPM_PROVIDER_CONTEXT0 ***entries, UINT32 *returned) {
    return page(engine, handle, wanted, entries, returned);
}
NTSTATUS FwpmProviderContextEnum1(HANDLE engine, HANDLE handle, UINT32 wanted,
                                  FWPM_PROVIDER_CONTEXT1 ***entries, UINT32 *returned) {
    return page(engine, handle, wanted, entries, returned);
}
NTSTATUS FwpmProviderContextEnum2(HANDLE engine, HANDLE handle, UINT32 wanted,
                                  FWPM_PROVIDER_CONTEXT2 ***entries, UINT32 *returned) {
    return page(engine, handle, wanted, entries, returned);
}
NTSTATUS FwpmProviderContextEnum3(HANDLE engine, HANDLE handle, UINT32 wanted,
                                  FWPM_PROVIDER_CONTEXT3 ***entries, UINT32 *returned) {
    return page(engine, handle, wanted, entries, returned);
}
NTSTATUS FwpmProviderContextDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::provider_context, handle);
}
