// SPDX-License-Identifier: Apache-2.0
// `sluice policy apply`, `confirm`, `rollback`: whole policy files, the last good one, and going
// back to it unless somebody confirms in time.
#pragma once

#include <map>
#include <optional>

#include "daemon/client.h"
#include "daemon/policy_file.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

class PolicyApplier {
public:
    explicit PolicyApplier(Core &core) : core_(core) {}

    // Comes in pieces; the last one is answered.
    void apply(const protocol::PolicyApply &message, const Responder &to);
    void confirm(const Responder &to);
    void rollback(const Responder &to);
    void client_gone(std::uint64_t client) { pieces_.erase(client); }

    // last_good: what a rollback brings back.
    void load(const store::State *state, const std::optional<protocol::Objects> &last_good);
    void save(store::State &state) const;

private:
    void expect_confirmation(std::uint64_t until_ms); // since 1970
    void go_back_by_itself();

    Core &core_;
    struct Gathered {
        FileObjects objects;
        std::size_t bytes = 0;
        std::optional<Error> wrong; // with a piece
    };
    std::map<std::uint64_t, Gathered> pieces_; // by client
    std::optional<policy::Policy> last_good_;  // whose file objects they are
    std::uint64_t confirm_until_ms_ = 0;       // 0: nothing waits for a confirmation
    Loop::TimerId timer_ = 0;
};

} // namespace sluice::daemon
