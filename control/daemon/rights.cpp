// SPDX-License-Identifier: Apache-2.0
#include "daemon/rights.h"

#include <algorithm>
#include <cerrno>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sluice::daemon {

namespace {

std::optional<gid_t> group_named(const char *name) {
    const ::group *g = ::getgrnam(name);
    if (g == nullptr) return std::nullopt;
    return g->gr_gid;
}

bool in_group(const Peer &peer, const std::optional<gid_t> &group) {
    if (!group) return false;
    return peer.gid == *group ||
           std::find(peer.groups.begin(), peer.groups.end(), *group) != peer.groups.end();
}

} // namespace

RightsRules RightsRules::of_system() {
    return {::geteuid(), group_named("sluice-admin"), group_named("sluice")};
}

Access access_of(const Peer &peer, const RightsRules &rules) {
    if (peer.uid == 0 || peer.uid == rules.own_uid || in_group(peer, rules.admin_group))
        return Access::change;
    if (in_group(peer, rules.read_group)) return Access::read;
    return Access::none;
}

Access access_needed(protocol::Request::BodyCase body) {
    using R = protocol::Request;
    switch (body) {
    case R::kHostHello:
    case R::BODY_NOT_SET:
        return Access::none;
    case R::kStatusGet:
    case R::kNicList:
    case R::kPluginList:
    case R::kHostList:
    case R::kCalloutList:
    case R::kFilterList:
    case R::kSublayerList:
    case R::kHoldList:
    case R::kHoldWatch:
    case R::kRedirectList:
    case R::kStatsGet:
    case R::kObjectGet:
    case R::kObjectEnum:
    case R::kSubscribe:
    case R::kUnsubscribe:
    case R::kNetEventEnum:
    case R::kEngineOptionGet:
    case R::kSessionEnum:
        return Access::read;
    default:
        return Access::change;
    }
}

Result<Peer> peer_of(int socket) {
    ::ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
        return Error(errno, "read peer credentials");
    Peer peer{credentials.pid, credentials.uid, credentials.gid, std::vector<gid_t>(64)};
    for (;;) {
        length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) == 0)
            break;
        if (errno != ERANGE) return Error(errno, "read peer groups");
        peer.groups.resize(length / sizeof(gid_t));
    }
    peer.groups.resize(length / sizeof(gid_t));
    return peer;
}

} // namespace sluice::daemon
