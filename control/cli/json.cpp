// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include "cli/names.h"
#include "core/guid.h"
#include "policyfile/layers.h"
#include "policyfile/writer.h"

namespace sluice::cli {

namespace {

Json or_null(const std::string &text) {
    return text.empty() ? Json() : Json(text);
}

} // namespace

Json document(const char *list, Json entries) {
    return Json{{"schema", schema}, {list, std::move(entries)}};
}

std::string print(const Json &json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const protocol::Nic &m) {
    return Json{{"name", m.name()},
                {"index", m.index()},
                {"mode", m.mode()},
                {"attach", m.attach()},
                {"programs", std::vector<std::string>(m.programs().begin(), m.programs().end())},
                {"compartment", m.compartment()}};
}

Json to_json(const protocol::Plugin &m) {
    return Json{{"name", m.name()}, {"file", m.file()},   {"user", or_null(m.user())},
                {"pid", m.pid()},   {"state", m.state()}, {"restarts", m.restarts()}};
}

Json to_json(const protocol::Host &m) {
    return Json{{"id", m.id()},
                {"pid", m.pid()},
                {"uid", m.uid()},
                {"capabilities", m.capabilities()},
                {"callouts", m.callouts()},
                {"holds", m.holds()},
                {"upcalls_total", m.upcalls_total()},
                {"state", m.state()},
                {"name", m.name()}};
}

Json to_json(const protocol::CalloutInfo &m) {
    return Json{{"key", guid_text(m.key())},
                {"id", m.id()},
                {"local_id", m.local_id()},
                {"name", m.name()},
                {"host", m.host()},
                {"layers", std::vector<std::string>(m.layers().begin(), m.layers().end())},
                {"registered", m.registered()},
                {"classify_total", m.classify_total()},
                {"flags", m.flags()}};
}

Json to_json(const protocol::Filter &m) {
    const std::string callout =
        m.callout_name().empty() ? guid_text(m.callout()) : m.callout_name();
    return Json{
        {"id", m.id()},
        {"key", guid_text(m.key())},
        {"name", m.name()},
        {"layer", m.layer_name()},
        {"sublayer", m.sublayer_name().empty() ? guid_text(m.sublayer()) : m.sublayer_name()},
        {"weight", m.effective_weight()},
        {"action", action_name(m.action())},
        {"callout", or_null(callout)},
        {"hold", policyfile::hold_tree(m.hold())},
        {"conditions", m.conditions_size()},
        {"hits", m.hits()},
        {"lifetime", m.lifetime()}};
}

Json to_json(const protocol::SubLayer &m) {
    return Json{{"key", guid_text(m.key())},
                {"name", m.name()},
                {"weight", m.weight()},
                {"flags", m.flags()},
                {"lifetime", m.lifetime()}};
}

Json to_json(const protocol::Provider &m) {
    return Json{{"key", guid_text(m.key())},
                {"name", m.name()},
                {"description", or_null(m.description())},
                {"service", or_null(m.service_name())},
                {"flags", m.flags()},
                {"lifetime", m.lifetime()}};
}

Json to_json(const protocol::Callout &m) {
    return Json{{"key", guid_text(m.key())},
                {"id", m.id()},
                {"name", m.name()},
                {"description", or_null(m.description())},
                {"layer", policyfile::layer_name(static_cast<std::uint16_t>(m.layer()))},
                {"flags", m.flags()},
                {"lifetime", m.lifetime()}};
}

Json to_json(const protocol::PolicyDifference &difference) {
    const auto list = [](const auto &lines) {
        return std::vector<std::string>(lines.begin(), lines.end());
    };
    return Json{{"schema", schema},
                {"added", list(difference.added())},
                {"deleted", list(difference.deleted())},
                {"changed", list(difference.changed())},
                {"unchanged", difference.unchanged()},
                {"generation", difference.generation()}};
}

Json to_json(const protocol::Hold &m) {
    return Json{{"id", m.id()},
                {"state", m.state()},
                {"layer", m.layer()},
                {"filter", m.filter()},
                {"callout", m.callout()},
                {"host", m.host()},
                {"age_ms", m.age_ms()},
                {"deadline_ms", m.deadline_ms() < 0 ? Json() : Json(m.deadline_ms())},
                {"pid", m.pid()},
                {"exe", m.exe()},
                {"uid", m.uid()},
                {"cgroup", m.cgroup()},
                {"compartment", m.compartment()},
                {"protocol", m.protocol()},
                {"local", m.local()},
                {"remote", m.remote()},
                {"packets", m.packets()},
                {"bytes", m.bytes()}};
}

namespace {

Json hop_json(const protocol::RedirectHop &m) {
    return Json{{"provider", guid_text(m.provider())},
                {"provider_name", or_null(m.provider_name())},
                {"from", m.from()},
                {"to", m.to()},
                {"filter", m.filter()},
                {"redirect", m.redirect()},
                {"pid", m.pid()},
                {"exe", m.exe()},
                {"uid", m.uid()},
                {"cgroup", m.cgroup()},
                {"host", m.host()},
                {"handle", m.handle()},
                {"target_pid", m.target_pid()}};
}

} // namespace

Json to_json(const protocol::Redirect &m) {
    Json hops = Json::array();
    for (const auto &hop : m.hops())
        hops.push_back(hop_json(hop));
    return Json{{"id", m.id()},
                {"state", m.state()},
                {"way", or_null(m.way())},
                {"protocol", m.protocol()},
                {"compartment", m.compartment()},
                {"age_ms", m.age_ms()},
                {"client", or_null(m.client())},
                {"original", m.original()},
                {"target", m.target()},
                {"target_pid", m.target_pid()},
                {"target_exe", m.target_exe()},
                {"context_bytes", m.context_bytes()},
                {"hops", std::move(hops)}};
}

Json to_json(const protocol::Counter &m) {
    return Json{{"name", m.name()},
                {"group", m.group()},
                {"compartment", m.compartment()},
                {"packets", m.packets()},
                {"bytes", m.bytes()}};
}

Json to_json(const protocol::StatusInfo &m) {
    return Json{{"version", m.version()},
                {"pid", m.pid()},
                {"uptime_ms", m.uptime_ms()},
                {"generation", m.generation()},
                {"layout", m.layout()},
                {"pins", m.pins()},
                {"nics", m.nics()},
                {"hosts", m.hosts()},
                {"filters", m.filters()},
                {"holds", m.holds()},
                {"warnings", std::vector<std::string>(m.warnings().begin(), m.warnings().end())}};
}

} // namespace sluice::cli
