// SPDX-License-Identifier: Apache-2.0
#include "runtime/net_buffer_memory.h"

#include <cstring>
#include <utility>

#include "runtime/holds.h"

namespace sluice::runtime {

PacketMemory::PacketMemory(xsk::Frame frame, std::shared_ptr<PortLink> port)
    : port_(std::move(port)), frame_(std::move(frame)) {}

std::span<std::byte> PacketMemory::bytes() const {
    Lock lock(mutex_);
    return frame_ ? frame_.bytes() : std::span<std::byte>{};
}

std::uint32_t PacketMemory::host() const {
    return port_->host_id;
}

bool PacketMemory::share() {
    Lock lock(mutex_);
    if (!frame_) return false;
    if (sharers_ > 0) {
        ++sharers_;
        return true;
    }
    if (!in_hold_ || port_->kept >= port_->io->frames() / 2) return false;
    auto spare = port_->io->allocate();
    if (!spare) return false;
    spare_ = *std::move(spare);
    sharers_ = 1;
    ++port_->kept;
    return true;
}

void PacketMemory::unshare() {
    xsk::Frame spare, frame; // given back after the lock, being older
    Lock lock(mutex_);
    if (--sharers_ > 0) return;
    --port_->kept;
    spare = std::move(spare_);
    if (!in_hold_) frame = std::move(frame_);
}

xsk::Frame PacketMemory::take() {
    Lock lock(mutex_);
    in_hold_ = false;
    if (sharers_ == 0 || !frame_) return std::move(frame_);
    const auto bytes = frame_.bytes();
    if (!spare_.set_bounds(frame_.offset(), static_cast<std::uint32_t>(bytes.size()))) return {};
    std::memcpy(spare_.bytes().data(), bytes.data(), bytes.size());
    copied_bytes().answer += bytes.size();
    return std::move(spare_);
}

void PacketMemory::give_up() {
    xsk::Frame spare, frame;
    Lock lock(mutex_);
    in_hold_ = false;
    spare = std::move(spare_);
    if (sharers_ == 0) frame = std::move(frame_);
}

SharedFrame::SharedFrame(xsk::Frame frame, std::shared_ptr<PortLink> port) {
    if (frame) memory_ = std::make_shared<PacketMemory>(std::move(frame), std::move(port));
}

SharedFrame &SharedFrame::operator=(SharedFrame &&other) noexcept {
    if (this == &other) return *this;
    reset();
    memory_ = std::move(other.memory_);
    return *this;
}

void SharedFrame::reset() {
    if (!memory_) return;
    std::exchange(memory_, nullptr)->give_up();
}

SharedFrame::operator xsk::Frame() && {
    const auto memory = std::exchange(memory_, nullptr);
    return memory ? memory->take() : xsk::Frame{};
}

} // namespace sluice::runtime
