// SPDX-License-Identifier: Apache-2.0
#include "daemon/enumeration.h"

#include <algorithm>

#include "daemon/core.h"
#include "daemon/hosts.h"
#include "daemon/sessions.h"
#include "policy/edit.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

constexpr std::size_t page_bytes = protocol::message_bytes_max / 4;

Result<Guid> key_in(const std::string &bytes) {
    if (bytes.empty()) return Guid{};
    if (auto key = Guid::from_bytes(bytes)) return *key;
    return policy::refuse(STATUS_INVALID_PARAMETER, "a key is not a GUID");
}

// Puts objects into a reply, as clients see them.
struct Writer {
    const Core &core;
    const policy::Policy &policy;
    protocol::Objects &out;

    template <typename Object>
    static auto described(const Object &object) {
        auto m = store::to_message(object);
        m.set_lifetime(policy::lifetime_name(policy::lifetime(object)));
        return m;
    }
    void operator()(const policy::Provider &o) const { *out.add_providers() = described(o); }
    void operator()(const policy::ProviderContext &o) const {
        *out.add_provider_contexts() = described(o);
    }
    void operator()(const policy::SubLayer &o) const { *out.add_sublayers() = described(o); }
    void operator()(const policy::Callout &o) const { *out.add_callouts() = described(o); }
    void operator()(const policy::Filter &o) const {
        *out.add_filters() = core.hosts->filter_message(o, policy);
    }
};

template <typename Object>
void send_all(Core &core, const policy::Policy &policy, Result<std::vector<Object>> all,
              const Responder &to) {
    if (!all) return to.fail(all.error());
    protocol::Reply reply;
    reply.mutable_objects();
    std::size_t entries = 0;
    for (const auto &object : *all) {
        if (entries == protocol::list_page ||
            (entries % 16 == 15 && reply.ByteSizeLong() > page_bytes)) {
            reply.set_more(true);
            to.done(std::move(reply));
            reply.Clear();
            entries = 0;
        }
        Writer{core, policy, *reply.mutable_objects()}(object);
        ++entries;
    }
    to.done(std::move(reply));
}

template <typename Map>
const typename Map::mapped_type *find_in(const Map &map, const Guid &key, std::uint64_t id) {
    const auto at = std::find_if(map.begin(), map.end(), [&](const auto &entry) {
        if (!key.is_null()) return entry.second.key == key;
        if constexpr (requires { entry.second.id; }) return entry.second.id == id;
        return false;
    });
    return at == map.end() ? nullptr : &at->second;
}

template <typename Map>
void send_one(Core &core, const policy::Policy &policy, const Map &map, const Guid &key,
              std::uint64_t id, NTSTATUS missing, const Responder &to) {
    const auto *object = find_in(map, key, id);
    if (object == nullptr)
        return to.fail(policy::refuse(missing, "no such object",
                                      key.is_null() ? std::to_string(id) : key.text()));
    protocol::Reply reply;
    Writer{core, policy, *reply.mutable_objects()}(*object);
    to.done(std::move(reply));
}

} // namespace

Result<policy::Template> template_of(const protocol::ObjectEnum &m) {
    policy::Template out;
    const auto provider = key_in(m.provider()), callout = key_in(m.callout()),
               context = key_in(m.provider_context()), layer = key_in(m.layer_key());
    for (const auto *key : {&provider, &callout, &context, &layer})
        if (!*key) return key->error();
    out.provider = *provider;
    out.callout = *callout;
    out.provider_context = *context;
    if (!layer->is_null()) {
        out.layer = store::layer_of_key(*layer);
        if (!out.layer)
            return policy::refuse(STATUS_FWP_LAYER_NOT_FOUND, "no layer", layer->text());
    }
    out.enum_type = m.enum_type();
    out.flags = m.flags();
    if (m.action_mask() != 0) out.action_mask = m.action_mask();
    if (m.provider_context_type() != 0) out.context_type = m.provider_context_type();
    for (const auto &c : m.conditions()) {
        auto condition = store::from_message(c);
        if (!condition) return condition.error();
        out.conditions.push_back(std::move(*condition));
    }
    return out;
}

void object_enum(Core &core, const protocol::ObjectEnum &m, const Responder &to) {
    const auto wanted = template_of(m);
    if (!wanted) return to.fail(wanted.error());
    core.sessions->read(m.session(), to, [&](const policy::Policy &policy) {
        switch (m.kind()) {
        case protocol::PROVIDER:
            return send_all<policy::Provider>(core, policy, policy::enumerate_providers(policy),
                                              to);
        case protocol::PROVIDER_CONTEXT:
            return send_all(core, policy, policy::enumerate_provider_contexts(policy, *wanted), to);
        case protocol::SUBLAYER:
            return send_all<policy::SubLayer>(core, policy,
                                              policy::enumerate_sublayers(policy, *wanted), to);
        case protocol::CALLOUT:
            return send_all(core, policy, policy::enumerate_callouts(policy, *wanted), to);
        default:
            return send_all(core, policy, policy::enumerate_filters(policy, *wanted), to);
        }
    });
}

void object_get(Core &core, const protocol::ObjectGet &m, const Responder &to) {
    const auto key = key_in(m.key());
    if (!key) return to.fail(key.error());
    core.sessions->read(m.session(), to, [&](const policy::Policy &policy) {
        switch (m.kind()) {
        case protocol::PROVIDER:
            return send_one(core, policy, policy.providers, *key, 0, STATUS_FWP_PROVIDER_NOT_FOUND,
                            to);
        case protocol::PROVIDER_CONTEXT:
            return send_one(core, policy, policy.provider_contexts, *key, m.id(),
                            STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND, to);
        case protocol::SUBLAYER:
            return send_one(core, policy, policy.sublayers, *key, 0, STATUS_FWP_SUBLAYER_NOT_FOUND,
                            to);
        case protocol::CALLOUT:
            return send_one(core, policy, policy.callouts, *key, m.id(),
                            STATUS_FWP_CALLOUT_NOT_FOUND, to);
        default:
            return send_one(core, policy, policy.filters, *key, m.id(), STATUS_FWP_FILTER_NOT_FOUND,
                            to);
        }
    });
}

} // namespace sluice::daemon
