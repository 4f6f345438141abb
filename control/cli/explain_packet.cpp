// SPDX-License-Identifier: Apache-2.0
#include "cli/explain_packet.h"

#include <algorithm>
#include <cstring>

#include "cli/event_text.h"
#include "policy/field.h"
#include "policyfile/layers.h"
#include "policyfile/reader.h"
#include "policyfile/values.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"
#include "store/wire.h"

namespace sluice::cli {

namespace {

using policyfile::Family;

std::string v4_bytes(std::uint32_t address) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>(address >> shift);
    return bytes;
}

std::uint32_t v4_number(const std::string &bytes) {
    std::uint32_t number = 0;
    for (const char c : bytes)
        number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

std::optional<std::string> address_bytes(const std::string &word) {
    if (const auto v4 = policyfile::ipv4_of(word)) return v4_bytes(*v4);
    return policyfile::ipv6_of(word);
}

policy::Scalar scalar_of(const std::string &address) {
    if (address.size() == 4) return v4_number(address);
    policy::Bytes16 bytes{};
    std::memcpy(bytes.data(), address.data(), std::min(address.size(), bytes.size()));
    return bytes;
}

// NL_ADDRESS_TYPE: 1 unicast, 3 multicast, 4 broadcast.
std::uint8_t address_type(const std::string &bytes) {
    const auto first = static_cast<unsigned char>(bytes[0]);
    if (bytes.size() == 16) return first == 0xff ? 3 : 1;
    if (v4_number(bytes) == 0xffffffffu) return 4;
    return first >= 224 && first < 240 ? 3 : 1;
}

class Filler {
public:
    Filler(const Traffic &traffic, policy::Packet &packet) : traffic_(traffic), packet_(packet) {
        for (const auto &key : policy::fields_at(packet.layer))
            packet.unknown.insert(key);
    }

    void known_by_the_tuple() {
        put("ip_local_address", scalar_of(traffic_.local.address));
        put("ip_remote_address", scalar_of(traffic_.remote.address));
        const Endpoint &source = traffic_.inbound ? traffic_.remote : traffic_.local;
        const Endpoint &destination = traffic_.inbound ? traffic_.local : traffic_.remote;
        put("ip_source_address", scalar_of(source.address));
        put("ip_destination_address", scalar_of(destination.address));
        put("ip_local_address_type", address_type(traffic_.local.address));
        put("ip_destination_address_type", address_type(destination.address));
        put("ip_protocol", traffic_.protocol);
        if (traffic_.local.port) put("ip_local_port", *traffic_.local.port);
        if (traffic_.remote.port) put("ip_remote_port", *traffic_.remote.port);
        put("direction",
            std::uint32_t{traffic_.inbound ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND});
        put("flags", std::uint32_t{traffic_.loopback ? FWP_CONDITION_FLAG_IS_LOOPBACK : 0u});
        put("ether_type", static_cast<std::uint16_t>(traffic_.v6() ? 0x86dd : 0x0800));
        put("compartment_id", std::uint32_t{1});
        drop_unknown("reauthorize_reason"); // a first packet has none
    }

    Result<void> given(const std::string &text) {
        protocol::Filter filter;
        if (auto r = policyfile::add_conditions(text, packet_.layer, filter); !r) return r;
        for (const auto &condition : filter.conditions()) {
            auto value = store::from_message(condition.value());
            if (!value) return value.error();
            const auto *scalar = std::get_if<policy::Scalar>(&*value);
            const auto key = Guid::from_bytes(condition.field());
            if (scalar == nullptr || condition.match() != FWP_MATCH_EQUAL)
                return Error(0, "'" + text + "' is not one value");
            if (key) put_given(*key, *scalar);
        }
        return {};
    }

private:
    static Guid key_of(const char *word) { return policyfile::field_of_word(word)->key; }

    void put(const char *word, policy::Scalar value) { put_key(key_of(word), std::move(value)); }

    // A layer without the field does not see it.
    void put_key(const Guid &key, policy::Scalar value) {
        if (packet_.unknown.erase(key) != 0 || packet_.values.contains(key))
            packet_.values[key] = std::move(value);
    }

    void put_given(const Guid &key, const policy::Scalar &value) {
        const auto *text = std::get_if<policy::Text>(&value);
        if (key == key_of("cgroup") && packet_.unknown.erase(key) != 0) {
            if (text != nullptr) packet_.cgroup_paths.insert(text->utf8);
            if (const auto *id = std::get_if<std::uint64_t>(&value)) packet_.cgroup_ids.insert(*id);
            return;
        }
        if (key == key_of("container") && text != nullptr && packet_.unknown.erase(key) != 0) {
            packet_.containers.insert(text->utf8);
            return;
        }
        put_key(key, value);
        if (key == key_of("app")) put("ale_original_app_id", value);
    }

    void drop_unknown(const char *word) { packet_.unknown.erase(key_of(word)); }

    const Traffic &traffic_;
    policy::Packet &packet_;
};

} // namespace

bool is_loopback(const std::string &bytes) {
    return bytes.size() == 4 ? bytes[0] == 127 : bytes == std::string(15, '\0') + '\1';
}

Result<Endpoint> parse_endpoint(const std::string &word) {
    Endpoint endpoint;
    std::string address = word, port;
    if (word.starts_with("[")) {
        const auto end = word.find(']');
        if (end == std::string::npos) return Error(0, "'" + word + "' lacks the closing bracket");
        address = word.substr(1, end - 1);
        if (end + 1 < word.size()) port = word.substr(end + 1);
    } else if (const auto colon = word.find(':');
               colon != std::string::npos && word.find(':', colon + 1) == std::string::npos) {
        address = word.substr(0, colon);
        port = word.substr(colon);
    }
    const auto bytes = address_bytes(address);
    if (!bytes) return Error(0, "'" + word + "' is no ADDRESS:PORT, [ADDRESS]:PORT or ADDRESS");
    endpoint.address = *bytes;
    if (port.empty()) return endpoint;
    const auto number = port[0] == ':' ? policyfile::number_of(port.substr(1)) : std::nullopt;
    if (!number || *number > 0xffff)
        return Error(0, "the port of '" + word + "' is not within 0-65535");
    endpoint.port = static_cast<std::uint16_t>(*number);
    return endpoint;
}

Result<Traffic> parse_traffic(const std::string &protocol, const std::string &source,
                              const std::string &destination, bool inbound) {
    Traffic traffic;
    const auto number = policyfile::parse_flag(*policyfile::field_of_word("protocol"), protocol);
    if (!number) return number.error();
    auto from = parse_endpoint(source), to = parse_endpoint(destination);
    if (!from) return from.error();
    if (!to) return to.error();
    if (from->address.size() != to->address.size())
        return Error(0, "'" + source + "' and '" + destination + "' are of different families");
    traffic.protocol = static_cast<std::uint8_t>(*number);
    traffic.inbound = inbound;
    traffic.local = inbound ? *to : *from;
    traffic.remote = inbound ? *from : *to;
    traffic.loopback = is_loopback(from->address) || is_loopback(to->address);
    return traffic;
}

Traffic traffic_of(const protocol::NetEvent &event) {
    Traffic traffic;
    traffic.protocol = static_cast<std::uint8_t>(event.protocol());
    traffic.inbound = event.direction() == FWP_DIRECTION_INBOUND;
    traffic.local = {event.local(), static_cast<std::uint16_t>(event.local_port())};
    traffic.remote = {event.remote(), static_cast<std::uint16_t>(event.remote_port())};
    traffic.loopback = event.loopback();
    if (!event.exe().empty())
        traffic.given.push_back(
            Json{{"app", event.exe()}}.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (event.uid_known())
        traffic.given.push_back("user: {uint32: " + std::to_string(event.uid()) + "}");
    return traffic;
}

std::string text_of(const Traffic &traffic) {
    const auto endpoint = [](const Endpoint &one) {
        const std::string text = endpoint_text(one.address, one.port.value_or(0));
        return one.port ? text : text.substr(0, text.rfind(':'));
    };
    protocol::Value protocol;
    protocol.set_type(FWP_UINT8);
    protocol.set_number(traffic.protocol);
    const auto word =
        policyfile::print_value(*policyfile::field_of_word("protocol"), Family::none, protocol);
    const Endpoint &from = traffic.inbound ? traffic.remote : traffic.local;
    const Endpoint &to = traffic.inbound ? traffic.local : traffic.remote;
    return word.value_or(std::to_string(traffic.protocol)) + " " + endpoint(from) + " -> " +
           endpoint(to) + (traffic.inbound ? ", inbound" : ", outbound");
}

std::vector<std::uint16_t> layers_passed(const Traffic &traffic) {
    const std::string family = traffic.v6() ? "_v6" : "_v4";
    std::vector<std::uint16_t> layers;
    const auto add = [&layers](const std::string &word) {
        layers.push_back(policyfile::layer_number(word).value());
    };
    if (traffic.inbound) {
        add("inbound_mac_frame_ethernet");
        for (const char *word : {"inbound_ippacket", "inbound_transport", "ale_auth_recv_accept"})
            add(word + family);
        return layers;
    }
    for (const char *word :
         {"ale_connect_redirect", "ale_auth_connect", "outbound_transport", "outbound_ippacket"})
        add(word + family);
    add("outbound_mac_frame_ethernet");
    return layers;
}

Result<policy::Packet> packet_at(const Traffic &traffic, std::uint16_t layer) {
    policy::Packet packet;
    packet.layer = layer;
    Filler filler(traffic, packet);
    if (!traffic.local.address.empty() && !traffic.remote.address.empty())
        filler.known_by_the_tuple();
    for (const auto &text : traffic.given)
        if (auto r = filler.given(text); !r) return r.error();
    return packet;
}

} // namespace sluice::cli
