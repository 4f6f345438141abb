// SPDX-License-Identifier: Apache-2.0
#include "policyfile/fields.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "sluice/detail/fwp_tables.hpp"

namespace sluice::policyfile {

namespace {

constexpr NumberName protocol_names[] = {{"icmp", 1},   {"igmp", 2},     {"tcp", 6}, {"udp", 17},
                                         {"gre", 47},   {"esp", 50},     {"ah", 51}, {"icmpv6", 58},
                                         {"sctp", 132}, {"udplite", 136}};
constexpr NumberName icmp_names[] = {{"echo-reply", 0},           {"destination-unreachable", 3},
                                     {"source-quench", 4},        {"redirect", 5},
                                     {"echo-request", 8},         {"router-advertisement", 9},
                                     {"router-solicitation", 10}, {"time-exceeded", 11},
                                     {"parameter-problem", 12},   {"timestamp-request", 13},
                                     {"timestamp-reply", 14}};
constexpr NumberName icmpv6_names[] = {{"destination-unreachable", 1},
                                       {"packet-too-big", 2},
                                       {"time-exceeded", 3},
                                       {"parameter-problem", 4},
                                       {"echo-request", 128},
                                       {"echo-reply", 129},
                                       {"router-solicitation", 133},
                                       {"router-advertisement", 134},
                                       {"neighbour-solicitation", 135},
                                       {"neighbour-advertisement", 136},
                                       {"redirect", 137}};
constexpr NumberName ether_names[] = {{"ipv4", 0x0800}, {"arp", 0x0806},  {"vlan", 0x8100},
                                      {"ipv6", 0x86dd}, {"mpls", 0x8847}, {"lldp", 0x88cc}};
constexpr NumberName direction_names[] = {{"outbound", FWP_DIRECTION_OUTBOUND},
                                          {"inbound", FWP_DIRECTION_INBOUND}};
constexpr NumberName address_type_names[] = {
    {"unicast", 1}, {"anycast", 2}, {"multicast", 3}, {"broadcast", 4}};
constexpr NumberName mac_type_names[] = {{"unicast", 0}, {"multicast", 1}, {"broadcast", 2}};
constexpr NumberName interface_type_names[] = {{"other", 1},     {"ethernet", 6},  {"ppp", 23},
                                               {"loopback", 24}, {"wireless", 71}, {"tunnel", 131}};
constexpr NumberName tunnel_names[] = {{"none", 0},  {"other", 1},   {"direct", 2},
                                       {"6to4", 11}, {"isatap", 13}, {"teredo", 14}};
constexpr NumberName flag_names[] = {
    {"loopback", FWP_CONDITION_FLAG_IS_LOOPBACK},
    {"ipsec-secured", FWP_CONDITION_FLAG_IS_IPSEC_SECURED},
    {"reauthorize", FWP_CONDITION_FLAG_IS_REAUTHORIZE},
    {"wildcard-bind", FWP_CONDITION_FLAG_IS_WILDCARD_BIND},
    {"raw-endpoint", FWP_CONDITION_FLAG_IS_RAW_ENDPOINT},
    {"fragment", FWP_CONDITION_FLAG_IS_FRAGMENT},
    {"fragment-group", FWP_CONDITION_FLAG_IS_FRAGMENT_GROUP},
    {"requires-ale-classify", FWP_CONDITION_FLAG_REQUIRES_ALE_CLASSIFY},
    {"implicit-bind", FWP_CONDITION_FLAG_IS_IMPLICIT_BIND},
    {"reassembled", FWP_CONDITION_FLAG_IS_REASSEMBLED},
    {"promiscuous", FWP_CONDITION_FLAG_IS_PROMISCUOUS},
    {"reclassify", FWP_CONDITION_FLAG_IS_RECLASSIFY},
    {"outbound-pass-thru", FWP_CONDITION_FLAG_IS_OUTBOUND_PASS_THRU},
    {"inbound-pass-thru", FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU},
    {"connection-redirected", FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED},
    {"proxy-connection", FWP_CONDITION_FLAG_IS_PROXY_CONNECTION}};
constexpr NumberName l2_flag_names[] = {
    {"native-ethernet", FWP_CONDITION_L2_IS_NATIVE_ETHERNET},
    {"wifi", FWP_CONDITION_L2_IS_WIFI},
    {"vm2vm", FWP_CONDITION_L2_IS_VM2VM},
    {"malformed-packet", FWP_CONDITION_L2_IS_MALFORMED_PACKET},
    {"ip-fragment-group", FWP_CONDITION_L2_IS_IP_FRAGMENT_GROUP}};
constexpr NumberName reason_names[] = {
    {"policy-change", FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE},
    {"new-arrival-interface", FWP_CONDITION_REAUTHORIZE_REASON_NEW_ARRIVAL_INTERFACE},
    {"new-nexthop-interface", FWP_CONDITION_REAUTHORIZE_REASON_NEW_NEXTHOP_INTERFACE},
    {"profile-crossing", FWP_CONDITION_REAUTHORIZE_REASON_PROFILE_CROSSING},
    {"classify-completion", FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION},
    {"mid-stream-inspection", FWP_CONDITION_REAUTHORIZE_REASON_MID_STREAM_INSPECTION}};

struct Short {
    const char *word;
    const char *name; // in the tables without its prefix
    Kind kind;
    FWP_DATA_TYPE type;
};

constexpr Short shorts[] = {
    {"remote_address", "IP_REMOTE_ADDRESS", Kind::address, FWP_UINT32},
    {"local_address", "IP_LOCAL_ADDRESS", Kind::address, FWP_UINT32},
    {"source_address", "IP_SOURCE_ADDRESS", Kind::address, FWP_UINT32},
    {"destination_address", "IP_DESTINATION_ADDRESS", Kind::address, FWP_UINT32},
    {"remote_port", "IP_REMOTE_PORT", Kind::integer, FWP_UINT16},
    {"local_port", "IP_LOCAL_PORT", Kind::integer, FWP_UINT16},
    {"icmp_type", "IP_LOCAL_PORT", Kind::integer, FWP_UINT16},
    {"icmp_code", "IP_REMOTE_PORT", Kind::integer, FWP_UINT16},
    {"protocol", "IP_PROTOCOL", Kind::integer, FWP_UINT8},
    {"app", "ALE_APP_ID", Kind::app, FWP_UNICODE_STRING_TYPE},
    {"user", "ALE_USER_ID", Kind::user, FWP_UINT32},
    {"group", "ALE_GROUP_ID", Kind::group, FWP_UINT32},
    {"cgroup", "CGROUP", Kind::cgroup, FWP_UNICODE_STRING_TYPE},
    {"container", "CONTAINER", Kind::text, FWP_UNICODE_STRING_TYPE},
    {"interface", "INTERFACE_NAME", Kind::text, FWP_UNICODE_STRING_TYPE},
    {"interface_alias", "INTERFACE_ALIAS", Kind::text, FWP_UNICODE_STRING_TYPE},
    {"packet_length", "PACKET_LENGTH", Kind::integer, FWP_UINT32},
    {"compartment", "COMPARTMENT_ID", Kind::integer, FWP_UINT32},
    {"local_mac", "MAC_LOCAL_ADDRESS", Kind::mac, FWP_BYTE_ARRAY6_TYPE},
    {"remote_mac", "MAC_REMOTE_ADDRESS", Kind::mac, FWP_BYTE_ARRAY6_TYPE},
    {"mac", "INTERFACE_MAC_ADDRESS", Kind::mac, FWP_BYTE_ARRAY6_TYPE},
    {"vlan", "VLAN_ID", Kind::integer, FWP_UINT16},
};
// Names of the interface that stand for another's key; its tables carry each key once.
constexpr std::pair<const char *, const char *> aliases[] = {
    {"icmp_type", "ip_local_port"},
    {"arrival_sub_interface_index", "sub_interface_index"},
    {"local_interface_index", "interface_index"},
    {"local_interface_type", "interface_type"},
    {"local_tunnel_type", "tunnel_type"},
    {"ale_sio_firewall_socket_property", "ale_sio_firewall_system_port"},
};

std::string_view bare(std::string_view name) {
    for (const std::string_view prefix : {"FWPM_CONDITION_", "SLUICE_CONDITION_"})
        if (name.starts_with(prefix)) return name.substr(prefix.size());
    return name;
}

std::string plain_name(const char *name) {
    std::string word(bare(name));
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return word;
}

Guid guid_of(const GUID &raw) {
    Guid key;
    std::memcpy(static_cast<void *>(&key), &raw, sizeof key);
    return key;
}

Guid key_of(const char *name) {
    for (const auto &row : tables::conditions)
        if (bare(row.name) == name) return guid_of(row.key);
    return {};
}

Kind kind_of(const tables::Condition &row, const std::string &word) {
    if (word == "flags" || word == "l2_flags" || word == "reauthorize_reason" ||
        word == "ale_reauth_reason")
        return Kind::flags;
    if (word == "ale_original_app_id") return Kind::app;
    for (const auto type : row.types)
        if (type == FWP_V4_ADDR_MASK || type == FWP_V6_ADDR_MASK) return Kind::address;
    switch (row.types[0]) {
    case FWP_BYTE_ARRAY6_TYPE:
        return Kind::mac;
    case FWP_BYTE_ARRAY16_TYPE:
        return Kind::bytes16;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
    case FWP_SID:
        return Kind::descriptor;
    case FWP_BYTE_BLOB_TYPE:
        return Kind::blob;
    default:
        return Kind::integer;
    }
}

FWP_DATA_TYPE type_of(const tables::Condition &row, Kind kind) {
    switch (kind) {
    case Kind::address:
        return FWP_UINT32;
    case Kind::app:
        return FWP_UNICODE_STRING_TYPE;
    default:
        return row.types[0] == FWP_EMPTY ? FWP_UINT32 : row.types[0];
    }
}

bool ends_with(const std::string &word, const char *end) {
    return word.ends_with(end);
}

void add_names(Field &field) {
    const std::string &word = field.word;
    field.size = word == "packet_length";
    if (ends_with(word, "protocol")) field.names = protocol_names;
    if (word == "icmp_type" || word == "original_icmp_type") {
        field.names = icmp_names;
        field.names_v6 = icmpv6_names;
    }
    if (word == "ether_type") field.names = ether_names;
    if (word == "direction") field.names = direction_names;
    if (word.starts_with("mac_") && ends_with(word, "_type"))
        field.names = mac_type_names;
    else if (ends_with(word, "address_type"))
        field.names = address_type_names;
    if (ends_with(word, "interface_type") && !word.starts_with("vswitch"))
        field.names = interface_type_names;
    if (ends_with(word, "tunnel_type")) field.names = tunnel_names;
    if (word == "flags") field.names = flag_names;
    if (word == "l2_flags") field.names = l2_flag_names;
    if (ends_with(word, "reauthorize_reason") || word == "ale_reauth_reason")
        field.names = reason_names;
}

void add(std::vector<Field> &all, std::string word, const Guid &key, FWP_DATA_TYPE type,
         Kind kind) {
    if (key.is_null() ||
        std::any_of(all.begin(), all.end(), [&](const Field &known) { return known.word == word; }))
        return;
    Field field{std::move(word), key, type, kind, {}, {}};
    add_names(field);
    all.push_back(std::move(field));
}

std::vector<Field> make_fields() {
    std::vector<Field> all;
    for (const auto &row : shorts)
        add(all, row.word, key_of(row.name), row.type, row.kind);
    const std::vector<Field> common = all;
    for (const auto &row : tables::conditions) {
        const std::string word = plain_name(row.name);
        const Guid key = guid_of(row.key);
        const auto known = std::find_if(common.begin(), common.end(),
                                        [&](const Field &field) { return field.key == key; });
        const Kind kind = known != common.end() ? known->kind : kind_of(row, word);
        add(all, word, key, known != common.end() ? known->type : type_of(row, kind), kind);
    }
    for (const auto &[alias, name] : aliases)
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i].word == name) add(all, alias, all[i].key, all[i].type, all[i].kind);
    return all;
}

struct Index {
    std::unordered_map<std::string, const Field *> words;
    std::unordered_map<Guid, const Field *> keys;
};

const Index &index() {
    static const Index all = [] {
        Index made;
        for (const auto &field : fields()) {
            made.words.emplace(field.word, &field);
            made.keys.emplace(field.key, &field);
        }
        return made;
    }();
    return all;
}

} // namespace

const std::vector<Field> &fields() {
    static const std::vector<Field> all = make_fields();
    return all;
}

const Field *field_of_word(const std::string &word) {
    const auto found = index().words.find(word);
    return found == index().words.end() ? nullptr : found->second;
}

const Field *field_of_key(const Guid &key) {
    const auto found = index().keys.find(key);
    return found == index().keys.end() ? nullptr : found->second;
}

std::string field_word(const Guid &key) {
    const Field *field = field_of_key(key);
    return field != nullptr ? field->word : key.text();
}

} // namespace sluice::policyfile
