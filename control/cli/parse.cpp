// SPDX-License-Identifier: Apache-2.0
#include "cli/parse.h"

#include <sstream>

#include "policy/built_in.h"
#include "policy/hold_words.h"
#include "policyfile/layers.h"
#include "policyfile/reader.h"
#include "policyfile/redirect_words.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"
#include "sluice/sluice_redirect.h"
#include "store/wire.h"

namespace sluice::cli {

namespace {

using policyfile::layer_name;
using policyfile::layer_number;
using policyfile::number_of;

template <typename... Parts>
Error wrong(const Parts &...parts) {
    return Error(0, (std::string() + ... + parts));
}

Result<std::string> callout_key(const std::string &word, std::uint16_t layer, const Names &names) {
    if (const auto key = Guid::parse(word)) return key->bytes();
    std::string found;
    for (const auto &callout : names.callouts) {
        if (callout.name() != word) continue;
        if (!found.empty()) return wrong("several callouts are named '", word, "': give the GUID");
        found = callout.key();
    }
    if (found.empty() && word == policy::ask_word) {
        if (const auto key = policy::ask_callout_at(layer)) return key->bytes();
        return wrong("nothing can be held for 'ask' at ", layer_name(layer));
    }
    if (found.empty())
        return wrong("no callout '", word,
                     "': give the name or GUID of one in `sluice callout list`");
    return found;
}

Result<std::string> sublayer_key(const std::string &word, const Names &names) {
    if (const auto key = Guid::parse(word)) return key->bytes();
    for (const auto &sublayer : names.sublayers)
        if (sublayer.name() == word) return sublayer.key();
    return wrong("no sublayer '", word,
                 "': give the name or GUID of one in `sluice sublayer list`");
}

std::vector<std::string> pieces_of(const std::string &list) {
    std::vector<std::string> words;
    std::stringstream in(list);
    for (std::string word; std::getline(in, word, ',');)
        words.push_back(word);
    return words;
}

// A permit whose context, which goes with the filter, says where to.
Result<void> set_redirect(protocol::Filter &filter, const FilterWords &words) {
    if (!words.action.empty() && words.action != "redirect")
        return wrong("--redirect goes with --action redirect only, or with none");
    const auto layer = static_cast<std::uint16_t>(filter.layer());
    if (!policy::layer_redirects_connects(layer) && !policy::layer_redirects_binds(layer))
        return wrong("nothing is redirected at ", layer_name(layer), ": the layers are ",
                     "ale_connect_redirect_v4 and _v6, ale_bind_redirect_v4 and _v6");
    if (filter.key().empty()) filter.set_key(Guid::random().bytes());
    filter.set_provider_context(policy::own_context_key(*Guid::from_bytes(filter.key())).bytes());
    filter.set_flags(filter.flags() | FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    filter.set_action(FWP_ACTION_PERMIT);
    return {};
}

Result<void> set_action(protocol::Filter &filter, const FilterWords &words, const Names &names) {
    if (!words.redirect.empty()) return set_redirect(filter, words);
    if (words.action == "redirect") return wrong("--action redirect needs --redirect ADDRESS:PORT");
    if (!words.context.empty() || words.proxy_v2)
        return wrong(words.proxy_v2 ? "--proxy-v2" : "--context", " goes with --redirect only");
    if (words.action.empty()) return wrong("--action or --redirect is needed");
    if (words.action != "callout" && !words.callout.empty())
        return wrong("--callout goes with --action callout only");
    if (words.action == "permit") return filter.set_action(FWP_ACTION_PERMIT), Result<void>();
    if (words.action == "block") return filter.set_action(FWP_ACTION_BLOCK), Result<void>();
    if (words.action != "callout")
        return wrong("action '", words.action, "' is none of permit, block, redirect, callout");
    if (words.callout.empty()) return wrong("--action callout needs --callout NAME or GUID");
    auto key = callout_key(words.callout, static_cast<std::uint16_t>(filter.layer()), names);
    if (!key) return key.error();
    filter.set_callout(*key);
    if (words.callout_type == "terminating")
        filter.set_action(FWP_ACTION_CALLOUT_TERMINATING);
    else if (words.callout_type == "inspection")
        filter.set_action(FWP_ACTION_CALLOUT_INSPECTION);
    else if (words.callout_type == "unknown")
        filter.set_action(FWP_ACTION_CALLOUT_UNKNOWN);
    else
        return wrong("callout type '", words.callout_type,
                     "' is none of terminating, inspection, unknown");
    return {};
}

Result<void> set_hold(protocol::Filter &filter, const FilterWords &words) {
    if (words.deadline.empty() && words.outcome.empty()) return {};
    if (words.action != "callout")
        return wrong(words.deadline.empty() ? "--outcome" : "--deadline",
                     " goes with --action callout only: nothing else holds");
    policy::HoldOptions options;
    if (!words.deadline.empty()) {
        auto ms = policy::deadline_of(words.deadline);
        if (!ms) return ms.error();
        options.deadline_ms = *ms;
    }
    if (!words.outcome.empty()) {
        auto outcome = policy::outcome_of(words.outcome);
        if (!outcome) return outcome.error();
        options.outcome = *outcome;
    }
    *filter.mutable_hold() = store::to_message(options);
    return {};
}

Result<std::uint32_t> lifetime_flag(const std::string &word) {
    if (word == "static") return 0u;
    if (word == "persistent") return std::uint32_t{FWPM_FILTER_FLAG_PERSISTENT};
    if (word == "boot-time") return std::uint32_t{FWPM_FILTER_FLAG_BOOTTIME};
    return wrong("lifetime '", word, "' is none of static, persistent, boot-time");
}

Result<void> add_conditions(protocol::Filter &filter, const FilterWords &words,
                            std::uint16_t layer) {
    for (const auto &[word, values] : words.conditions)
        if (!values.empty())
            if (auto r = policyfile::add_condition(word, values, layer, filter); !r) return r;
    for (const auto &text : words.written)
        if (auto r = policyfile::add_conditions(text, layer, filter); !r) return r;
    return {};
}

} // namespace

Result<std::uint16_t> parse_layer(const std::string &word) {
    if (const auto layer = layer_number(word)) return *layer;
    const auto number = number_of(word);
    if (number && *number <= 0xffff && !layer_name(static_cast<std::uint16_t>(*number)).empty())
        return static_cast<std::uint16_t>(*number);
    return wrong("no layer '", word, "': see `sluice layer list`");
}

Result<std::string> parse_key(const std::string &word) {
    const auto key = Guid::parse(word);
    if (!key || key->is_null()) return wrong("'", word, "' is no key: a GUID is needed");
    return key->bytes();
}

Result<protocol::Value> parse_weight(const std::string &word) {
    protocol::Value value;
    if (word == "auto") return value; // FWP_EMPTY
    const auto number = number_of(word);
    if (!number)
        return wrong("weight '", word, "' is not auto, 0-15, or a larger number of 64 bits");
    value.set_type(*number <= 15 ? FWP_UINT8 : FWP_UINT64);
    value.set_number(*number);
    return value;
}

Result<protocol::Filter> parse_filter(const FilterWords &words, const Names &names) {
    protocol::Filter filter;
    auto layer = parse_layer(words.layer);
    if (!layer) return layer.error();
    auto weight = parse_weight(words.weight);
    if (!weight) return weight.error();
    filter.set_layer(*layer);
    *filter.mutable_weight() = *weight;
    filter.set_name(words.name.empty() ? "sluice filter add" : words.name);
    filter.set_description(words.description);
    if (!words.key.empty()) {
        auto key = parse_key(words.key);
        if (!key) return key.error();
        filter.set_key(*key);
    }
    auto lifetime = lifetime_flag(words.lifetime);
    if (!lifetime) return lifetime.error();
    filter.set_flags(
        *lifetime | (words.clear_action_right ? FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0u) |
        (words.permit_if_unregistered ? FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED : 0u));
    filter.set_provider(names.provider);
    if (!words.sublayer.empty()) {
        auto key = sublayer_key(words.sublayer, names);
        if (!key) return key.error();
        filter.set_sublayer(*key);
    }
    if (auto r = set_action(filter, words, names); !r) return r.error();
    if (auto r = set_hold(filter, words); !r) return r.error();
    if (auto r = add_conditions(filter, words, *layer); !r) return r.error();
    return filter;
}

Result<std::optional<protocol::ProviderContext>> parse_redirect(const FilterWords &words,
                                                                const protocol::Filter &filter) {
    using Made = std::optional<protocol::ProviderContext>;
    if (words.redirect.empty()) return Made();
    auto target = policyfile::target_of(pieces_of(words.redirect));
    if (!target) return wrong("--redirect ", target.error().text());
    target->context = words.context;
    if (words.proxy_v2) target->flags |= SLUICE_REDIRECT_FLAG_PROXY_V2;
    constexpr std::uint32_t lasting = FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME;
    auto context = policyfile::context_of(*target, (filter.flags() & lasting) != 0);
    context.set_key(filter.provider_context());
    context.set_provider(filter.provider());
    return Made(std::move(context));
}

} // namespace sluice::cli
