// SPDX-License-Identifier: Apache-2.0
// The memory of a packet that came up, which a hold sends on and a callout may keep. As long as
// nobody keeps it, the frame that came up is the frame that goes down. Who keeps it (a clone, a
// reference) keeps the frame; a second one is set aside at once, so that the answer never fails for
// want of it, and is filled when the hold sends.
//
// Frames are few. What is kept counts as PortLink::kept does for holds, and past half of the port's
// frames share() refuses: its caller copies the bytes out of the frame instead.
#pragma once

#include <memory>

#include "xsk/frame.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

struct PortLink;

class PacketMemory {
public:
    PacketMemory(xsk::Frame frame, std::shared_ptr<PortLink> port);
    PacketMemory(const PacketMemory &) = delete;
    PacketMemory &operator=(const PacketMemory &) = delete;

    // Of the whole frame, also of what stands before the packet. Empty once it was taken.
    [[nodiscard]] std::span<std::byte> bytes() const EXCLUDES(mutex_);
    [[nodiscard]] std::uint32_t host() const; // ours, at the port by which this came
    // The bytes stay where they are until as many unshare() as share() were called. False, and
    // nothing to undo: too much is kept, or the frame was taken already.
    bool share() EXCLUDES(mutex_);
    void unshare() EXCLUDES(mutex_);
    // For the hold, once: a frame with these bytes, to send.
    xsk::Frame take() EXCLUDES(mutex_);
    // For the hold: nothing of this will be sent.
    void give_up() EXCLUDES(mutex_);

private:
    const std::shared_ptr<PortLink> port_;
    mutable Mutex mutex_;
    xsk::Frame frame_ GUARDED_BY(mutex_);
    xsk::Frame spare_ GUARDED_BY(mutex_);
    std::uint32_t sharers_ GUARDED_BY(mutex_) = 0;
    bool in_hold_ GUARDED_BY(mutex_) = true;
};

// What a hold has of a packet's memory; used as the xsk::Frame that it becomes when it is sent.
class SharedFrame {
public:
    SharedFrame() = default;
    SharedFrame(xsk::Frame frame, std::shared_ptr<PortLink> port);
    SharedFrame(SharedFrame &&) = default;
    SharedFrame &operator=(SharedFrame &&other) noexcept;
    ~SharedFrame() { reset(); }

    explicit operator bool() const { return memory_ != nullptr; }
    [[nodiscard]] std::span<std::byte> bytes() const {
        return memory_ ? memory_->bytes() : std::span<std::byte>{};
    }
    [[nodiscard]] const std::shared_ptr<PacketMemory> &memory() const { return memory_; }
    void reset();
    operator xsk::Frame() &&; // empty if there is none

private:
    std::shared_ptr<PacketMemory> memory_;
};

} // namespace sluice::runtime
