// SPDX-License-Identifier: Apache-2.0
#include "runtime/workers.h"

#include "runtime/threads.h"

namespace sluice::runtime {

void Workers::post(std::function<void()> job) {
    Lock lock(mutex_);
    if (stopping_) return;
    jobs_.push_back(std::move(job));
    if (jobs_.size() > idle_) threads_.emplace_back([this] { run(); });
    posted_.notify_one();
}

void Workers::run() {
    block_signals();
    Lock lock(mutex_);
    for (;;) {
        ++idle_;
        while (jobs_.empty() && !stopping_)
            posted_.wait(lock);
        --idle_;
        if (jobs_.empty()) return;
        const std::function<void()> job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        lock.lock();
    }
}

void Workers::stop() {
    std::vector<std::thread> threads;
    {
        Lock lock(mutex_);
        stopping_ = true;
        threads.swap(threads_);
    }
    posted_.notify_all();
    for (auto &t : threads)
        t.join();
}

} // namespace sluice::runtime
