// SPDX-License-Identifier: Apache-2.0
// Threads for notifyFn and other work that may itself wait for sluiced. A job never waits behind
// another: where no worker is idle there is a new one, because a notifyFn may add filters, which
// are announced to notifyFn.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "xsk/mutex.h"

namespace sluice::runtime {

class Workers {
public:
    ~Workers() { stop(); }
    void post(std::function<void()> job) EXCLUDES(mutex_);
    void stop() EXCLUDES(mutex_); // runs what was posted, then joins

private:
    void run() EXCLUDES(mutex_);

    Mutex mutex_;
    Condition posted_;
    std::deque<std::function<void()>> jobs_ GUARDED_BY(mutex_);
    std::size_t idle_ GUARDED_BY(mutex_) = 0;
    bool stopping_ GUARDED_BY(mutex_) = false;
    std::vector<std::thread> threads_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
