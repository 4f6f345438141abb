// SPDX-License-Identifier: Apache-2.0
// What was injected into the forward path and is not completed. The kernel says only what it could
// not do; that all else was done it says when it is asked: behind the packets that wait a downcall
// without one goes down, one at a time, and what was sent before it is complete when it comes back.
// So a stream of packets costs an answer for as many as went down meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "runtime/holds.h"

namespace sluice::runtime {

// One list.
class Forward {
public:
    virtual ~Forward() = default;
    // What is to be sent instead, where the way takes `mtu` bytes only. Empty: `status` is why.
    virtual std::vector<xsk::Frame> shortened(std::uint32_t mtu, NTSTATUS &status) = 0;
    virtual void done(NTSTATUS status) = 0; // once, without any lock
};

class Forwards {
public:
    using Clock = std::chrono::steady_clock;

    // Frames with their downcalls, in whose filter_id the number is put. False: nothing was sent,
    // and `forward` stays.
    bool send(const std::shared_ptr<PortLink> &port, std::vector<xsk::Frame> frames,
              std::unique_ptr<Forward> &forward) EXCLUDES(mutex_);
    void answered(const std::shared_ptr<PortLink> &port, const dp_upcall &answer) EXCLUDES(mutex_);
    void lost(const PortLink &port) EXCLUDES(mutex_); // what waits there is refused
    // Asks again where no answer came, and gives up what waits for too long; now and then.
    [[nodiscard]] bool is_due(Clock::time_point now) const {
        return now.time_since_epoch().count() >= due_.load(std::memory_order_relaxed);
    }
    void tick(Clock::time_point now) EXCLUDES(mutex_);

private:
    struct Waiting {
        std::unique_ptr<Forward> forward;
        Clock::time_point since;
        int rounds = 0;                   // of shortening
        NTSTATUS status = STATUS_SUCCESS; // once all before it is done
    };
    struct Way {
        std::shared_ptr<PortLink> port;
        std::map<std::uint64_t, Waiting> waiting; // by number, in the order of sending
        bool asked = false;
        Clock::time_point asked_at;
    };
    struct Ended {
        std::unique_ptr<Forward> forward;
        NTSTATUS status;
    };
    // False: nothing was sent, `waiting` stays.
    bool send(Way &way, std::vector<xsk::Frame> frames, Waiting &waiting) REQUIRES(mutex_);
    void ask(Way &way) REQUIRES(mutex_);
    void shorten(const std::shared_ptr<PortLink> &port, Waiting waiting, std::uint32_t mtu)
        EXCLUDES(mutex_);
    Way &way_of(const std::shared_ptr<PortLink> &port) REQUIRES(mutex_);

    std::atomic<Clock::rep> due_{0};
    Mutex mutex_;
    std::map<const PortLink *, Way> ways_ GUARDED_BY(mutex_);
    std::uint64_t last_ GUARDED_BY(mutex_) = 0;
};

} // namespace sluice::runtime
