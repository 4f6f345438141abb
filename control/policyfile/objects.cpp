// SPDX-License-Identifier: Apache-2.0
#include "policyfile/objects.h"

#include "core/guid.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"

namespace sluice::policyfile {

std::string derived_key(const std::string &kind, const std::string &name,
                        const std::string &layer) {
    // FNV-1a of 128 bits, as a GUID of version 8 (RFC 9562: made by a rule of one's own).
    using Number = unsigned __int128;
    constexpr Number prime = Number{1} << 88 | 0x13b;
    Number hash = Number{0x6c62272e07bb0142ull} << 64 | 0x62b821756295c58dull;
    for (const char c : "sluice policy file/" + kind + std::string(1, '\0') + name +
                            std::string(1, '\0') + layer) {
        hash ^= static_cast<unsigned char>(c);
        hash *= prime;
    }
    Guid key;
    key.data1 = static_cast<std::uint32_t>(hash);
    key.data2 = static_cast<std::uint16_t>(hash >> 32);
    key.data3 = static_cast<std::uint16_t>((static_cast<unsigned>(hash >> 48) & 0x0fff) | 0x8000);
    for (std::size_t i = 0; i < key.data4.size(); ++i)
        key.data4[i] = static_cast<std::uint8_t>(hash >> (64 + 8 * i));
    key.data4[0] = (key.data4[0] & 0x3f) | 0x80;
    return key.bytes();
}

void ObjectReader::each(const Node &list, const char *kind,
                        const std::function<void(const Node &)> &one) {
    if (!list.is_list())
        return problem(list.place, std::string("a list is needed, one entry for each ") + kind);
    for (const auto &node : list.items) {
        if (file_.problems.full()) return;
        if (node.is_map())
            one(node);
        else
            problem(node.place, std::string("a ") + kind + " is written as NAME: VALUE pairs");
    }
}

ObjectReader::Head ObjectReader::head(Entry &entry, const Node &node, const std::string &kind) {
    Head head;
    const Node *name = entry.take_scalar("name");
    if (name == nullptr)
        problem(node.place, "a " + kind + " needs a name");
    else if (name->text.empty())
        problem(name->place, "the name is empty");
    else
        head.name = name->text;
    head.description = entry.take_text("description");
    if (const Node *key = entry.take_scalar("key")) {
        const auto guid = Guid::parse(key->text);
        if (!guid || guid->is_null())
            problem(key->place, "'" + key->text + "' is no key: a GUID is needed");
        else
            head.key = guid->bytes();
        head.key_given = true;
    }
    if (const Node *data = entry.take_scalar("provider_data")) {
        const auto bytes = bytes_of_hex(data->text);
        if (!bytes) problem(data->place, "'" + data->text + "' is no whole bytes in hexadecimal");
        head.provider_data = bytes.value_or("");
    }
    return head;
}

// Names are unique in their kind, filters' in a layer, unless each of them gives a key of its own.
void ObjectReader::claim(const std::string &kind, const Head &head, const std::string &layer,
                         Place place) {
    const auto [at, is_new] = claimed_.emplace(kind + '\0' + head.name + '\0' + layer,
                                               Claimed{head.key_given, place.line});
    if (!is_new && !(at->second.key_given && head.key_given))
        return problem(place, "a second " + kind + " '" + head.name + "', the first is in line " +
                                  std::to_string(at->second.line));
    if (!keys_.insert(kind + '\0' + head.key).second)
        problem(place, "another " + kind + " has the key of '" + head.name + "'");
}

std::string ObjectReader::reference(const Node *word, const std::string &kind) {
    if (word == nullptr) return {};
    auto key = names_.key(kind, word->text);
    if (key) return *key;
    problem(word->place, key.error().text());
    return {};
}

std::uint32_t ObjectReader::lifetime(Entry &entry, std::uint32_t persistent, bool may_boot) {
    const Node *word = entry.take_scalar("lifetime");
    if (word == nullptr || word->text == "static") return 0;
    if (word->text == "persistent") return persistent;
    if (may_boot && word->text == "boot-time") return FWPM_FILTER_FLAG_BOOTTIME;
    problem(word->place, "lifetime '" + word->text + "' is none of static, persistent" +
                             (may_boot ? ", boot-time" : ""));
    return 0;
}

void ObjectReader::providers(const Node &list) {
    each(list, "provider", [this](const Node &node) {
        Entry entry(node, "a provider", file_.problems);
        Head head = this->head(entry, node, "provider");
        if (!head.key_given) head.key = derived_key("provider", head.name);
        protocol::Provider object;
        object.set_name(head.name);
        object.set_key(head.key);
        object.set_description(head.description);
        object.set_provider_data(head.provider_data);
        object.set_service_name(entry.take_text("service"));
        object.set_flags(lifetime(entry, FWPM_PROVIDER_FLAG_PERSISTENT));
        const bool external = entry.take_flag("external");
        entry.finish();
        claim("provider", head, "", node.place);
        names_.add("provider", head.name, head.key);
        *(external ? file_.external : file_.objects).add_providers() = std::move(object);
        (external ? file_.external_places : file_.places).providers.push_back(node.place);
    });
}

void ObjectReader::provider_contexts(const Node &list) {
    each(list, "provider context", [this](const Node &node) {
        Entry entry(node, "a provider context", file_.problems);
        Head head = this->head(entry, node, "provider context");
        if (!head.key_given) head.key = derived_key("provider context", head.name);
        protocol::ProviderContext object;
        object.set_name(head.name);
        object.set_key(head.key);
        object.set_description(head.description);
        object.set_provider_data(head.provider_data);
        object.set_type(FWPM_GENERAL_CONTEXT);
        object.set_provider(reference(entry.take_scalar("provider"), "provider"));
        object.set_flags(lifetime(entry, FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT));
        const Node *text = entry.take_scalar("text");
        const Node *hex = entry.take_scalar("hex");
        if (text != nullptr && hex != nullptr)
            problem(hex->place, "`text` and `hex` both give the data: one is enough");
        if (text != nullptr) object.set_data(text->text);
        if (hex != nullptr) {
            if (auto bytes = bytes_of_hex(hex->text))
                object.set_data(std::move(*bytes));
            else
                problem(hex->place, "'" + hex->text + "' is no whole bytes in hexadecimal");
        }
        entry.finish();
        claim("provider context", head, "", node.place);
        names_.add("provider context", head.name, head.key);
        *file_.objects.add_provider_contexts() = std::move(object);
        file_.places.provider_contexts.push_back(node.place);
    });
}

void ObjectReader::sublayers(const Node &list) {
    each(list, "sublayer", [this](const Node &node) {
        Entry entry(node, "a sublayer", file_.problems);
        Head head = this->head(entry, node, "sublayer");
        if (!head.key_given) head.key = derived_key("sublayer", head.name);
        protocol::SubLayer object;
        object.set_name(head.name);
        object.set_key(head.key);
        object.set_description(head.description);
        object.set_provider_data(head.provider_data);
        object.set_provider(reference(entry.take_scalar("provider"), "provider"));
        object.set_flags(lifetime(entry, FWPM_SUBLAYER_FLAG_PERSISTENT));
        const bool external = entry.take_flag("external");
        const Node *weight = entry.take_scalar("weight");
        if (weight == nullptr && !external)
            problem(node.place, "a sublayer needs a weight, 0-65535; higher ones go first");
        if (weight != nullptr) {
            const auto number = number_of(weight->text);
            if (!number || *number > 0xffff)
                problem(weight->place,
                        "sublayer weight '" + weight->text + "' is not within 0-65535");
            else
                object.set_weight(static_cast<std::uint32_t>(*number));
        }
        entry.finish();
        claim("sublayer", head, "", node.place);
        names_.add("sublayer", head.name, head.key);
        *(external ? file_.external : file_.objects).add_sublayers() = std::move(object);
        (external ? file_.external_places : file_.places).sublayers.push_back(node.place);
    });
}

void ObjectReader::callouts(const Node &list) {
    each(list, "callout", [this](const Node &node) {
        Entry entry(node, "a callout", file_.problems);
        Head head = this->head(entry, node, "callout");
        if (!head.key_given)
            problem(node.place, "a callout needs the key under which its plugin registers it");
        protocol::Callout object;
        object.set_name(head.name);
        object.set_key(head.key);
        object.set_description(head.description);
        object.set_provider_data(head.provider_data);
        object.set_provider(reference(entry.take_scalar("provider"), "provider"));
        object.set_flags(lifetime(entry, FWPM_CALLOUT_FLAG_PERSISTENT));
        const bool external = entry.take_flag("external");
        if (entry.take_flag("uses_provider_context"))
            object.set_flags(object.flags() | FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT);
        const Node *word = entry.take_scalar("layer");
        const auto layer = word != nullptr ? layer_number(word->text) : std::nullopt;
        if (word == nullptr)
            problem(node.place, "a callout needs a layer");
        else if (!layer)
            problem(word->place, "no layer '" + word->text + "'" +
                                     (layers_of(word->text).empty()
                                          ? ": see `sluice layer list`"
                                          : ": a callout has one, " + word->text + "_v4 or _v6"));
        object.set_layer(layer.value_or(0));
        entry.finish();
        claim("callout", head, "", node.place);
        names_.add("callout", head.name, head.key);
        *(external ? file_.external : file_.objects).add_callouts() = std::move(object);
        (external ? file_.external_places : file_.places).callouts.push_back(node.place);
    });
}

} // namespace sluice::policyfile
