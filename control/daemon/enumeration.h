// SPDX-License-Identifier: Apache-2.0
// Objects as clients ask for them: one, or all that a template means.
#pragma once

#include "core/result.h"
#include "daemon/client.h"
#include "policy/enumerate.h"

namespace sluice::daemon {

struct Core;

void object_get(Core &core, const protocol::ObjectGet &message, const Responder &to);
// One snapshot, in pieces.
void object_enum(Core &core, const protocol::ObjectEnum &message, const Responder &to);

Result<policy::Template> template_of(const protocol::ObjectEnum &message);

} // namespace sluice::daemon
