// SPDX-License-Identifier: Apache-2.0
// What a session may ask of the engine as a whole, and the net events.
#include "daemon/core.h"
#include "daemon/lists.h"
#include "daemon/net_events.h"
#include "daemon/requests.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {

namespace {

Error unknown(std::uint32_t option) {
    return policy::refuse(STATUS_NOT_SUPPORTED, "no such option of the engine",
                          std::to_string(option));
}

} // namespace

void engine_option_get(Core &core, const protocol::EngineOption &message, const Responder &to) {
    protocol::Reply reply;
    auto *m = reply.mutable_engine_option();
    m->set_option(message.option());
    m->mutable_value()->set_type(FWP_UINT32);
    if (message.option() == FWPM_ENGINE_COLLECT_NET_EVENTS)
        m->mutable_value()->set_number(core.net_events->collected() ? 1 : 0);
    else if (message.option() == FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC)
        m->mutable_value()->set_number(static_cast<std::uint64_t>(core.options.txn_hold.count()));
    else
        return to.fail(unknown(message.option()));
    to.done(std::move(reply));
}

void engine_option_set(Core &core, const protocol::EngineOption &message, const Responder &to) {
    const auto &value = message.value();
    const bool collect = message.option() == FWPM_ENGINE_COLLECT_NET_EVENTS;
    if (!collect && message.option() != FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC)
        return to.fail(unknown(message.option()));
    if (value.type() != FWP_UINT32)
        return to.fail(policy::refuse(STATUS_FWP_TYPE_MISMATCH, "the option is a UINT32, not type",
                                      std::to_string(value.type())));
    if (value.number() > (collect ? 1 : UINT32_MAX))
        return to.fail(policy::refuse(STATUS_FWP_OUT_OF_BOUNDS, "value of the option",
                                      std::to_string(value.number())));
    if (collect)
        core.net_events->collect(value.number() == 1);
    else // of transactions that begin from now on
        core.options.txn_hold = Milliseconds(value.number());
    to.done();
}

void net_event_enum(Core &core, const protocol::NetEventEnum &message, const Responder &to) {
    const auto found = core.net_events->find(message);
    if (!found) return to.fail(found.error());
    send_pages(*found, to, [](protocol::Reply &reply, const protocol::NetEvent *entry) {
        auto *list = reply.mutable_net_events();
        if (entry != nullptr) *list->add_events() = *entry;
    });
}

} // namespace sluice::daemon
