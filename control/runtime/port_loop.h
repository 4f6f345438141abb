// SPDX-License-Identifier: Apache-2.0
// The threads of one port. One leads: it takes a frame and deals with it. A follower watches; when
// the leader has been in user code for longer than `patience` it takes the lead, and the slow
// thread joins the followers when it returns. A leader can lose the port only inside user code, so
// frames of a flow are never dealt with out of order.
#pragma once

#include <thread>

#include "runtime/dispatcher.h"

namespace sluice::runtime {

class PortLoop {
public:
    // busy: after a frame the leader looks for the next one for so long before it sleeps.
    PortLoop(std::shared_ptr<PortLink> link, Dispatcher &dispatcher, Counters &counters,
             std::chrono::microseconds busy = {});
    ~PortLoop(); // closes the port and waits for its threads, also for those in user code
    [[nodiscard]] const std::shared_ptr<PortLink> &link() const { return link_; }

private:
    class Leader;
    static constexpr std::chrono::milliseconds patience{50};
    static constexpr std::chrono::milliseconds watch{20};
    static constexpr std::size_t threads_max = 256;
    static constexpr std::size_t followers_max = 2;

    void run() EXCLUDES(mutex_);
    void spawn() REQUIRES(mutex_);
    bool follow(Lock &lock) REQUIRES(mutex_); // true: this thread is to lead
    void lead(Leader &leader) EXCLUDES(mutex_);
    void gives_way(const Leader &leader) EXCLUDES(mutex_);

    const std::shared_ptr<PortLink> link_;
    Dispatcher &dispatcher_;
    Counters &counters_;
    const std::chrono::microseconds busy_;
    std::atomic<bool> stop_{false};
    Mutex mutex_;
    Condition changed_;
    std::shared_ptr<Leader> leader_ GUARDED_BY(mutex_);
    std::size_t followers_ GUARDED_BY(mutex_) = 0;
    std::size_t running_ GUARDED_BY(mutex_) = 0;
};

} // namespace sluice::runtime
