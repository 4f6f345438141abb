// SPDX-License-Identifier: Apache-2.0
#include "runtime/port_loop.h"

#include "runtime/threads.h"

namespace sluice::runtime {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t outside = 0, deposed = -1;
constexpr std::chrono::milliseconds idle_wait{1000};

} // namespace

// `since_`: when user code was entered, or one of the two marks. The exchange at its end tells
// exactly whether the port was taken away meanwhile.
class PortLoop::Leader final : public Pace {
public:
    explicit Leader(PortLoop &loop) : loop_(loop) {}
    void entering(const Slow &slow) override {
        if (!leads_) return;
        slow_ = slow;
        entered_ = Clock::now();
        since_.store(entered_.time_since_epoch().count());
        if (slow_ && *slow_) give_way();
    }
    void left() override {
        if (!leads_) return;
        if (slow_ && Clock::now() - entered_ < patience) *slow_ = false;
        leads_ = since_.exchange(outside) != deposed;
    }
    void give_way() override {
        loop_.link_->io->flush();
        if (leads_ && since_.exchange(deposed) != deposed) loop_.gives_way(*this);
    }
    [[nodiscard]] bool leads() const { return leads_; }
    bool depose_if_slow() {
        std::int64_t since = since_.load();
        if (since == outside || since == deposed) return false;
        if (Clock::now().time_since_epoch() - Clock::duration(since) < patience) return false;
        if (!since_.compare_exchange_strong(since, deposed)) return false;
        if (slow_) *slow_ = true; // its thread is inside still and touches it no more
        return true;
    }

private:
    PortLoop &loop_;
    std::atomic<std::int64_t> since_{outside};
    bool leads_ = true;         // the leader's own thread only
    Clock::time_point entered_; // likewise
    Slow slow_;                 // likewise, until it is deposed
};

PortLoop::PortLoop(std::shared_ptr<PortLink> link, Dispatcher &dispatcher, Counters &counters,
                   std::chrono::microseconds busy)
    : link_(std::move(link)), dispatcher_(dispatcher), counters_(counters), busy_(busy) {
    Lock lock(mutex_);
    spawn();
}

PortLoop::~PortLoop() {
    stop_ = true;
    link_->io->close();
    Lock lock(mutex_);
    changed_.notify_all();
    while (running_ > 0)
        changed_.wait(lock);
}

// Detached, and counted instead: threads come and go, and the destructor waits for the count.
void PortLoop::spawn() {
    ++running_;
    std::thread([this] { run(); }).detach();
}

void PortLoop::run() {
    block_signals();
    Lock lock(mutex_);
    while (follow(lock)) {
        const auto self = std::make_shared<Leader>(*this);
        leader_ = self;
        if (followers_ == 0) {
            if (running_ < threads_max)
                spawn();
            else
                ++counters_.thread_limit;
        }
        lock.unlock();
        lead(*self);
        lock.lock();
        if (leader_ == self) leader_.reset();
    }
    --running_;
    changed_.notify_all();
}

bool PortLoop::follow(Lock &lock) {
    if (followers_ >= followers_max) return false;
    ++followers_;
    while (!stop_ && leader_) {
        changed_.wait_for(lock, watch);
        link_->io->flush(); // what a leader sent before it went into user code that takes long
        if (leader_ && leader_->depose_if_slow()) {
            ++counters_.handoffs;
            leader_.reset();
        }
    }
    --followers_;
    return !stop_;
}

void PortLoop::gives_way(const Leader &leader) {
    Lock lock(mutex_);
    if (leader_.get() == &leader) {
        ++counters_.handoffs;
        leader_.reset();
    }
    changed_.notify_all();
}

void PortLoop::lead(Leader &leader) {
    auto &io = *link_->io;
    const xsk::PortIo::Batch batch(io);
    auto spin_until = Clock::time_point::min();
    while (!stop_ && leader.leads()) {
        dispatcher_.tick(leader);
        if (!leader.leads()) return;
        dispatcher_.take_notices(link_);
        const bool notice = dispatcher_.handle_notice(link_, leader);
        if (!leader.leads()) return;
        auto frame = io.receive();
        if (frame) dispatcher_.handle(link_, *std::move(frame), leader);
        if (frame || notice) {
            if (busy_.count() > 0) spin_until = Clock::now() + busy_;
            continue;
        }
        io.flush();
        if (busy_.count() > 0 && Clock::now() < spin_until) continue;
        if (io.wait(idle_wait) == xsk::PortIo::Wait::closed) stop_ = true;
    }
}

} // namespace sluice::runtime
