// SPDX-License-Identifier: Apache-2.0
// Filters with `action: redirect`: a permit, and the provider context that says where to.
#include <algorithm>

#include "policyfile/filter_parts.h"
#include "policyfile/redirect_words.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"
#include "sluice/sluice_redirect.h"

namespace sluice::policyfile {

namespace {

bool is_redirect_layer(std::uint16_t layer) {
    return policy::layer_redirects_connects(layer) || policy::layer_redirects_binds(layer);
}

} // namespace

// told: what the target would be told, if the file says so.
bool ObjectReader::redirection_fits(const Parts &parts, const Node *to, const Node *told) {
    if (!parts.redirects) {
        for (const Node *node : {to, told})
            if (node != nullptr)
                problem(node->place, "this goes with `action: redirect` and with no other");
        return false;
    }
    if (to == nullptr)
        problem(parts.places.action, "a filter that redirects needs `to`, such as 127.0.0.1:8080");
    if (!parts.base.provider_context().empty())
        problem(parts.places.provider_context,
                "a filter that redirects has its target in place of a provider context");
    for (const auto layer : parts.layers)
        if (!is_redirect_layer(layer))
            problem(parts.places.layer, "nothing is redirected at " + layer_name(layer) +
                                            ": the layers are ale_connect_redirect and "
                                            "ale_bind_redirect");
    const bool binds =
        std::any_of(parts.layers.begin(), parts.layers.end(), policy::layer_redirects_binds);
    if (told != nullptr && binds)
        problem(told->place, "a bind has no target that could be told anything");
    return to != nullptr;
}

// {to: WORDS, context: TEXT | context_hex: HEX, proxy_protocol: v2}
void ObjectReader::redirection(Entry &entry, Parts &parts) {
    const Node *to = entry.take("to");
    const auto words = entry.take_words("to");
    const Node *text = entry.take_scalar("context");
    const Node *hex = entry.take_scalar("context_hex");
    const Node *proxy = entry.take_scalar("proxy_protocol");
    if (!redirection_fits(parts, to, text != nullptr ? text : hex != nullptr ? hex : proxy)) return;
    std::vector<std::string> texts;
    for (const Node *word : words)
        texts.push_back(word->text);
    auto target = target_of(texts);
    if (!target) return problem(to->place, target.error().text());
    if (text != nullptr) target->context = text->text;
    if (text != nullptr && hex != nullptr)
        problem(hex->place, "`context` and `context_hex` both give it: one is enough");
    const auto bytes = hex != nullptr ? bytes_of_hex(hex->text) : std::string();
    if (!bytes) problem(hex->place, "'" + hex->text + "' is no whole bytes in hexadecimal");
    if (hex != nullptr) target->context = bytes.value_or("");
    if (proxy != nullptr && proxy->text != "v2")
        problem(proxy->place, "'" + proxy->text + "' is no version that is spoken: v2 is");
    if (proxy != nullptr) target->flags |= SLUICE_REDIRECT_FLAG_PROXY_V2;
    parts.target = std::move(*target);
    parts.to = to->place;
    // What no family's address is to blame for is said once, here.
    if (auto r = policy::read_target(policy::write_target(parts.target)); !r)
        return problem(text != nullptr &&
                               parts.target.context.size() > SLUICE_REDIRECT_TARGET_CONTEXT_MAX
                           ? text->place
                           : to->place,
                       r.error().text());
    parts.base.set_provider_context(redirect_context(parts, to->place));
    parts.base.set_flags(parts.base.flags() | FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    parts.places.provider_context = to->place;
}

// Filters that redirect to one target share its context: it is one proxy's, whoever sends there.
std::string ObjectReader::redirect_context(const Parts &parts, Place place) {
    constexpr std::uint32_t lasting = FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME;
    const bool persistent = (parts.base.flags() & lasting) != 0;
    const std::string key = shared_context_key(parts.target, persistent);
    if (!keys_.insert(std::string("provider context") + '\0' + key).second) return key;
    auto context = context_of(parts.target, persistent);
    context.set_key(key);
    context.set_provider(parts.base.provider());
    *file_.objects.add_provider_contexts() = std::move(context);
    file_.places.provider_contexts.push_back(place);
    return key;
}

void ObjectReader::check_family(const Parts &parts, std::uint16_t layer) {
    if (!parts.redirects || !is_redirect_layer(layer) || parts.to.line == 0) return;
    const bool v6 = layer_family(layer) == Family::v6;
    if (v6 ? parts.target.v6 : parts.target.v4) return;
    const std::string name = layer_name(layer);
    problem(parts.to, std::string("no ") + (v6 ? "IPv6" : "IPv4") + " target for " + name +
                          ": add one, or give the layer of the other family alone");
}

} // namespace sluice::policyfile
