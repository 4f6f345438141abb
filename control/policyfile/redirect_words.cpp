// SPDX-License-Identifier: Apache-2.0
#include "policyfile/redirect_words.h"

#include <algorithm>

#include "policyfile/reader.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"

namespace sluice::policyfile {

namespace {

using policy::Target;
using policy::TargetEnd;

Error wrong(const std::string &word, const std::string &why) {
    return Error(0, "'" + word + "' " + why);
}

struct Split {
    std::string address;
    std::optional<std::string> port;
};

Result<Split> split(const std::string &word) {
    if (word.starts_with("[")) {
        const auto end = word.find(']');
        if (end == std::string::npos) return wrong(word, "lacks the closing bracket");
        const std::string address = word.substr(1, end - 1), rest = word.substr(end + 1);
        if (rest.empty()) return Split{address, std::nullopt};
        if (rest[0] != ':') return wrong(word, "is no [ADDRESS]:PORT");
        return Split{address, rest.substr(1)};
    }
    if (std::count(word.begin(), word.end(), ':') != 1) return Split{word, std::nullopt};
    const auto colon = word.find(':');
    return Split{word.substr(0, colon), word.substr(colon + 1)};
}

std::string v4_bytes(std::uint32_t address) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>(address >> shift);
    return bytes;
}

Result<void> put(Target &target, TargetEnd end, const std::string &word) {
    auto &place = end.address.size() == 4 ? target.v4 : target.v6;
    if (place) return wrong(word, "is a second target of its family");
    place = std::move(end);
    return {};
}

Result<std::uint16_t> port_of(const Split &parts, const std::string &word) {
    if (!parts.port) return std::uint16_t{0};
    const auto number = number_of(*parts.port);
    if (!number || *number == 0 || *number > 0xffff)
        return wrong(word, "has a port that is not within 1-65535");
    return static_cast<std::uint16_t>(*number);
}

Result<void> add_word(Target &target, const std::string &word) {
    const auto parts = split(word);
    if (!parts) return parts.error();
    const auto port = port_of(*parts, word);
    if (!port) return port.error();
    if (parts->address.empty() && *port != 0) { // of both families
        if (auto r = put(target, {std::string(4, 0), *port}, word); !r) return r;
        return put(target, {std::string(16, 0), *port}, word);
    }
    TargetEnd end{"", *port};
    if (const auto v4 = ipv4_of(parts->address))
        end.address = v4_bytes(*v4);
    else
        end.address = ipv6_of(parts->address).value_or("");
    if (end.address.empty())
        return wrong(word, "is no ADDRESS:PORT, [ADDRESS]:PORT, ADDRESS or :PORT");
    if (end.same_address()) return wrong(word, "is no address to go to; for another port :PORT");
    return put(target, std::move(end), word);
}

} // namespace

Result<Target> target_of(const std::vector<std::string> &words) {
    Target target;
    for (const auto &word : words)
        if (auto r = add_word(target, word); !r) return r.error();
    return target;
}

std::vector<std::string> words_of(const Target &target) {
    std::vector<std::string> words;
    for (const auto &end : {target.v4, target.v6}) {
        if (!end) continue;
        const std::string text = policy::end_text(*end);
        if (words.empty() || words.front() != text) words.push_back(text); // :PORT is one word
    }
    return words;
}

protocol::ProviderContext context_of(const Target &target, bool persistent) {
    protocol::ProviderContext context;
    std::string name = "redirect to";
    for (const auto &word : words_of(target))
        name += " " + word;
    context.set_name(name);
    context.set_type(FWPM_GENERAL_CONTEXT);
    context.set_data(policy::write_target(target));
    if (persistent) context.set_flags(FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT);
    return context;
}

std::string shared_context_key(const Target &target, bool persistent) {
    return derived_key("redirect", policy::write_target(target), persistent ? "persistent" : "");
}

std::optional<Target> plain_target(const protocol::Filter &filter,
                                   const protocol::ProviderContext &context) {
    const auto layer = static_cast<std::uint16_t>(filter.layer());
    const bool at_layer =
        policy::layer_redirects_connects(layer) || policy::layer_redirects_binds(layer);
    if (filter.action() != FWP_ACTION_PERMIT || !at_layer) return std::nullopt;
    auto target = policy::read_target(context.data());
    if (!target || target->process != 0) return std::nullopt;
    const auto ends = target_of(words_of(*target));
    const bool in_words = ends && ends->v4 == target->v4 && ends->v6 == target->v6;
    const bool persistent = (context.flags() & FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT) != 0;
    const auto own = Guid::from_bytes(filter.key());
    const bool made_for_it = context.key() == shared_context_key(*target, persistent);
    const bool made_with_it = own && context.key() == policy::own_context_key(*own).bytes();
    const bool says_more = !context.description().empty() || !context.provider_data().empty() ||
                           context.provider() != filter.provider();
    if (!in_words || !(made_for_it || made_with_it) || says_more) return std::nullopt;
    return std::move(*target);
}

} // namespace sluice::policyfile
