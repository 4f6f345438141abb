// SPDX-License-Identifier: Apache-2.0
#include "policyfile/writer.h"

#include <algorithm>
#include <map>
#include <set>
#include <type_traits>

#include "core/guid.h"
#include "policy/built_in.h"
#include "policyfile/names.h"
#include "policyfile/reader.h"
#include "policyfile/values_text.h"
#include "policy/hold_words.h"
#include "policyfile/redirect_words.h"
#include "sluice/fwp.h"

namespace sluice::policyfile {

namespace {

std::string guid_text(const std::string &bytes) {
    const auto key = Guid::from_bytes(bytes);
    return key ? key->text() : std::string();
}

bool is_ask(const std::string &bytes) {
    const auto key = Guid::from_bytes(bytes);
    return key && policy::is_ask_callout(*key);
}

// Names that stand for one key.
class Labels {
public:
    void add_all(const protocol::Objects &objects) {
        add("provider", objects.providers());
        add("provider context", objects.provider_contexts());
        add("sublayer", objects.sublayers());
        add("callout", objects.callouts());
    }
    [[nodiscard]] std::string of(const std::string &kind, const std::string &key) const {
        const auto named = names_.find({kind, key});
        if (named == names_.end()) return guid_text(key);
        const auto keys = keys_.find({kind, named->second});
        const bool reads_as_key = Guid::parse(named->second).has_value();
        return keys->second.size() == 1 && !reads_as_key ? named->second : guid_text(key);
    }

private:
    template <typename Objects>
    void add(const char *kind, const Objects &objects) {
        for (const auto &object : objects) {
            if (object.name().empty()) continue;
            names_[{kind, object.key()}] = object.name();
            keys_[{kind, object.name()}].insert(object.key());
        }
    }
    using Pair = std::pair<std::string, std::string>;
    std::map<Pair, std::string> names_;
    std::map<Pair, std::set<std::string>> keys_;
};

class Writer {
public:
    Writer(const protocol::Objects &objects, const WriteOptions &options)
        : objects_(objects), options_(options) {
        labels_.add_all(objects);
        labels_.add_all(options.external);
        for (const auto &filter : objects.filters())
            ++filter_names_[filter.name() + '\0' + layer_of(filter)];
        for (const auto *contexts :
             {&objects.provider_contexts(), &options.external.provider_contexts()})
            for (const auto &context : *contexts)
                contexts_[context.key()] = &context;
        find_targets();
    }

    Json tree() {
        Json out{{"version", 1}};
        section(out, "providers", objects_.providers(), nullptr);
        section(out, "provider_contexts", contexts_in_full(), nullptr);
        section(out, "sublayers", objects_.sublayers(), &options_.external.sublayers());
        section(out, "callouts", objects_.callouts(), &options_.external.callouts());
        Json filters = Json::array();
        for (const auto *filter : sorted())
            filters.push_back(one(*filter));
        if (!filters.empty()) out["filters"] = std::move(filters);
        return out;
    }

    Json one(const protocol::Filter &filter) {
        const std::string layer = layer_of(filter);
        Json out = head(filter, "filter", layer, filter_names_[filter.name() + '\0' + layer] > 1);
        out["layer"] = layer;
        if (filter.sublayer() != universal_sublayer() && !filter.sublayer().empty())
            out["sublayer"] = labels_.of("sublayer", filter.sublayer());
        if (const Json weight = weight_of(filter, layer); !weight.is_null()) out["weight"] = weight;
        const auto target = targets_.find(filter.provider_context());
        out["action"] = target != targets_.end() ? "redirect" : action_of(filter);
        if (target != targets_.end()) put_target(out, target->second);
        if (Json hold = hold_tree(filter.hold()); !hold.is_null()) out["hold"] = std::move(hold);
        if (const Json flags = flags_of(filter.flags()); !flags.empty()) out["flags"] = flags;
        if (filter.flags() & FWPM_FILTER_FLAG_PERSISTENT) out["lifetime"] = "persistent";
        if (filter.flags() & FWPM_FILTER_FLAG_BOOTTIME) out["lifetime"] = "boot-time";
        if (!filter.provider_context().empty() && target == targets_.end())
            out["provider_context"] = labels_.of("provider context", filter.provider_context());
        if (filter.raw_context() != 0) out["raw_context"] = filter.raw_context();
        if (Json conditions = print_conditions(filter, static_cast<std::uint16_t>(filter.layer()));
            !conditions.is_null())
            out["conditions"] = std::move(conditions);
        return out;
    }

private:
    static std::string layer_of(const protocol::Filter &filter) {
        return layer_name(static_cast<std::uint16_t>(filter.layer()));
    }

    // Contexts that filters say themselves, as `to`: all of the filters that name them must.
    void find_targets() {
        std::set<std::string> others;
        for (const auto &filter : objects_.filters()) {
            const auto context = contexts_.find(filter.provider_context());
            if (context == contexts_.end()) continue;
            if (auto target = plain_target(filter, *context->second))
                targets_[context->first] = std::move(*target);
            else
                others.insert(context->first);
        }
        for (const auto &key : others)
            targets_.erase(key);
    }
    [[nodiscard]] google::protobuf::RepeatedPtrField<protocol::ProviderContext>
    contexts_in_full() const {
        google::protobuf::RepeatedPtrField<protocol::ProviderContext> rest;
        for (const auto &context : objects_.provider_contexts())
            if (!targets_.contains(context.key())) *rest.Add() = context;
        return rest;
    }
    static void put_target(Json &out, const policy::Target &target) {
        const auto words = words_of(target);
        out["to"] = words.size() == 1 ? Json(words.front()) : Json(words);
        const auto plain = [](char c) { return c >= 0x20 && c < 0x7f; };
        const std::string &told = target.context;
        if (std::all_of(told.begin(), told.end(), plain)) {
            if (!told.empty()) out["context"] = told;
        } else {
            out["context_hex"] = hex_text(told);
        }
        if (target.flags != 0) out["proxy_protocol"] = "v2";
    }

    template <typename Objects>
    void section(Json &out, const char *name, const Objects &objects,
                 const std::type_identity_t<Objects> *external) {
        Json list = Json::array();
        for (const auto &object : objects)
            list.push_back(one(object));
        if (external != nullptr)
            for (const auto &object : *external) {
                if (is_ask(object.key())) continue; // every policy has it
                Json entry = one(object);
                entry["external"] = true;
                list.push_back(std::move(entry));
            }
        if (!list.empty()) out[name] = std::move(list);
    }

    template <typename Object>
    Json head(const Object &object, const char *kind, const std::string &layer, bool needs_key) {
        Json out{{"name", object.name()}};
        if (needs_key || object.key() != derived_key(kind, object.name(), layer))
            out["key"] = guid_text(object.key());
        if (!object.description().empty()) out["description"] = object.description();
        if (!object.provider_data().empty())
            out["provider_data"] = hex_text(object.provider_data());
        if constexpr (requires { object.provider(); })
            if (!object.provider().empty() && object.provider() != options_.own_provider)
                out["provider"] = labels_.of("provider", object.provider());
        return out;
    }

    template <typename Objects>
    static bool several(const Objects &objects, const std::string &name) {
        return std::count_if(objects.begin(), objects.end(),
                             [&](const auto &object) { return object.name() == name; }) > 1;
    }

    Json one(const protocol::Provider &object) {
        Json out = head(object, "provider", "", several(objects_.providers(), object.name()));
        if (!object.service_name().empty()) out["service"] = object.service_name();
        if (object.flags() & FWPM_PROVIDER_FLAG_PERSISTENT) out["lifetime"] = "persistent";
        return out;
    }
    Json one(const protocol::ProviderContext &object) {
        Json out = head(object, "provider context", "",
                        several(objects_.provider_contexts(), object.name()));
        out["hex"] = hex_text(object.data());
        if (object.flags() & FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT) out["lifetime"] = "persistent";
        return out;
    }
    Json one(const protocol::SubLayer &object) {
        Json out = head(object, "sublayer", "", several(objects_.sublayers(), object.name()));
        out["weight"] = object.weight();
        if (object.flags() & FWPM_SUBLAYER_FLAG_PERSISTENT) out["lifetime"] = "persistent";
        return out;
    }
    Json one(const protocol::Callout &object) {
        Json out = head(object, "callout", "", true);
        out["layer"] = layer_name(static_cast<std::uint16_t>(object.layer()));
        if (object.flags() & FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT)
            out["uses_provider_context"] = true;
        if (object.flags() & FWPM_CALLOUT_FLAG_PERSISTENT) out["lifetime"] = "persistent";
        return out;
    }

    // In the order of evaluation inside a sublayer and layer, so that weights can be left out.
    std::vector<const protocol::Filter *> sorted() const {
        std::vector<const protocol::Filter *> all;
        for (const auto &filter : objects_.filters())
            all.push_back(&filter);
        const auto weight = [](const protocol::Filter &filter) {
            return filter.weight().type() == FWP_UINT64 ? filter.weight().number() : 0;
        };
        std::stable_sort(all.begin(), all.end(), [&](const auto *a, const auto *b) {
            if (a->sublayer() != b->sublayer()) return a->sublayer() < b->sublayer();
            if (a->layer() != b->layer()) return a->layer() < b->layer();
            return weight(*a) > weight(*b);
        });
        return all;
    }

    Json weight_of(const protocol::Filter &filter, const std::string &layer) {
        const auto &weight = filter.weight();
        if (weight.type() == FWP_UINT8) return Json{{"range", weight.number()}};
        if (weight.type() != FWP_UINT64) return "auto";
        auto &ordered = ordered_[filter.sublayer() + layer];
        if (weight.number() == first_ordered_weight - ordered) {
            ++ordered;
            return {};
        }
        return weight.number();
    }

    Json action_of(const protocol::Filter &filter) const {
        if (filter.action() == FWP_ACTION_PERMIT) return "permit";
        if (filter.action() == FWP_ACTION_BLOCK) return "block";
        const char *type = filter.action() == FWP_ACTION_CALLOUT_INSPECTION ? "inspection"
                           : filter.action() == FWP_ACTION_CALLOUT_UNKNOWN  ? "unknown"
                                                                            : "terminating";
        const std::string name =
            is_ask(filter.callout()) ? policy::ask_word : labels_.of("callout", filter.callout());
        return Json{{"callout", name}, {"type", type}};
    }

    static Json flags_of(std::uint32_t flags) {
        Json words = Json::array();
        if (flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) words.push_back("hard");
        if (flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED)
            words.push_back("permit-if-unregistered");
        if (flags & FWPM_FILTER_FLAG_INDEXED) words.push_back("indexed");
        return words;
    }

    const protocol::Objects &objects_;
    const WriteOptions &options_;
    Labels labels_;
    std::map<std::string, const protocol::ProviderContext *> contexts_;
    std::map<std::string, policy::Target> targets_; // by their contexts' keys
    std::map<std::string, int> filter_names_;
    std::map<std::string, std::uint64_t> ordered_; // sublayer and layer: weights left out so far
};

} // namespace

Json hold_tree(const protocol::HoldOptions &hold) {
    Json out;
    const auto outcome = static_cast<policy::Outcome>(hold.outcome());
    if (hold.deadline_ms() != 0) out["deadline"] = policy::deadline_text(hold.deadline_ms());
    if (outcome != policy::Outcome::host_default) out["outcome"] = policy::outcome_text(outcome);
    return out;
}

Json to_tree(const protocol::Objects &objects, const WriteOptions &options) {
    return Writer(objects, options).tree();
}

Json filter_tree(const protocol::Filter &filter, const protocol::Objects &names) {
    WriteOptions options;
    options.external = names;
    protocol::Objects alone;
    *alone.add_filters() = filter;
    Json tree = Writer(alone, options).one(alone.filters(0));
    tree["key"] = guid_text(filter.key());
    return tree;
}

} // namespace sluice::policyfile
