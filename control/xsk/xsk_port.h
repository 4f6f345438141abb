// SPDX-License-Identifier: Apache-2.0
// A port over a passed AF_XDP descriptor. Needs no capability: sluiced made the socket, registered
// the memory and set the ring sizes; all that is left is to map, to fill and to bind.
#pragma once

#include <atomic>
#include <vector>

#include "xsk/frame.h"
#include "xsk/mutex.h"
#include "xsk/notice_ring.h"
#include "xsk/ring.h"

namespace sluice::xsk {

// Chunks that are in nobody's hands.
class FrameStore {
public:
    explicit FrameStore(std::uint32_t frames);
    // As many as there are beyond `leave`, at most those that fit.
    std::size_t take(std::span<std::uint64_t> out, std::size_t leave) EXCLUDES(mutex_);
    void put(std::span<const std::uint64_t> addresses) EXCLUDES(mutex_);
    [[nodiscard]] std::size_t size() const EXCLUDES(mutex_);

private:
    mutable Mutex mutex_;
    std::vector<std::uint64_t> free_ GUARDED_BY(mutex_);
};

class XskPort final : public PortIo, public std::enable_shared_from_this<XskPort> {
public:
    struct Handover {
        Fd socket, memory, far, notices;
        std::uint32_t ifindex = 0, frames = 0, ring = 0, notice_bytes = 0;
    };
    static Result<std::shared_ptr<XskPort>> open(Handover handover);
    ~XskPort() override;

    Wait wait(std::chrono::milliseconds limit) override;
    std::optional<Frame> receive() override EXCLUDES(rx_mutex_);
    std::optional<Frame> allocate() override EXCLUDES(tx_mutex_);
    std::size_t receive_notice(std::span<std::byte> room) override EXCLUDES(notices_mutex_);
    void close() override;
    [[nodiscard]] bool closed() const override { return closed_.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint32_t frames() const override { return frames_; }
    [[nodiscard]] int memory_fd() const override { return memory_fd_.get(); }
    [[nodiscard]] int namespace_fd() const override { return far_.get(); }

protected:
    void give_back(std::byte *chunk) override EXCLUDES(rx_mutex_);
    bool transmit(Frame frame) override EXCLUDES(tx_mutex_);
    void transmit_now() override EXCLUDES(tx_mutex_);

private:
    XskPort(Handover handover, Rings rings, Mapping memory, NoticeRing notices, Fd stop);
    bool receive_more() REQUIRES(rx_mutex_);
    void feed() EXCLUDES(rx_mutex_);
    void refill() EXCLUDES(rx_mutex_);
    void refill_locked() REQUIRES(rx_mutex_);
    void collect_sent() REQUIRES(tx_mutex_);
    void kick() REQUIRES(tx_mutex_);

    const Fd socket_, memory_fd_, far_, stop_;
    const std::uint32_t frames_;
    const Mapping memory_;
    std::atomic<bool> closed_{false};
    FrameStore store_;
    // The rings' memory is one object; which lock guards which ring stands in ring.h.
    Rings rings_;
    Mutex rx_mutex_;
    // Taken out of the ring at once and not handed out yet, the next one last.
    static constexpr std::uint32_t receive_batch = 32;
    std::vector<xdp_desc> received_ GUARDED_BY(rx_mutex_);
    // The fill ring could not be filled: who gives a chunk back must feed it.
    std::atomic<bool> hungry_{false};
    Mutex tx_mutex_;
    std::uint32_t unsent_ GUARDED_BY(tx_mutex_) = 0; // in the ring, and the kernel not told
    Mutex notices_mutex_;
    NoticeRing notices_ GUARDED_BY(notices_mutex_);
    const int notices_fd_;
};

} // namespace sluice::xsk
