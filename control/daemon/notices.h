// SPDX-License-Identifier: Apache-2.0
// Notices whose answer somebody waits for. Every one ends: by the answer, by time, or with its
// host.
#pragma once

#include <functional>
#include <map>

#include "daemon/client.h"

namespace sluice::daemon {

class Notices {
public:
    explicit Notices(Loop &loop) : loop_(loop) {}
    using Done = std::function<void(bool answered, std::uint32_t status)>;

    void send(const std::shared_ptr<Client> &to, protocol::Notice notice,
              std::chrono::milliseconds timeout, Done done) {
        const std::uint64_t id = next_++;
        notice.set_id(id);
        const auto timer = loop_.after(timeout, [this, id] { end(id, false, 0); });
        waiting_[id] = {to->id, timer, std::move(done)};
        to->notice(std::move(notice));
    }
    // An answer counts only from the connection that was asked.
    void answered(std::uint64_t client, const protocol::NoticeReply &reply) {
        const auto it = waiting_.find(reply.id());
        if (it != waiting_.end() && it->second.client == client)
            end(reply.id(), true, reply.status());
    }
    void client_gone(std::uint64_t client) {
        std::vector<std::uint64_t> ids;
        for (const auto &[id, w] : waiting_)
            if (w.client == client) ids.push_back(id);
        for (std::uint64_t id : ids)
            end(id, false, 0);
    }

private:
    struct Waiting {
        std::uint64_t client;
        Loop::TimerId timer;
        Done done;
    };
    void end(std::uint64_t id, bool was_answered, std::uint32_t status) {
        const auto it = waiting_.find(id);
        if (it == waiting_.end()) return;
        auto done = std::move(it->second.done);
        loop_.cancel(it->second.timer);
        waiting_.erase(it);
        done(was_answered, status);
    }

    Loop &loop_;
    std::map<std::uint64_t, Waiting> waiting_;
    std::uint64_t next_ = 1;
};

} // namespace sluice::daemon
