// SPDX-License-Identifier: Apache-2.0
// Notices whose answer somebody waits for. Every wait ends: by the answer, by time, or with the
// connection.
#pragma once

#include <functional>
#include <map>

#include "daemon/client.h"

namespace sluice::daemon {

class Notices {
public:
    explicit Notices(Loop &loop) : loop_(loop) {}
    enum class Outcome { answered, late, gone };
    using Done = std::function<void(Outcome outcome, std::uint32_t status)>;
    using Late = std::function<void(std::uint32_t status)>;

    // done: once. late: an answer that came after done(Outcome::late).
    void send(const std::shared_ptr<Client> &to, protocol::Notice notice,
              std::chrono::milliseconds timeout, Done done, Late late = {}) {
        const std::uint64_t id = next_++;
        notice.set_id(id);
        const auto timer = loop_.after(timeout, [this, id] { overdue(id); });
        waiting_[id] = {to->id, timer, std::move(done), std::move(late)};
        to->notice(std::move(notice));
    }
    // An answer counts only from the connection that was asked.
    void answered(std::uint64_t client, const protocol::NoticeReply &reply) {
        const auto it = waiting_.find(reply.id());
        if (it != waiting_.end() && it->second.client == client)
            end(reply.id(), Outcome::answered, reply.status());
    }
    void client_gone(std::uint64_t client) {
        std::vector<std::uint64_t> ids;
        for (const auto &[id, w] : waiting_)
            if (w.client == client) ids.push_back(id);
        for (std::uint64_t id : ids)
            end(id, Outcome::gone, 0);
    }

private:
    struct Waiting {
        std::uint64_t client;
        Loop::TimerId timer;
        Done done; // empty: it was told that the answer is late
        Late late;
    };
    void overdue(std::uint64_t id) {
        const auto it = waiting_.find(id);
        if (it == waiting_.end()) return;
        auto done = std::exchange(it->second.done, {});
        done(Outcome::late, 0);
    }
    void end(std::uint64_t id, Outcome outcome, std::uint32_t status) {
        const auto it = waiting_.find(id);
        if (it == waiting_.end()) return;
        const Waiting w = std::move(it->second);
        loop_.cancel(w.timer);
        waiting_.erase(it);
        if (w.done) return w.done(outcome, status);
        if (w.late && outcome == Outcome::answered) w.late(status);
    }

    Loop &loop_;
    std::map<std::uint64_t, Waiting> waiting_;
    std::uint64_t next_ = 1;
};

} // namespace sluice::daemon
