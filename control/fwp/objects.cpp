// SPDX-License-Identifier: Apache-2.0
#include "fwp/objects.h"

#include <pwd.h>
#include <string_view>
#include <vector>

#include "fwp/instance.h"

namespace sluice::fwp {

using namespace runtime;

namespace {

LPWSTR text(Arena &arena, std::string_view utf8) {
    return reinterpret_cast<LPWSTR>(arena.text(utf8));
}

std::string user_name(std::uint32_t uid) {
    std::vector<char> space(4096);
    passwd entry{}, *found = nullptr;
    while (::getpwuid_r(uid, &entry, space.data(), space.size(), &found) == ERANGE)
        space.resize(space.size() * 2);
    return found ? found->pw_name : std::to_string(uid);
}

FWPM_FIELD_TYPE field_type(const tables::Condition &condition) {
    const std::string_view name = condition.name;
    if (name.ends_with("FLAGS")) return FWPM_FIELD_FLAGS;
    const bool address = condition.types[0] == FWP_V4_ADDR_MASK ||
                         condition.types[0] == FWP_V6_ADDR_MASK ||
                         condition.types[0] == FWP_BYTE_ARRAY16_TYPE;
    return address ? FWPM_FIELD_IP_ADDRESS : FWPM_FIELD_RAW_DATA;
}

} // namespace

void fill(Arena &arena, const protocol::Provider &from, FWPM_PROVIDER0 &to) {
    to.providerKey = to_guid(from.key());
    to.displayData = to_display(arena, from);
    to.flags = from.flags();
    to.providerData = to_blob(arena, from.provider_data());
    if (!from.service_name().empty()) to.serviceName = text(arena, from.service_name());
}

void fill(Arena &arena, const protocol::SubLayer &from, FWPM_SUBLAYER0 &to) {
    to.subLayerKey = to_guid(from.key());
    to.displayData = to_display(arena, from);
    to.flags = from.flags();
    to.providerKey = to_optional_guid(arena, from.provider());
    to.providerData = to_blob(arena, from.provider_data());
    to.weight = static_cast<UINT16>(from.weight());
}

void fill(Arena &arena, const protocol::Callout &from, FWPM_CALLOUT0 &to) {
    to.calloutKey = to_guid(from.key());
    to.displayData = to_display(arena, from);
    to.flags = from.flags();
    to.providerKey = to_optional_guid(arena, from.provider());
    to.providerData = to_blob(arena, from.provider_data());
    to.applicableLayer = from.layer_key().empty() && from.layer() < tables::layers.size()
                             ? tables::layers[from.layer()].key
                             : to_guid(from.layer_key());
    to.calloutId = engine().callout_id(guid_of(to.calloutKey));
}

void fill(Arena &arena, const protocol::ProviderContext &from, FWPM_PROVIDER_CONTEXT0 &to) {
    static_assert(sizeof(FWPM_PROVIDER_CONTEXT0) == sizeof(FWPM_PROVIDER_CONTEXT3));
    runtime::fill(arena, from, reinterpret_cast<FWPM_PROVIDER_CONTEXT3 &>(to));
}

void fill(Arena &arena, const protocol::Filter &from, FWPM_FILTER0 &to) {
    to.filterKey = to_guid(from.key());
    to.displayData = to_display(arena, from);
    to.flags = from.flags();
    to.providerKey = to_optional_guid(arena, from.provider());
    to.providerData = to_blob(arena, from.provider_data());
    to.layerKey = from.layer_key().empty() && from.layer() < tables::layers.size()
                      ? tables::layers[from.layer()].key
                      : to_guid(from.layer_key());
    to.subLayerKey = to_guid(from.sublayer());
    to.weight = to_value(arena, from.weight());
    to.numFilterConditions = static_cast<UINT32>(from.conditions_size());
    if (from.conditions_size() > 0)
        to.filterCondition = arena.make<FWPM_FILTER_CONDITION0>(to.numFilterConditions);
    for (int i = 0; i < from.conditions_size(); ++i) {
        const auto &c = from.conditions(i);
        to.filterCondition[i].fieldKey = to_guid(c.field());
        to.filterCondition[i].matchType = static_cast<FWP_MATCH_TYPE>(c.match());
        to.filterCondition[i].conditionValue = to_condition_value(arena, c.value());
    }
    to.action.type = from.action();
    if (from.action() & FWP_ACTION_FLAG_CALLOUT) to.action.calloutKey = to_guid(from.callout());
    if (from.flags() & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT)
        to.providerContextKey = to_guid(from.provider_context());
    else
        to.rawContext = from.raw_context();
    to.filterId = from.id();
    to.effectiveWeight = to_value(arena, from.effective_weight());
}

void fill(Arena &arena, const protocol::SessionInfo &from, FWPM_SESSION0 &to) {
    to.sessionKey = to_guid(from.key());
    if (!from.name().empty()) to.displayData.name = text(arena, from.name());
    to.flags = from.flags();
    to.txnWaitTimeoutInMSec = from.txn_wait_ms();
    to.processId = from.pid();
    to.sid = user_sid(arena, from.uid());
    to.username = text(arena, user_name(from.uid()));
}

void fill(Arena &arena, const tables::Layer &from, FWPM_LAYER0 &to) {
    to.layerKey = from.key;
    to.displayData.name = text(arena, from.management_name);
    to.flags = FWPM_LAYER_FLAG_KERNEL | FWPM_LAYER_FLAG_BUILTIN;
    to.numFields = from.field_count;
    to.field = arena.make<FWPM_FIELD0>(from.field_count);
    for (UINT32 i = 0; i < to.numFields; ++i) {
        const tables::Field &field = tables::fields[from.first_field + i];
        to.field[i].dataType = field.type;
        if (field.condition < 0) continue; // reserved
        const auto &condition = tables::conditions[static_cast<std::size_t>(field.condition)];
        to.field[i].fieldKey = arena.make<GUID>();
        *to.field[i].fieldKey = condition.key;
        to.field[i].type = field_type(condition);
    }
    to.defaultSubLayerKey = FWPM_SUBLAYER_UNIVERSAL;
    to.layerId = from.id;
}

} // namespace sluice::fwp
