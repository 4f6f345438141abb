// SPDX-License-Identifier: Apache-2.0
#include "policyfile/check.h"

#include "policy/edit.h"
#include "sluice/fwp.h"
#include "store/wire.h"

namespace sluice::policyfile {

namespace {

using policy::Policy;

template <typename Message, typename Add>
Result<void> put(Policy &policy, const Message &message, const Add &add) {
    auto object = store::from_message(message);
    if (!object) return object.error();
    auto added = add(policy, std::move(*object));
    if (!added) return added.error();
    return {};
}

template <typename Messages, typename Add>
void put_all(PolicyFile &file, Policy &policy, const Messages &messages,
             const std::vector<Place> &places, const Add &add) {
    for (int i = 0; i < messages.size(); ++i)
        if (auto r = put(policy, messages[i], add); !r)
            file.problems.add(places[static_cast<std::size_t>(i)],
                              "'" + messages[i].name() + "': " + r.error().text());
}

constexpr auto add_provider = [](Policy &p, policy::Provider o) {
    return policy::add_provider(p, std::move(o));
};
constexpr auto add_context = [](Policy &p, policy::ProviderContext o) {
    return policy::add_provider_context(p, std::move(o));
};
constexpr auto add_sublayer = [](Policy &p, policy::SubLayer o) {
    return policy::add_sublayer(p, std::move(o));
};
constexpr auto add_callout = [](Policy &p, policy::Callout o) {
    return policy::add_callout(p, std::move(o));
};
constexpr auto add_filter = [](Policy &p, policy::Filter o) {
    return policy::add_filter(p, std::move(o));
};

void put_objects(PolicyFile &file, Policy &policy, const protocol::Objects &objects,
                 const Places &places) {
    put_all(file, policy, objects.providers(), places.providers, add_provider);
    put_all(file, policy, objects.provider_contexts(), places.provider_contexts, add_context);
    put_all(file, policy, objects.sublayers(), places.sublayers, add_sublayer);
    put_all(file, policy, objects.callouts(), places.callouts, add_callout);
}

bool is(const Error &error, std::uint32_t status) {
    return error.ntstatus == status;
}

// The condition that is refused also when it stands alone in a plain filter of the layer.
std::optional<std::size_t> refused_condition(const protocol::Filter &filter) {
    protocol::Filter plain;
    plain.set_name(filter.name());
    plain.set_layer(filter.layer());
    plain.set_action(FWP_ACTION_BLOCK);
    Policy empty = policy::initial();
    for (int i = 0; i < filter.conditions_size(); ++i) {
        plain.clear_conditions();
        *plain.add_conditions() = filter.conditions(i);
        if (!put(empty, plain, add_filter)) return static_cast<std::size_t>(i);
    }
    return std::nullopt;
}

// Alternatives that are refused together only, or a field whose groups exclude each other.
Place group_place(const protocol::Filter &filter, const FilterPlaces &places) {
    protocol::Filter plain = filter;
    plain.clear_conditions();
    plain.clear_sublayer();
    plain.clear_callout();
    plain.clear_provider();
    plain.clear_provider_context();
    plain.clear_weight();
    plain.clear_key();
    plain.set_flags(0);
    plain.set_action(FWP_ACTION_BLOCK);
    Policy empty = policy::initial();
    for (int i = 0; i < filter.conditions_size(); ++i) {
        *plain.add_conditions() = filter.conditions(i);
        if (!put(empty, plain, add_filter)) return places.conditions[static_cast<std::size_t>(i)];
    }
    return places.self;
}

Place place_of(const Error &error, const protocol::Filter &filter, const FilterPlaces &places) {
    if (is(error, STATUS_FWP_SUBLAYER_NOT_FOUND)) return places.sublayer;
    if (is(error, STATUS_FWP_INVALID_WEIGHT)) return places.weight;
    if (is(error, STATUS_FWP_LAYER_NOT_FOUND)) return places.layer;
    if (is(error, STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND)) return places.provider_context;
    if (const auto condition = refused_condition(filter)) return places.conditions[*condition];
    protocol::Filter bare = filter;
    bare.clear_conditions();
    bare.set_action(FWP_ACTION_BLOCK);
    bare.clear_callout();
    bare.clear_sublayer();
    bare.clear_key();
    Policy empty = policy::initial();
    if (!filter.callout().empty() && put(empty, bare, add_filter)) {
        const Place group = group_place(filter, places);
        return group == places.self ? places.action : group;
    }
    return group_place(filter, places);
}

} // namespace

Policy check(PolicyFile &file) {
    Policy policy = policy::initial();
    if (!file.good()) return policy;
    put_objects(file, policy, file.external, file.external_places);
    put_objects(file, policy, file.objects, file.places);
    for (int i = 0; i < file.objects.filters_size() && !file.problems.full(); ++i) {
        const auto &filter = file.objects.filters(i);
        const auto &places = file.places.filters[static_cast<std::size_t>(i)];
        if (auto r = put(policy, filter, add_filter); !r)
            file.problems.add(place_of(r.error(), filter, places), r.error().text());
    }
    return policy;
}

} // namespace sluice::policyfile
