// SPDX-License-Identifier: Apache-2.0
#include "daemon/turn.h"

namespace sluice::daemon {

void WriterTurn::take(std::uint64_t session, std::chrono::milliseconds wait, Granted granted) {
    if (holder_ == 0 && waiting_.empty()) {
        holder_ = session;
        granted(true);
        return;
    }
    waiting_.push_back({session, 0, std::move(granted)});
    const auto it = std::prev(waiting_.end());
    it->timer = loop_.after(wait, [this, it] {
        auto refused = std::move(it->granted);
        waiting_.erase(it);
        refused(false);
    });
}

void WriterTurn::give_back(std::uint64_t session) {
    if (holder_ != session) return;
    holder_ = 0;
    next();
}

void WriterTurn::forget(std::uint64_t session) {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        if (it->session != session) {
            ++it;
            continue;
        }
        loop_.cancel(it->timer);
        it = waiting_.erase(it);
    }
    give_back(session);
}

void WriterTurn::next() {
    if (holder_ != 0 || waiting_.empty()) return;
    Waiting first = std::move(waiting_.front());
    waiting_.pop_front();
    loop_.cancel(first.timer);
    holder_ = first.session;
    first.granted(true);
}

} // namespace sluice::daemon
