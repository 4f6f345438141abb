// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <cstdio>

#include "cli/names.h"
#include "core/guid.h"
#include "policy/redirect.h"
#include "sluice/fwp.h"

namespace sluice::cli {

namespace {

bool is_number(const std::string &text) {
    return !text.empty() && text.find_first_not_of("0123456789.s") == std::string::npos;
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string> &words) {
    std::string text;
    for (const auto &word : words)
        text += (text.empty() ? "" : ",") + word;
    return text.empty() ? "-" : text;
}

std::string or_dash(const std::string &text) {
    return text.empty() ? "-" : text;
}

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

struct Column {
    std::size_t width = 0;
    bool right = true;
};

std::vector<Column> columns_of(const std::vector<Row> &rows) {
    std::vector<Column> columns(rows.empty() ? 0 : rows[0].size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            columns[c].width = std::max(columns[c].width, rows[r][c].size());
            if (r != 0 && !is_number(rows[r][c])) columns[c].right = false;
        }
    }
    return columns;
}

} // namespace

std::string table(const std::vector<Row> &rows) {
    const auto columns = columns_of(rows);
    std::string text;
    for (const auto &cells : rows) {
        std::string line;
        for (std::size_t c = 0; c < cells.size(); ++c) {
            const std::string gap(columns[c].width - cells[c].size(), ' ');
            line += (c == 0 ? "" : "  ") + (columns[c].right ? gap + cells[c] : cells[c] + gap);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

std::string age_text(std::uint64_t milliseconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(milliseconds) / 1000);
    return text;
}

std::string readable(const std::string &text) {
    std::string out = text;
    std::replace_if(
        out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return out;
}

Row heading(const protocol::Nic *) {
    return {"NAME", "INDEX", "MODE", "ATTACH", "COMPARTMENT", "PROGRAMS"};
}
Row heading(const protocol::Plugin *) {
    return {"NAME", "STATE", "PID", "USER", "RESTARTS", "FILE"};
}
Row heading(const protocol::Host *) {
    return {"ID", "NAME", "PID", "USER", "CAPS", "CALLOUTS", "HOLDS", "UPCALLS", "STATE"};
}
Row heading(const protocol::CalloutInfo *) {
    return {"KEY", "ID", "NAME", "HOST", "REGISTERED", "CLASSIFIED", "LAYERS"};
}
Row heading(const protocol::Filter *) {
    return {"ID", "NAME", "LAYER", "SUBLAYER", "WEIGHT", "ACTION", "CALLOUT", "HITS", "LIFETIME"};
}
Row heading(const protocol::SubLayer *) {
    return {"KEY", "WEIGHT", "LIFETIME", "NAME"};
}
Row heading(const protocol::Hold *) {
    return {"ID",    "STATE", "AGE", "PID",    "PROGRAM", "USER",
            "PROTO", "LOCAL", "",    "REMOTE", "CALLOUT"};
}
Row heading(const protocol::Redirect *) {
    return {"ID", "STATE", "WAY", "PROTO", "CLIENT", "ORIGINAL", "", "TARGET", "CHAIN", "AGE"};
}
Row heading(const protocol::Counter *) {
    return {"COMPARTMENT", "GROUP", "NAME", "PACKETS", "BYTES"};
}

Row row(const protocol::Nic &m) {
    return {m.name(),   number(m.index()),       m.mode(),
            m.attach(), number(m.compartment()), joined(m.programs())};
}

Row row(const protocol::Plugin &m) {
    return {readable(m.name()),
            m.state(),
            m.pid() != 0 ? number(m.pid()) : "-",
            or_dash(m.user()),
            number(m.restarts()),
            readable(m.file())};
}

Row row(const protocol::Host &m) {
    return {number(m.id()),     readable(m.name()),        number(m.pid()),
            user_name(m.uid()), or_dash(m.capabilities()), number(m.callouts()),
            number(m.holds()),  number(m.upcalls_total()), m.state()};
}

Row row(const protocol::CalloutInfo &m) {
    return {or_dash(guid_text(m.key())),
            number(m.local_id() != 0 ? m.local_id() : m.id()),
            or_dash(readable(m.name())),
            m.host() != 0 ? number(m.host()) : "-",
            m.registered() ? "yes" : "no",
            number(m.classify_total()),
            joined(m.layers())};
}

namespace {

// A permit with a target is no plain permit to a person.
std::string action_text(const protocol::Filter &m) {
    const auto layer = static_cast<std::uint16_t>(m.layer());
    const bool redirects =
        policy::layer_redirects_connects(layer) || policy::layer_redirects_binds(layer);
    const bool has_target = !m.provider_context().empty() && m.action() == FWP_ACTION_PERMIT;
    return redirects && has_target ? "redirect" : action_name(m.action());
}

} // namespace

Row row(const protocol::Filter &m) {
    const std::string callout = m.callout_name().empty()
                                    ? (m.callout().empty() ? "-" : guid_text(m.callout()))
                                    : m.callout_name();
    return {number(m.id()),
            readable(m.name()),
            m.layer_name(),
            or_dash(readable(m.sublayer_name())),
            number(m.effective_weight()),
            action_text(m),
            readable(callout),
            number(m.hits()),
            m.lifetime()};
}

Row row(const protocol::SubLayer &m) {
    return {or_dash(guid_text(m.key())), number(m.weight()), m.lifetime(), readable(m.name())};
}

Row row(const protocol::Hold &m) {
    return {number(m.id()),
            m.state(),
            age_text(m.age_ms()),
            m.pid() != 0 ? number(m.pid()) : "-",
            or_dash(readable(m.exe())),
            user_name(m.uid()),
            m.protocol(),
            m.local(),
            "->",
            or_dash(m.remote()),
            or_dash(readable(m.callout()))};
}

std::string chain_name(const protocol::RedirectHop &hop) {
    return hop.provider_name().empty() ? guid_text(hop.provider()) : hop.provider_name();
}

Row row(const protocol::Redirect &m) {
    std::string chain;
    for (const auto &hop : m.hops())
        chain += (chain.empty() ? "" : " > ") + chain_name(hop);
    return {number(m.id()),
            m.state(),
            or_dash(m.way()),
            m.protocol(),
            or_dash(m.client()),
            or_dash(m.original()),
            "->",
            or_dash(m.target()),
            or_dash(readable(chain)),
            age_text(m.age_ms())};
}

Row row(const protocol::Counter &m) {
    return {number(m.compartment()), m.group(), m.name(), number(m.packets()), number(m.bytes())};
}

} // namespace sluice::cli
