// SPDX-License-Identifier: Apache-2.0
// Holds as messages, and what people decide about them.
#pragma once

#include "daemon/client.h"
#include "daemon/waiting.h"

namespace sluice::daemon {

struct Core;

protocol::Hold hold_message(Core &core, const datapath::Datapath &plane, const Waiting &hold);
// Of a hold that was over before anybody looked.
protocol::Hold hold_message(Core &core, const datapath::Datapath &plane, const dp_event &event);

std::string program_of(const datapath::Datapath &plane, const dp_process &process); // or empty

void hold_list(Core &core, const Responder &to);
void hold_decide(Core &core, const protocol::HoldDecide &message, const Responder &to);

} // namespace sluice::daemon
