// SPDX-License-Identifier: Apache-2.0
// Ends sockets of the calling thread's network namespace from outside (SOCK_DESTROY of inet_diag):
// their owner gets ECONNABORTED, the peer of a connection a RST.
#pragma once

#include "core/result.h"
#include "datapath/datapath.h"
#include "shared/flow.h"

namespace sluice::daemon {

// The local socket of a TCP connection. No such socket: done. EOPNOTSUPP: this kernel cannot
// (CONFIG_INET_DIAG_DESTROY).
Result<void> destroy_connection(const dp_flow_key &key, std::uint32_t ifindex);
// The TCP listener at a local address and port; an unspecified address is the wildcard's.
// Sockets whose bind or listen was refused, as far as the kernel lets them be found: what is only
// bound is refused its traffic, and ended when it listens.
void destroy_refused(const datapath::Datapath &plane);
Result<void> destroy_listener(const dp_addr &local, std::uint16_t port, bool v6);

} // namespace sluice::daemon
