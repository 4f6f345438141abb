// SPDX-License-Identifier: Apache-2.0
// The engine's objects as the command line fetches and names them.
#pragma once

#include "cli/daemon_client.h"

namespace sluice::cli {

// All objects of one kind, boot-time filters too.
void fetch(DaemonClient &client, protocol::ObjectKind kind, protocol::Objects &into);
protocol::Objects fetch_all(DaemonClient &client);
// What a policy file may name.
protocol::Objects fetch_named(DaemonClient &client);

// Key of an object by its key's text or its name. Throws Failure: none or several have the name.
std::string key_of(DaemonClient &client, protocol::ObjectKind kind, const std::string &word);

const char *kind_name(protocol::ObjectKind kind);

} // namespace sluice::cli
