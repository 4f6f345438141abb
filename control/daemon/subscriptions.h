// SPDX-License-Identifier: Apache-2.0
// Who wants to hear of changes of the policy and of net events.
#pragma once

#include <map>
#include <memory>

#include "daemon/client.h"
#include "policy/enumerate.h"
#include "policy/policy.h"

namespace sluice::daemon {

class Subscriptions {
public:
    // Of a session whose connection is `client`. The id names it in every notice.
    // The template is checked as object_enum checks it.
    Result<std::uint64_t> add(std::uint64_t session, const std::shared_ptr<Client> &client,
                              const protocol::Subscribe &what);
    // False: the session has no such subscription.
    bool remove(std::uint64_t session, std::uint64_t id);
    void session_ended(std::uint64_t session);
    void client_gone(std::uint64_t client);
    [[nodiscard]] bool any_net_events() const;

    // To all subscribers but those of session `by`.
    void changed(const policy::Policy &old, const policy::Policy &now, std::uint64_t by);
    void net_event(const protocol::NetEvent &event);

private:
    struct Subscription {
        std::uint64_t session = 0, client_id = 0;
        std::weak_ptr<Client> client;
        protocol::ObjectKind kind{};
        bool net_events = false;
        std::uint32_t flags = 0;
        policy::Template wanted;
    };
    void end(std::map<std::uint64_t, Subscription>::iterator at);

    std::map<std::uint64_t, Subscription> all_;
    std::uint64_t next_ = 1;
};

} // namespace sluice::daemon
