// SPDX-License-Identifier: Apache-2.0
// A policy file of any content is refused with a place in it, or its objects write and read back to
// the same ones.
#include "fuzz.h"
#include "policyfile/check.h"
#include "policyfile/writer.h"

using namespace sluice::policyfile;

namespace {

void has_places(const PolicyFile &file) {
    FUZZ_MUST(!file.errors().empty());
    for (const auto &problem : file.problems.all()) {
        FUZZ_MUST(!problem.text.empty());
        FUZZ_MUST(problem.place.line >= 0 && problem.place.column >= 0);
        FUZZ_MUST(problem.place.source < static_cast<int>(file.sources.size()));
    }
}

// Filters come back in the order of evaluation; as often as they went.
std::vector<std::string> bytes(const sluice::protocol::Objects &objects) {
    std::vector<std::string> all;
    for (const auto &filter : objects.filters())
        all.push_back(filter.SerializeAsString());
    std::sort(all.begin(), all.end());
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    PolicyFile file = read_text("fuzz", std::string(reinterpret_cast<const char *>(data), size));
    if (!file.good()) {
        has_places(file);
        return 0;
    }
    WriteOptions options;
    options.external = file.external;
    const std::string written = to_yaml(to_tree(file.objects, options));
    const PolicyFile again = read_text("written", written);
    FUZZ_MUST(again.good());
    FUZZ_MUST(bytes(again.objects) == bytes(file.objects));
    check(file);
    if (!file.good()) has_places(file);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        "version: 1\n"
        "sublayers:\n- {name: s, weight: 7, lifetime: persistent}\n"
        "callouts:\n- name: c\n  key: 12345678-1234-1234-1234-123456789abc\n"
        "  layer: ale_auth_connect_v4\n"
        "provider_contexts:\n- {name: x, text: \"a\\tb\"}\n"
        "filters:\n"
        "- name: f\n  layer: [ale_auth_connect, ale_auth_recv_accept_v4]\n  sublayer: s\n"
        "  action: block\n  flags: hard\n  conditions:\n"
        "    remote_address: [10.0.0.0/8, 'fd00::/8', 192.0.2.1-192.0.2.9]\n"
        "    remote_port: {not: [22, 3000-3999]}\n"
        "- name: g\n  layer: ale_auth_connect_v4\n  action: {callout: c, type: unknown}\n"
        "  weight: {range: 7}\n  provider_context: x\n  conditions:\n"
        "  - user: {sid: S-1-22-1-1000}\n  - app: {ends_with: /curl}\n"
        "  - flags: {flags_any: [loopback, fragment]}\n",
        "{\"version\": 1, \"filters\": [{\"name\": \"f\", \"layer\": \"inbound_transport_v6\", "
        "\"action\": \"permit\", \"weight\": \"auto\", \"conditions\": {\"protocol\": \"icmpv6\", "
        "\"icmp_type\": [\"echo-request\", 3], \"interface\": {\"empty\": true}}}]}",
        "version: 1\nfilters:\n- &a {name: f, layer: inbound_mac_frame_ethernet, action: permit,\n"
        "  conditions: {mac: '02:00:5e:00:53:01', vlan: 5, ether_type: arp}}\n"
        "- {name: h, layer: ale_auth_listen_v4, action: block, conditions: {user: root}}\n"};
}
