// SPDX-License-Identifier: Apache-2.0
// A port in memory: upcalls are injected, what is sent is kept for the test to read.
#pragma once

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

#include "runtime/downcall.h"
#include "xsk/mutex.h"

namespace sluice::test {

struct Sent {
    dp_downcall header{};
    std::string packet; // text behind the header, empty: none
};

class FakePort final : public xsk::PortIo, public std::enable_shared_from_this<FakePort> {
public:
    explicit FakePort(std::uint32_t frames = 64)
        : memory_(std::size_t(frames) * DP_FRAME_BYTES), count_(frames) {
        for (std::uint32_t i = 0; i < frames; ++i)
            free_.push_back(memory_.data() + std::size_t(i) * DP_FRAME_BYTES);
    }

    // How the kernel answers a CONTEXT downcall.
    std::atomic<bool> acknowledges{true}, flow_is_there{true};
    // And what is to be forwarded: with an enum dp_reason, of the first `forwards_refused` packets.
    std::atomic<std::uint32_t> forward_reason{0}, forwards_refused{0}, forward_mtu{0};

    // What becomes of a downcall, in the sender's thread and in the order of each flow's. If it is
    // set, nothing is kept in sent(). Set it before the port is in use.
    std::function<void(const Sent &)> kernel;

    // False: there is no frame for it. view: of the flow's redirection.
    bool inject(const dp_upcall &header, const std::string &packet,
                const dp_redirect_view *view = nullptr) {
        Lock lock(mutex_);
        if (free_.empty()) return false;
        arrived_.push_back(frame_locked(header, packet, view));
        changed_.notify_all();
        return true;
    }
    // Into the ring of notices.
    void notify(dp_upcall h) {
        h.magic = DP_UPCALL_MAGIC;
        h.version = DP_LAYOUT_VERSION;
        h.header_bytes = sizeof h;
        Lock lock(mutex_);
        notices_.emplace_back(reinterpret_cast<const char *>(&h), sizeof h);
        changed_.notify_all();
    }
    xsk::Frame frame(const dp_upcall &header, const std::string &packet) {
        Lock lock(mutex_);
        return frame_locked(header, packet);
    }
    std::vector<Sent> sent() {
        Lock lock(mutex_);
        return sent_;
    }
    // What was sent, once there are `count`; fewer after five seconds, or once the port is closed.
    std::vector<Sent> wait_sent(std::size_t count) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        Lock lock(mutex_);
        while (sent_.size() < count && !closed_)
            if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
        return sent_;
    }
    // The ring takes so many more and is full then.
    void refuse_sends(std::size_t after) {
        Lock lock(mutex_);
        sends_left_ = after;
    }
    std::size_t free_frames() {
        Lock lock(mutex_);
        return free_.size();
    }

    Wait wait(std::chrono::milliseconds limit) override {
        Lock lock(mutex_);
        const auto idle = [&]() { return arrived_.empty() && notices_.empty(); };
        if (idle() && !closed_) changed_.wait_for(lock, limit);
        return closed_ ? Wait::closed : idle() ? Wait::timeout : Wait::ready;
    }
    std::optional<xsk::Frame> receive() override {
        Lock lock(mutex_);
        if (arrived_.empty()) return std::nullopt;
        xsk::Frame frame = std::move(arrived_.front());
        arrived_.pop_front();
        return frame;
    }
    std::optional<xsk::Frame> allocate() override {
        Lock lock(mutex_);
        if (free_.empty()) return std::nullopt;
        std::byte *chunk = free_.back();
        free_.pop_back();
        return xsk::Frame(shared_from_this(), chunk, 0, 0);
    }
    bool transmit(xsk::Frame frame) override {
        Lock lock(mutex_);
        if (closed_ || sends_left_ == 0) {
            lock.unlock();
            frame.reset();
            return false;
        }
        --sends_left_;
        Sent s;
        const auto bytes = frame.bytes();
        std::memcpy(&s.header, bytes.data(), sizeof s.header);
        s.packet.assign(reinterpret_cast<const char *>(bytes.data()) + sizeof s.header,
                        bytes.size() - sizeof s.header);
        if (s.header.kind == DP_DOWNCALL_CONTEXT && s.header.filter_id && acknowledges &&
            !free_.empty()) {
            dp_upcall ack{};
            ack.kind = DP_UPCALL_ACK;
            ack.filter_id = s.header.filter_id;
            ack.action = flow_is_there ? 1 : 0;
            arrived_.push_back(frame_locked(ack, {}));
        }
        answer_forward_locked(s);
        free_.push_back(frame.detach());
        changed_.notify_all();
        if (kernel) {
            lock.unlock();
            kernel(s);
        } else if (!asks_for_forwards(s)) {
            sent_.push_back(std::move(s));
        }
        return true;
    }
    std::size_t receive_notice(std::span<std::byte> room) override {
        Lock lock(mutex_);
        if (notices_.empty()) return 0;
        const std::string notice = std::move(notices_.front());
        notices_.pop_front();
        if (notice.size() <= room.size()) std::memcpy(room.data(), notice.data(), notice.size());
        return notice.size();
    }
    void close() override {
        Lock lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }
    [[nodiscard]] bool closed() const override {
        Lock lock(mutex_);
        return closed_;
    }
    [[nodiscard]] std::uint32_t frames() const override { return count_; }
    [[nodiscard]] int memory_fd() const override { return -1; }
    [[nodiscard]] int namespace_fd() const override { return -1; }

protected:
    void give_back(std::byte *chunk) override {
        Lock lock(mutex_);
        free_.push_back(chunk);
    }

private:
    static bool asks_for_forwards(const Sent &s) {
        return s.header.kind == DP_DOWNCALL_INJECT && s.header.inject.kind == DP_INJECT_FORWARD &&
               s.packet.empty();
    }
    void answer_forward_locked(const Sent &s) REQUIRES(mutex_) {
        if (!acknowledges ||
            (s.header.kind != DP_DOWNCALL_INJECT && s.header.kind != DP_DOWNCALL_INSTEAD) ||
            s.header.inject.kind != DP_INJECT_FORWARD || free_.empty())
            return;
        dp_upcall answer{};
        answer.kind = DP_UPCALL_FORWARDED;
        answer.filter_id = s.header.inject.endpoint;
        if (!s.packet.empty()) {
            if (forwards_refused == 0) return;
            --forwards_refused;
            answer.action = forward_reason;
            answer.generation = forward_mtu;
        }
        arrived_.push_back(frame_locked(answer, {}));
    }
    xsk::Frame frame_locked(const dp_upcall &header, const std::string &packet,
                            const dp_redirect_view *view = nullptr) REQUIRES(mutex_) {
        std::byte *chunk = free_.back();
        free_.pop_back();
        constexpr std::uint32_t offset = 256; // as XDP leaves it
        dp_upcall h = header;
        h.magic = DP_UPCALL_MAGIC;
        h.version = DP_LAYOUT_VERSION;
        h.header_bytes = sizeof h;
        if (view) {
            h.flags |= DP_UPCALL_HAS_REDIRECT;
            h.header_bytes += sizeof *view;
            std::memcpy(chunk + offset + sizeof h, view, sizeof *view);
        }
        std::memcpy(chunk + offset, &h, sizeof h);
        std::memcpy(chunk + offset + h.header_bytes, packet.data(), packet.size());
        return xsk::Frame(shared_from_this(), chunk, offset,
                          static_cast<std::uint32_t>(h.header_bytes + packet.size()));
    }

    std::vector<std::byte> memory_;
    const std::uint32_t count_;
    mutable Mutex mutex_;
    Condition changed_;
    std::vector<std::byte *> free_ GUARDED_BY(mutex_);
    std::deque<xsk::Frame> arrived_ GUARDED_BY(mutex_);
    std::deque<std::string> notices_ GUARDED_BY(mutex_);
    std::vector<Sent> sent_ GUARDED_BY(mutex_);
    std::size_t sends_left_ GUARDED_BY(mutex_) = SIZE_MAX;
    bool closed_ GUARDED_BY(mutex_) = false;
};

} // namespace sluice::test
