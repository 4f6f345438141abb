// SPDX-License-Identifier: Apache-2.0
// Who may do what, by the credentials that the kernel gives for the other end of a connection. A
// pure decision.
#pragma once

#include <optional>
#include <sys/types.h>
#include <vector>

#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::daemon {

struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups; // supplementary
};

struct RightsRules {
    uid_t own_uid = 0;
    std::optional<gid_t> admin_group; // sluice-admin, if the system has it
    std::optional<gid_t> read_group;  // sluice
    static RightsRules of_system();
};

enum class Access { none, read, change };

Access access_of(const Peer &peer, const RightsRules &rules);
// What a request needs. HostHello is not decided here: see Hosts::hello.
Access access_needed(protocol::Request::BodyCase body);
Result<Peer> peer_of(int socket);

} // namespace sluice::daemon
