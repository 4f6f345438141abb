// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_file.h"

#include <algorithm>
#include <set>
#include <unordered_map>

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

const Guid &universal_sublayer() {
    static const Guid key = policy::table_key("FWPM_SUBLAYER_UNIVERSAL");
    return key;
}

// What a file says about an object: without what the engine fills in.
template <typename Object>
std::string said(Object object) {
    if constexpr (requires { object.id; }) object.id = 0;
    return store::to_message(object).SerializeAsString();
}

template <typename Object>
std::string title(const char *kind, const Object &object) {
    return std::string(kind) + " " + object.name;
}

// An object of a file, with what the file need not say.
template <typename Object>
Result<void> complete(Object &object, const char *kind) {
    if (object.provider.is_null()) object.provider = file_provider();
    if (object.provider != file_provider())
        return policy::refuse(STATUS_FWP_INVALID_PARAMETER,
                              std::string("a policy file's objects belong to no other provider: ") +
                                  kind,
                              object.name);
    if (object.key.is_null()) object.key = Guid::random();
    return {};
}

Error twice(const char *kind, const Guid &key) {
    return policy::refuse(STATUS_FWP_ALREADY_EXISTS,
                          std::string("the file has two of one key: ") + kind, key.text());
}

// The objects of one kind that a file wants, by key.
template <typename Object>
Result<std::map<Guid, Object>> wanted(std::vector<Object> objects, const char *kind) {
    std::map<Guid, Object> out;
    for (auto &object : objects) {
        if (auto r = complete(object, kind); !r) return r.error();
        const Guid key = object.key;
        if (!out.emplace(key, std::move(object)).second) return twice(kind, key);
    }
    return out;
}

class Replacer {
public:
    Replacer(policy::Policy &policy, const std::function<std::uint64_t()> &next_id)
        : policy_(policy), next_id_(next_id) {}

    Result<Replaced> run(FileObjects objects);

private:
    template <typename Map>
    void note(const char *kind, const Map &now, const Map &next);
    // Brings the objects of one kind that filters refer to up to date; goes are those that go once
    // no filter refers to them any more.
    template <typename Object, typename Add>
    Result<void> update(std::map<Guid, Object> &now, const std::map<Guid, Object> &next, Add add,
                        std::vector<Guid> &goes);

    // Of filters there may be many: by value, in the file's order, each looked at once.
    struct Wanted {
        policy::Filter filter;
        bool known = false;     // the policy has one with this key
        std::uint64_t same = 0; // which is this one, and says the same
    };
    Result<void> take_filters(std::vector<policy::Filter> filters);
    void compare_filters();
    [[nodiscard]] bool refers_to_changed(const policy::Filter &filter) const;
    Result<void> replace_filters();

    policy::Policy &policy_;
    const std::function<std::uint64_t()> &next_id_;
    std::set<Guid> changed_; // what filters refer to and is not what it was
    std::vector<Wanted> filters_;
    std::unordered_map<Guid, std::size_t> by_key_; // places in filters_
    std::vector<std::uint64_t> go_;                // filters of the policy
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

Result<void> Replacer::take_filters(std::vector<policy::Filter> filters) {
    filters_.reserve(filters.size());
    by_key_.reserve(filters.size());
    for (auto &filter : filters) {
        if (auto r = complete(filter, "filter"); !r) return r;
        // As add_filter would, so that the same is seen as the same.
        if (filter.sublayer.is_null()) filter.sublayer = universal_sublayer();
        if (!by_key_.emplace(filter.key, filters_.size()).second)
            return twice("filter", filter.key);
        filters_.push_back({std::move(filter)});
    }
    return {};
}

void Replacer::compare_filters() {
    auto &d = done_.difference;
    for (const auto &[id, filter] : policy_.filters) {
        if (filter.provider != file_provider()) continue;
        const auto at = by_key_.find(filter.key);
        if (at == by_key_.end()) {
            d.add_deleted(title("filter", filter));
            go_.push_back(id);
            continue;
        }
        Wanted &next = filters_[at->second];
        next.known = true;
        next.filter.id = id;
        next.filter.effective_weight = filter.effective_weight;
        if (next.filter == filter) {
            d.set_unchanged(d.unchanged() + 1);
            next.same = id;
        } else {
            d.add_changed(title("filter", next.filter));
            go_.push_back(id);
        }
    }
    for (const auto &next : filters_)
        if (!next.known) d.add_added(title("filter", next.filter));
}

bool Replacer::refers_to_changed(const policy::Filter &filter) const {
    return changed_.contains(filter.sublayer) || changed_.contains(filter.callout) ||
           changed_.contains(filter.provider_context);
}

Result<void> Replacer::replace_filters() {
    for (auto &next : filters_) {
        if (next.same == 0 || !refers_to_changed(next.filter)) continue;
        go_.push_back(next.same);
        next.same = 0;
    }
    for (const std::uint64_t id : go_)
        policy_.filters.erase(id);
    for (auto &next : filters_) {
        if (next.same != 0) continue;
        const std::uint64_t before = policy_.next_filter_id;
        policy_.next_filter_id = next_id_();
        const bool asks = !next.filter.callout.is_null();
        auto id = policy::add_filter(policy_, std::move(next.filter));
        policy_.next_filter_id = std::max(policy_.next_filter_id, before);
        if (!id) return id.error();
        if (asks) done_.added.push_back(*id);
    }
    return {};
}

Result<Replaced> Replacer::run(FileObjects objects) {
    auto contexts = wanted(std::move(objects.provider_contexts), "provider context");
    auto sublayers = wanted(std::move(objects.sublayers), "sublayer");
    auto callouts = wanted(std::move(objects.callouts), "callout");
    if (!contexts) return contexts.error();
    if (!sublayers) return sublayers.error();
    if (!callouts) return callouts.error();
    if (auto r = take_filters(std::move(objects.filters)); !r) return r.error();
    note("provider context", policy_.provider_contexts, *contexts);
    note("sublayer", policy_.sublayers, *sublayers);
    note("callout", policy_.callouts, *callouts);
    compare_filters();

    std::vector<Guid> contexts_go, sublayers_go, callouts_go;
    auto r =
        update(policy_.provider_contexts, *contexts, policy::add_provider_context, contexts_go);
    if (r) r = update(policy_.sublayers, *sublayers, policy::add_sublayer, sublayers_go);
    if (r) r = update(policy_.callouts, *callouts, policy::add_callout, callouts_go);
    if (r) r = replace_filters();
    for (const auto &key : contexts_go)
        if (r) r = policy::delete_provider_context(policy_, key, 0);
    for (const auto &key : sublayers_go)
        if (r) r = policy::delete_sublayer(policy_, key, 0);
    for (const auto &key : callouts_go)
        if (r) r = policy::delete_callout(policy_, key, 0);
    if (!r) return r.error();
    return std::move(done_);
}

template <typename Messages, typename Object>
Result<void> add_all(const Messages &messages, std::vector<Object> &objects) {
    for (const auto &message : messages) {
        auto object = store::from_message(message);
        if (!object) return object.error();
        objects.push_back(std::move(*object));
    }
    return {};
}

template <typename Map, typename Object>
void copy_files(const Map &map, std::vector<Object> &out) {
    for (const auto &[name, object] : map)
        if (object.provider == file_provider()) out.push_back(object);
}

} // namespace

Result<void> FileObjects::add(const protocol::Objects &message) {
    if (message.providers_size() != 0)
        return policy::refuse(STATUS_NOT_SUPPORTED, "a policy file brings no providers, such as",
                              message.providers(0).name());
    auto r = add_all(message.provider_contexts(), provider_contexts);
    if (r) r = add_all(message.sublayers(), sublayers);
    if (r) r = add_all(message.callouts(), callouts);
    if (r) r = add_all(message.filters(), filters);
    return r;
}

FileObjects file_objects(const policy::Policy &policy) {
    FileObjects out;
    copy_files(policy.provider_contexts, out.provider_contexts);
    copy_files(policy.sublayers, out.sublayers);
    copy_files(policy.callouts, out.callouts);
    copy_files(policy.filters, out.filters);
    return out;
}

std::string file_document(const policy::Policy &policy) {
    protocol::Objects few;
    const auto is_file = [](const auto &object) { return object.provider == file_provider(); };
    for (const auto &[key, object] : policy.provider_contexts)
        if (is_file(object)) *few.add_provider_contexts() = store::to_message(object);
    for (const auto &[key, object] : policy.sublayers)
        if (is_file(object)) *few.add_sublayers() = store::to_message(object);
    for (const auto &[key, object] : policy.callouts)
        if (is_file(object)) *few.add_callouts() = store::to_message(object);
    std::string out = few.SerializeAsString();
    store::append_objects(policy.filters, is_file, out);
    return out;
}

Result<policy::Policy> policy_of_document(const protocol::Objects &document) {
    FileObjects objects;
    if (auto r = objects.add(document); !r) return r.error();
    policy::Policy out;
    for (auto &object : objects.provider_contexts)
        out.provider_contexts[object.key] = object;
    for (auto &object : objects.sublayers)
        out.sublayers[object.key] = object;
    for (auto &object : objects.callouts)
        out.callouts[object.key] = object;
    for (auto &filter : objects.filters) {
        filter.id = out.next_filter_id++; // its number is nobody's any more
        const std::uint64_t id = filter.id;
        out.filters.emplace(id, std::move(filter));
    }
    return out;
}

Result<Replaced> replace_policy_file(policy::Policy &policy, FileObjects objects,
                                     const std::function<std::uint64_t()> &next_id) {
    return Replacer(policy, next_id).run(std::move(objects));
}

} // namespace sluice::daemon
