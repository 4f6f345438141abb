// SPDX-License-Identifier: Apache-2.0
// What sluiced has to do with redirections: it enters the handles of hosts into the data planes,
// ends redirections whose connections have gone without a word, takes away those that are over,
// with their contexts, and tells the hosts.
#pragma once

#include <map>
#include <set>

#include "daemon/client.h"
#include "daemon/hosts.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

struct Core;

// What the sweep has to do about one. A pure decision. without_since_ns: since when nothing of its
// connection has been seen, neither flow nor socket; 0: it is there.
enum class RedirectFate { keep, end, remove };
RedirectFate fate_of(const dp_redirect &redirect, std::uint64_t now_ns,
                     std::uint64_t without_since_ns);
// Hosts whose handles it was made with.
std::set<std::uint32_t> hosts_of(const dp_redirect &redirect);

class Redirects {
public:
    explicit Redirects(Core &core) : core_(core) {}

    void create(Host &host, const protocol::RedirectHandle &message, const Responder &to);
    void destroy(Host &host, const protocol::RedirectHandle &message, const Responder &to);
    void plane_made(std::uint32_t compartment); // the handles of all hosts in it
    // Nobody redirects with its handles any more; what is redirected goes on.
    void host_ended(std::uint32_t host);
    // It has come back after a restart of sluiced: handles that it does not name soon are
    // destroyed.
    void host_returned(std::uint32_t host);

    // With each walk over the flows; flows: the redirections that they name.
    void look(std::uint32_t compartment, datapath::Datapath &plane,
              const std::set<std::uint64_t> &flows);

private:
    using Ids = std::vector<std::uint64_t>;
    void note_missing(const datapath::Datapath &plane, const std::set<std::uint64_t> &flows,
                      std::map<std::uint64_t, std::uint64_t> &missing);
    [[nodiscard]] bool is_awaited(const std::set<std::uint32_t> &hosts) const;
    void tell(std::uint32_t compartment, const std::map<std::uint32_t, Ids> &ended);
    void learned(datapath::Datapath &plane) const;

    Core &core_;
    // By compartment and redirection: since when its connection is missing.
    std::map<std::uint32_t, std::map<std::uint64_t, std::uint64_t>> missing_;
};

} // namespace sluice::daemon
