// SPDX-License-Identifier: Apache-2.0
// What people decide about holds, for once or for always.
#include <cerrno>
#include <endian.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/holds.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/sessions.h"
#include "policy/always.h"

namespace sluice::daemon {

namespace {

std::optional<Waiting> find_hold(const Core &core, std::uint64_t id) {
    std::optional<Waiting> found;
    for (const auto &[compartment, plane] : core.planes->all())
        each_waiting(*plane, [&](const Waiting &hold) {
            if (hold.id() == id) found = hold;
            return !found;
        });
    return found;
}

policy::Scalar address_value(const dp_addr &address) {
    const bool v4 = address.hi == 0 && address.lo >> 32 == 0xffff;
    if (v4) return static_cast<std::uint32_t>(address.lo);
    const std::uint64_t halves[2] = {htobe64(address.hi), htobe64(address.lo)};
    policy::Bytes16 bytes{};
    std::memcpy(bytes.data(), halves, bytes.size());
    return bytes;
}

Error about(std::uint64_t id, const Error &error) {
    return Error::status(error.ntstatus, "hold " + std::to_string(id) + ": " + error.text());
}

Result<policy::Filter> always_filter_for(const Core &core, const Waiting &hold,
                                         std::uint32_t action) {
    const auto &policy = core.engine->policy();
    const auto asked = policy.filters.find(hold.filter);
    if (asked == policy.filters.end())
        return Error(0, "the filter that asked is gone, so nothing stands before it");
    const auto *plane = core.planes->of(hold.compartment);
    return policy::always_filter(policy, asked->second,
                                 {.program = program_of(*plane, hold.process),
                                  .protocol = hold.key.protocol,
                                  .remote_address = address_value(hold.key.remote),
                                  .local_port = hold.key.local_port,
                                  .remote_port = hold.key.remote_port},
                                 action);
}

void order(const Core &core, const Waiting &hold, std::uint32_t action) {
    const auto *host = core.hosts->of(hold.host);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client) return; // gone meanwhile: what it held was decided without it
    protocol::Notice notice;
    notice.mutable_hold_order()->set_compartment(hold.compartment);
    notice.mutable_hold_order()->set_ticket(hold.ticket);
    notice.mutable_hold_order()->set_action(action);
    client->notice(std::move(notice));
}

// The filter first: nothing of the kind asks again once the hold is over.
void decide_always(Core &core, const Waiting &hold, const protocol::HoldDecide &message,
                   const Responder &to) {
    auto filter = always_filter_for(core, hold, message.action());
    if (!filter) return to.fail(about(message.id(), filter.error()));
    core.sessions->edit(
        to,
        [filter = *filter](policy::Policy &policy) { return policy::add_always(policy, filter); },
        [&core, hold, action = message.action()] { order(core, hold, action); });
}

} // namespace

void hold_decide(Core &core, const protocol::HoldDecide &message, const Responder &to) {
    if (message.action() != DP_ACTION_PERMIT && message.action() != DP_ACTION_BLOCK)
        return to.fail(Error(EINVAL, "a hold is permitted or blocked"));
    const auto hold = find_hold(core, message.id());
    if (!hold) return to.fail(Error(0, "no hold " + std::to_string(message.id())));
    const auto *host = core.hosts->of(hold->host);
    if (host == nullptr || host->client.expired())
        return to.fail(Error(0, "host " + std::to_string(hold->host) + ", which has hold " +
                                    std::to_string(message.id()) +
                                    ", is not connected just now; try again"));
    if (message.always()) return decide_always(core, *hold, message, to);
    order(core, *hold, message.action());
    to.done();
}

} // namespace sluice::daemon
