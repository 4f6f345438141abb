// SPDX-License-Identifier: Apache-2.0
#include "xsk/frame.h"

#include <utility>

namespace sluice::xsk {

Frame::Frame(std::shared_ptr<PortIo> owner, std::byte *chunk, std::uint32_t offset,
             std::uint32_t length)
    : owner_(std::move(owner)), chunk_(chunk), offset_(offset), length_(length) {}

Frame::Frame(Frame &&other) noexcept
    : owner_(std::move(other.owner_)), chunk_(std::exchange(other.chunk_, nullptr)),
      offset_(std::exchange(other.offset_, 0)), length_(std::exchange(other.length_, 0)) {}

Frame &Frame::operator=(Frame &&other) noexcept {
    if (this == &other) return *this;
    reset();
    owner_ = std::move(other.owner_);
    chunk_ = std::exchange(other.chunk_, nullptr);
    offset_ = std::exchange(other.offset_, 0);
    length_ = std::exchange(other.length_, 0);
    return *this;
}

bool Frame::set_bounds(std::uint32_t offset, std::uint32_t length) {
    if (offset > DP_FRAME_BYTES || length > DP_FRAME_BYTES - offset) return false;
    offset_ = offset;
    length_ = length;
    return true;
}

void Frame::reset() {
    if (!owner_) return;
    const std::shared_ptr<PortIo> owner = std::move(owner_);
    owner_.reset();
    owner->give_back(std::exchange(chunk_, nullptr));
    offset_ = length_ = 0;
}

std::byte *Frame::detach() {
    owner_.reset();
    offset_ = length_ = 0;
    return std::exchange(chunk_, nullptr);
}

bool PortIo::send(Frame frame) {
    Lock lock(later_mutex_);
    if (auto before = std::exchange(later_, std::nullopt)) transmit(*std::move(before));
    return transmit(std::move(frame));
}

bool PortIo::send_later(Frame frame) {
    if (!batches() || closed()) return send(std::move(frame));
    Lock lock(later_mutex_);
    if (auto before = std::exchange(later_, std::move(frame))) transmit(*std::move(before));
    return true;
}

std::optional<Frame> PortIo::take_back() {
    if (!batches()) return std::nullopt;
    Lock lock(later_mutex_);
    return std::exchange(later_, std::nullopt);
}

void PortIo::flush() {
    Lock lock(later_mutex_);
    if (auto before = std::exchange(later_, std::nullopt)) transmit(*std::move(before));
    lock.unlock();
    transmit_now();
}

} // namespace sluice::xsk
