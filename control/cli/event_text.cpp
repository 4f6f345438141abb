// SPDX-License-Identifier: Apache-2.0
#include "cli/event_text.h"

#include <ctime>

#include "cli/names.h"
#include "cli/table.h"
#include "policyfile/fields.h"
#include "policyfile/layers.h"
#include "policyfile/values.h"
#include "policyfile/values_text.h"
#include "sluice/fwp.h"

namespace sluice::cli {

namespace {

std::string address_text(const std::string &bytes) {
    if (bytes.size() == 16) return policyfile::ipv6_text(bytes);
    if (bytes.size() != 4) return "";
    std::uint32_t address = 0;
    for (const char c : bytes)
        address = address << 8 | static_cast<unsigned char>(c);
    return policyfile::ipv4_text(address);
}

std::string time_text(std::uint64_t ns) {
    const auto seconds = static_cast<std::time_t>(ns / 1'000'000'000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[40];
    const std::size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text + n, sizeof text - n, ".%03uZ",
                  static_cast<unsigned>(ns / 1'000'000 % 1000));
    return text;
}

std::string protocol_text(std::uint32_t number) {
    protocol::Value value;
    value.set_type(FWP_UINT8);
    value.set_number(number);
    const auto *field = policyfile::field_of_word("protocol");
    return policyfile::print_value(*field, policyfile::Family::none, value)
        .value_or(std::to_string(number));
}

} // namespace

std::string event_type_name(std::uint32_t type) {
    switch (type) {
    case FWPM_NET_EVENT_TYPE_CLASSIFY_DROP:
        return "drop";
    case FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW:
        return "allow";
    default:
        return "type " + std::to_string(type);
    }
}

std::string endpoint_text(const std::string &address, std::uint32_t port) {
    const std::string text = address_text(address);
    if (text.empty()) return "-";
    return (address.size() == 16 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

Json to_json(const protocol::NetEvent &m) {
    const auto or_null = [](const std::string &text) { return text.empty() ? Json() : Json(text); };
    return Json{{"schema", schema},
                {"id", m.id()},
                {"time", time_text(m.time_ns())},
                {"type", event_type_name(m.type())},
                {"layer", policyfile::layer_name(static_cast<std::uint16_t>(m.layer()))},
                {"filter", m.filter()},
                {"filter_name", or_null(m.filter_name())},
                {"reason", or_null(m.reason())},
                {"direction", m.direction() == FWP_DIRECTION_INBOUND ? "inbound" : "outbound"},
                {"protocol", protocol_text(m.protocol())},
                {"local", endpoint_text(m.local(), m.local_port())},
                {"remote", endpoint_text(m.remote(), m.remote_port())},
                {"exe", or_null(m.exe())},
                {"pid", m.pid() != 0 ? Json(m.pid()) : Json()},
                {"uid", m.uid_known() ? Json(m.uid()) : Json()},
                {"interface_index", m.ifindex()},
                {"compartment", m.compartment()},
                {"loopback", m.loopback()},
                {"text", or_null(m.text())}};
}

std::string event_line(const protocol::NetEvent &m) {
    std::string line =
        std::to_string(m.id()) + " " + time_text(m.time_ns()) + " " + event_type_name(m.type()) +
        " " + policyfile::layer_name(static_cast<std::uint16_t>(m.layer())) + " " +
        protocol_text(m.protocol()) + " " + endpoint_text(m.local(), m.local_port()) +
        (m.direction() == FWP_DIRECTION_INBOUND ? " <- " : " -> ") +
        endpoint_text(m.remote(), m.remote_port());
    if (m.filter() != 0)
        line += " by filter " + std::to_string(m.filter()) +
                (m.filter_name().empty() ? "" : " (" + readable(m.filter_name()) + ")");
    if (!m.reason().empty()) line += ", " + readable(m.reason());
    if (!m.exe().empty()) line += ", " + readable(m.exe());
    if (m.uid_known()) line += ", user " + user_name(m.uid());
    return line;
}

} // namespace sluice::cli
