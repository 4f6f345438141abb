// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_file.h"

#include <algorithm>
#include <set>

#include "policy/edit.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

const Guid &file_provider() {
    static const Guid key = policy::table_key("SLUICE_PROVIDER_POLICY_FILE");
    return key;
}

// What a file says about an object: without what the engine fills in.
template <typename Object>
std::string said(Object object) {
    if constexpr (requires { object.id; }) object.id = 0;
    if constexpr (requires { object.effective_weight; }) object.effective_weight = 0;
    return store::to_message(object).SerializeAsString();
}

template <typename Object>
std::string title(const char *kind, const Object &object) {
    return std::string(kind) + " " + object.name;
}

// The objects of one kind that a file wants, by key.
template <typename Object, typename Messages>
Result<std::map<Guid, Object>> wanted(const Messages &messages, const char *kind) {
    std::map<Guid, Object> out;
    for (const auto &message : messages) {
        auto object = store::from_message(message);
        if (!object) return object.error();
        if (object->provider.is_null()) object->provider = file_provider();
        if (object->provider != file_provider())
            return policy::refuse(STATUS_FWP_INVALID_PARAMETER,
                                  std::string("a policy file's objects belong to no other "
                                              "provider: ") +
                                      kind,
                                  object->name);
        if (object->key.is_null()) object->key = Guid::random();
        const Guid key = object->key;
        if (!out.emplace(key, std::move(*object)).second)
            return policy::refuse(STATUS_FWP_ALREADY_EXISTS,
                                  std::string("the file has two of one key: ") + kind, key.text());
    }
    return out;
}

class Replacer {
public:
    Replacer(policy::Policy &policy, const std::function<std::uint64_t()> &next_id)
        : policy_(policy), next_id_(next_id) {}

    Result<Replaced> run(const protocol::Objects &objects);

private:
    template <typename Map>
    void note(const char *kind, const Map &now, const Map &next);
    // Brings the objects of one kind that filters refer to up to date; goes are those that go once
    // no filter refers to them any more.
    template <typename Object, typename Add>
    Result<void> update(std::map<Guid, Object> &now, const std::map<Guid, Object> &next, Add add,
                        std::vector<Guid> &goes);
    [[nodiscard]] bool stays(const policy::Filter &filter,
                             const std::map<Guid, policy::Filter> &next) const;
    Result<void> add_filters(std::map<Guid, policy::Filter> next, const std::set<Guid> &kept);
    [[nodiscard]] std::map<Guid, policy::Filter> filters() const;

    policy::Policy &policy_;
    const std::function<std::uint64_t()> &next_id_;
    std::set<Guid> changed_; // what filters refer to and is not what it was
    Replaced done_;
};

template <typename Map>
void Replacer::note(const char *kind, const Map &now, const Map &next) {
    auto &d = done_.difference;
    for (const auto &[key, object] : now) {
        if (object.provider != file_provider()) continue;
        const auto after = next.find(key);
        if (after == next.end())
            d.add_deleted(title(kind, object));
        else if (said(object) != said(after->second))
            d.add_changed(title(kind, after->second));
        else
            d.set_unchanged(d.unchanged() + 1);
    }
    for (const auto &[key, object] : next) {
        const auto before = now.find(key);
        if (before == now.end() || before->second.provider != file_provider())
            d.add_added(title(kind, object));
    }
}

template <typename Object, typename Add>
Result<void> Replacer::update(std::map<Guid, Object> &now, const std::map<Guid, Object> &next,
                              Add add, std::vector<Guid> &goes) {
    for (const auto &[key, object] : now)
        if (object.provider == file_provider() && !next.contains(key)) goes.push_back(key);
    for (const auto &[key, object] : next) {
        const auto before = now.find(key);
        if (before != now.end() && before->second.provider == file_provider()) {
            if (said(before->second) == said(object)) continue;
            // In place: what refers to it by key goes on doing so.
            now.erase(before);
            changed_.insert(key);
        }
        if (auto r = add(policy_, object); !r) return r.error();
    }
    return {};
}

std::map<Guid, policy::Filter> Replacer::filters() const {
    std::map<Guid, policy::Filter> out;
    for (const auto &[id, filter] : policy_.filters)
        if (filter.provider == file_provider()) out.emplace(filter.key, filter);
    return out;
}

bool Replacer::stays(const policy::Filter &filter,
                     const std::map<Guid, policy::Filter> &next) const {
    const auto after = next.find(filter.key);
    return after != next.end() && said(filter) == said(after->second) &&
           !changed_.contains(filter.sublayer) && !changed_.contains(filter.callout) &&
           !changed_.contains(filter.provider_context);
}

Result<void> Replacer::add_filters(std::map<Guid, policy::Filter> next,
                                   const std::set<Guid> &kept) {
    for (auto &[key, filter] : next) {
        if (kept.contains(key)) continue;
        const std::uint64_t before = policy_.next_filter_id;
        policy_.next_filter_id = next_id_();
        auto id = policy::add_filter(policy_, std::move(filter));
        policy_.next_filter_id = std::max(policy_.next_filter_id, before);
        if (!id) return id.error();
        if (!policy_.filters.at(*id).callout.is_null()) done_.added.push_back(*id);
    }
    return {};
}

Result<Replaced> Replacer::run(const protocol::Objects &objects) {
    if (objects.providers_size() != 0)
        return policy::refuse(STATUS_NOT_SUPPORTED, "a policy file brings no providers, such as",
                              objects.providers(0).name());
    auto contexts =
        wanted<policy::ProviderContext>(objects.provider_contexts(), "provider context");
    auto sublayers = wanted<policy::SubLayer>(objects.sublayers(), "sublayer");
    auto callouts = wanted<policy::Callout>(objects.callouts(), "callout");
    auto next = wanted<policy::Filter>(objects.filters(), "filter");
    if (!contexts) return contexts.error();
    if (!sublayers) return sublayers.error();
    if (!callouts) return callouts.error();
    if (!next) return next.error();
    for (auto &[key, filter] : *next) // as add_filter would, so that the same is seen as the same
        if (filter.sublayer.is_null())
            filter.sublayer = policy::table_key("FWPM_SUBLAYER_UNIVERSAL");
    note("provider context", policy_.provider_contexts, *contexts);
    note("sublayer", policy_.sublayers, *sublayers);
    note("callout", policy_.callouts, *callouts);
    const auto before = filters();
    note("filter", before, *next);

    std::vector<Guid> contexts_go, sublayers_go, callouts_go;
    auto r =
        update(policy_.provider_contexts, *contexts, policy::add_provider_context, contexts_go);
    if (r) r = update(policy_.sublayers, *sublayers, policy::add_sublayer, sublayers_go);
    if (r) r = update(policy_.callouts, *callouts, policy::add_callout, callouts_go);
    std::set<Guid> kept;
    for (const auto &[key, filter] : before) {
        if (stays(filter, *next))
            kept.insert(key);
        else
            policy_.filters.erase(filter.id);
    }
    if (r) r = add_filters(std::move(*next), kept);
    for (const auto &key : contexts_go)
        if (r) r = policy::delete_provider_context(policy_, key, 0);
    for (const auto &key : sublayers_go)
        if (r) r = policy::delete_sublayer(policy_, key, 0);
    for (const auto &key : callouts_go)
        if (r) r = policy::delete_callout(policy_, key, 0);
    if (!r) return r.error();
    return std::move(done_);
}

} // namespace

protocol::Objects policy_file_objects(const policy::Policy &policy) {
    protocol::Objects out;
    for (const auto &[key, object] : policy.provider_contexts)
        if (object.provider == file_provider())
            *out.add_provider_contexts() = store::to_message(object);
    for (const auto &[key, object] : policy.sublayers)
        if (object.provider == file_provider()) *out.add_sublayers() = store::to_message(object);
    for (const auto &[key, object] : policy.callouts)
        if (object.provider == file_provider()) *out.add_callouts() = store::to_message(object);
    for (const auto &[id, object] : policy.filters)
        if (object.provider == file_provider()) *out.add_filters() = store::to_message(object);
    return out;
}

Result<Replaced> replace_policy_file(policy::Policy &policy, const protocol::Objects &objects,
                                     const std::function<std::uint64_t()> &next_id) {
    return Replacer(policy, next_id).run(objects);
}

} // namespace sluice::daemon
