// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests.h"

#include <cerrno>

#include "daemon/core.h"
#include "daemon/enumeration.h"
#include "daemon/flow_contexts.h"
#include "daemon/hold_watch.h"
#include "daemon/holds.h"
#include "daemon/hosts.h"
#include "daemon/lists.h"
#include "daemon/plugins.h"
#include "daemon/policy_apply.h"
#include "daemon/redirects.h"
#include "daemon/sessions.h"
#include "daemon/subscriptions.h"

namespace sluice::daemon {

namespace {

using R = protocol::Request;

bool is_host(R::BodyCase body) {
    return body == R::kCalloutRegister || body == R::kCalloutUnregister ||
           body == R::kHostDefaultsSet || body == R::kFlowEnd || body == R::kRedirectHandleCreate ||
           body == R::kRedirectHandleDestroy;
}

// Policy may be changed by whoever holds a session key of one who may: a plugin that gave its user
// up.
bool is_policy(R::BodyCase body) {
    return is_host(body) || (body >= R::kEngineOpen && body <= R::kFilterDelete) ||
           (body >= R::kProviderAdd && body <= R::kNetEventEnum) ||
           (body >= R::kEngineOptionGet && body <= R::kFilterHoldSet);
}

bool is_allowed(const Client &client, R::BodyCase body) {
    if (client.access >= access_needed(body)) return true;
    return client.trusted && is_policy(body);
}

void host_request(Core &core, const R &request, const Responder &to) {
    const auto client = to.client();
    auto *host = client ? core.hosts->of(client->host) : nullptr;
    if (host == nullptr || host->state != Host::State::live)
        return to.fail(Error(EINVAL, "this connection is no host's"));
    if (request.body_case() == R::kFlowEnd)
        core.flow_contexts->flow_end(request.flow_end(), to);
    else if (request.body_case() == R::kHostDefaultsSet)
        core.hosts->set_hold_defaults(*host, request.host_defaults_set(), to);
    else if (request.body_case() == R::kRedirectHandleCreate)
        core.redirects->create(*host, request.redirect_handle_create(), to);
    else if (request.body_case() == R::kRedirectHandleDestroy)
        core.redirects->destroy(*host, request.redirect_handle_destroy(), to);
    else if (request.body_case() == R::kCalloutRegister)
        core.hosts->register_callout(*host, request.callout_register(), to);
    else
        core.hosts->unregister_callout(*host, request.callout_unregister(), to);
}

void object_request(Core &core, const R &request, const Responder &to) {
    auto &sessions = *core.sessions;
    switch (request.body_case()) {
    case R::kProviderAdd:
        return sessions.add_provider(request.provider_add(), to);
    case R::kProviderContextAdd:
        return sessions.add_provider_context(request.provider_context_add(), to);
    case R::kObjectDelete:
        return sessions.delete_object(request.object_delete(), to);
    case R::kObjectGet:
        return object_get(core, request.object_get(), to);
    case R::kObjectEnum:
        return object_enum(core, request.object_enum(), to);
    case R::kSubscribe:
        return sessions.subscribe(request.subscribe(), to);
    case R::kUnsubscribe:
        return sessions.unsubscribe(request.unsubscribe(), to);
    case R::kNetEventEnum:
        return net_event_enum(core, request.net_event_enum(), to);
    case R::kEngineOptionGet:
        return engine_option_get(core, request.engine_option_get(), to);
    case R::kEngineOptionSet:
        return engine_option_set(core, request.engine_option_set(), to);
    case R::kFilterHoldSet:
        return sessions.set_hold(request.filter_hold_set(), to);
    default:
        return sessions.list(request.session_enum().session(), to);
    }
}

void policy_request(Core &core, const R &request, const Responder &to) {
    auto &sessions = *core.sessions;
    switch (request.body_case()) {
    case R::kEngineOpen:
        return sessions.open(request.engine_open(), to);
    case R::kEngineClose:
        return sessions.close(request.engine_close().session(), to);
    case R::kTransactionBegin:
        return sessions.begin(request.transaction_begin().session(),
                              request.transaction_begin().read_only(), to);
    case R::kTransactionCommit:
        return sessions.commit(request.transaction_commit().session(), to);
    case R::kTransactionAbort:
        return sessions.abort(request.transaction_abort().session(), to);
    case R::kSublayerAdd:
        return sessions.add_sublayer(request.sublayer_add(), to);
    case R::kCalloutAdd:
        return sessions.add_callout(request.callout_add(), to);
    case R::kFilterAdd:
        return sessions.add_filter(request.filter_add(), to);
    case R::kFilterDelete:
        return sessions.delete_filter(request.filter_delete(), to);
    default:
        return object_request(core, request, to);
    }
}

void admin_request(Core &core, const R &request, std::vector<Fd> &fds, const Responder &to) {
    switch (request.body_case()) {
    case R::kStatusGet:
        return status_get(core, to);
    case R::kNicLoad:
        return nic_load(core, request.nic_load(), fds, to);
    case R::kNicUnload:
        return nic_unload(core, request.nic_unload(), fds, to);
    case R::kNicList:
        return nic_list(core, to);
    case R::kPluginLoad:
        return core.plugins->load_plugin(request.plugin_load(), to);
    case R::kPluginUnload:
        return core.plugins->unload_plugin(request.plugin_unload().name(), to);
    case R::kPluginList:
        return plugin_list(core, to);
    case R::kHostList:
        return host_list(core, to);
    case R::kCalloutList:
        return callout_list(core, to);
    case R::kFilterList:
        return filter_list(core, to);
    case R::kSublayerList:
        return sublayer_list(core, to);
    case R::kHoldList:
        return hold_list(core, to);
    case R::kHoldDecide:
        return hold_decide(core, request.hold_decide(), to);
    case R::kHoldWatch:
        return core.hold_watch->add(request.hold_watch(), to);
    case R::kRedirectList:
        return redirect_list(core, request.redirect_list(), to);
    case R::kStatsGet:
        return stats_get(core, to);
    case R::kPolicyApply:
        return core.policy_files->apply(request.policy_apply(), to);
    case R::kPolicyConfirm:
        return core.policy_files->confirm(to);
    case R::kPolicyRollback:
        return core.policy_files->rollback(to);
    default:
        return to.fail(Error(EINVAL, "this sluiced does not know the request"));
    }
}

void handle_request(Core &core, const std::shared_ptr<Client> &client, const R &request,
                    std::vector<Fd> &fds) {
    const Responder to(client, request.id());
    if (!is_allowed(*client, request.body_case()))
        return to.fail(
            Error(EACCES,
                  "uid " + std::to_string(client->peer.uid) + " needs to be in group " +
                      (access_needed(request.body_case()) == Access::read ? "sluice or " : "") +
                      "sluice-admin for this"),
            4);
    if (request.body_case() == R::kHostHello)
        return core.hosts->hello(request.host_hello(), std::move(fds), to);
    if (is_host(request.body_case())) return host_request(core, request, to);
    if (is_policy(request.body_case())) return policy_request(core, request, to);
    admin_request(core, request, fds, to);
}

} // namespace

void handle(Core &core, const std::shared_ptr<Client> &client, protocol::ToDaemon &message,
            std::vector<Fd> &fds) {
    if (message.has_request())
        handle_request(core, client, message.request(), fds);
    else if (message.has_notice_reply())
        core.notices.answered(client->id, message.notice_reply());
}

void client_gone(Core &core, const std::shared_ptr<Client> &client) {
    core.notices.client_gone(client->id);
    core.subscriptions->client_gone(client->id);
    core.policy_files->client_gone(client->id);
    core.hold_watch->client_gone(client->id);
    core.sessions->client_gone(client->id);
    if (client->host != 0) core.hosts->end(client->host, "its connection closed");
}

} // namespace sluice::daemon
