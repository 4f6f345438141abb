// SPDX-License-Identifier: Apache-2.0
// Requests of clients: checked for rights, given to the part that does them.
#pragma once

#include "daemon/client.h"

namespace sluice::daemon {

struct Core;

void handle(Core &core, const std::shared_ptr<Client> &client, protocol::ToDaemon &message,
            std::vector<Fd> &fds);
void client_gone(Core &core, const std::shared_ptr<Client> &client);

void nic_load(Core &core, const protocol::NicLoad &message, std::vector<Fd> &fds,
              const Responder &to);
void nic_unload(Core &core, const protocol::NicUnload &message, std::vector<Fd> &fds,
                const Responder &to);
void engine_option_get(Core &core, const protocol::EngineOption &message, const Responder &to);
void engine_option_set(Core &core, const protocol::EngineOption &message, const Responder &to);
void net_event_enum(Core &core, const protocol::NetEventEnum &message, const Responder &to);

} // namespace sluice::daemon
