// SPDX-License-Identifier: Apache-2.0
// Traffic as a person describes it, as the packet that a layer's conditions see.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "policy/arbitrate.h"
#include "protocol/sluice.pb.h"

namespace sluice::cli {

struct Endpoint {
    std::string address; // 4 bytes, most significant first, or 16
    std::optional<std::uint16_t> port;
};
Result<Endpoint> parse_endpoint(const std::string &word); // 10.0.0.1:443, [::1]:443, or no port

struct Traffic {
    std::uint8_t protocol = 0;
    bool inbound = false;
    Endpoint local, remote;
    bool loopback = false;
    std::vector<std::string> given; // more that is known, as conditions: "app: /usr/bin/curl"
    [[nodiscard]] bool v6() const { return local.address.size() == 16; }
};
// source and destination of two families, or an unknown word: an error that names it.
Result<Traffic> parse_traffic(const std::string &protocol, const std::string &source,
                              const std::string &destination, bool inbound);
Traffic traffic_of(const protocol::NetEvent &event);
bool is_loopback(const std::string &address); // of 4 or 16 bytes
std::string text_of(const Traffic &traffic);  // "tcp 10.0.0.1:1234 -> 10.0.0.2:80, outbound"

// The layers that a new connection of this kind passes, in order; ALE_CONNECT_REDIRECT is among
// them for what some policy may have there.
std::vector<std::uint16_t> layers_passed(const Traffic &traffic);
// What the layer sees. A field that `traffic` does not tell is unknown. An error names what was
// given and is no value.
Result<policy::Packet> packet_at(const Traffic &traffic, std::uint16_t layer);

} // namespace sluice::cli
