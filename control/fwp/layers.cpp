// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

using namespace sluice;
using fwp::EnumKind;

namespace {

using Layers = std::vector<const tables::Layer *>;

NTSTATUS give(HANDLE engine, const tables::Layer *layer, FWPM_LAYER0 **out) {
    return fwp::guarded([&] {
        if (!out) return STATUS_FWP_NULL_POINTER;
        if (!fwp::engine().sessions().known(engine)) return STATUS_INVALID_HANDLE;
        if (!layer) return STATUS_FWP_LAYER_NOT_FOUND;
        *out = fwp::copy_out<FWPM_LAYER0>(*layer);
        return STATUS_SUCCESS;
    });
}

} // namespace

NTSTATUS FwpmLayerGetById0(HANDLE engine, UINT16 id, FWPM_LAYER0 **out) {
    const bool named = id < tables::layers.size() && tables::layers[id].management_name;
    return give(engine, named ? &tables::layers[id] : nullptr, out);
}

NTSTATUS FwpmLayerGetByKey0(HANDLE engine, const GUID *key, FWPM_LAYER0 **out) {
    if (!key) return STATUS_FWP_NULL_POINTER;
    const tables::Layer *found = nullptr;
    for (const auto &layer : tables::layers)
        if (layer.management_name && layer.key == *key) found = &layer;
    return give(engine, found, out);
}

NTSTATUS FwpmLayerCreateEnumHandle0(HANDLE engine, const FWPM_LAYER_ENUM_TEMPLATE0 *,
                                    HANDLE *handle) {
    return fwp::guarded([&] {
        if (!handle) return STATUS_FWP_NULL_POINTER;
        if (!fwp::engine().sessions().known(engine)) return STATUS_INVALID_HANDLE;
        auto all = std::make_shared<Layers>();
        for (const auto &layer : tables::layers)
            if (layer.management_name) all->push_back(&layer);
        const std::size_t count = all->size();
        *handle = fwp::enumerations().add(engine, EnumKind::layer, std::move(all), count);
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpmLayerEnum0(HANDLE engine, HANDLE handle, UINT32 wanted, FWPM_LAYER0 ***entries,
                        UINT32 *returned) {
    return fwp::guarded([&] {
        if (!entries || !returned) return STATUS_FWP_NULL_POINTER;
        return fwp::enumerations().page<FWPM_LAYER0, Layers>(
            engine, handle, EnumKind::layer, wanted, entries, returned,
            [](runtime::Arena &arena, const Layers &all, std::size_t i) {
                return fwp::make<FWPM_LAYER0>(arena, *all[i]);
            });
    });
}

NTSTATUS FwpmLayerDestroyEnumHandle0(HANDLE engine, HANDLE handle) {
    return fwp::end_enum(engine, EnumKind::layer, handle);
}
