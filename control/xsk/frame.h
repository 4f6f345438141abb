// SPDX-License-Identifier: Apache-2.0
// One chunk of a port's memory with the bytes in use in it. Whoever has the Frame has the chunk;
// destroying it gives the chunk back. The memory stays mapped while a Frame lives, also after the
// port was closed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "shared/port.h"
#include "xsk/mutex.h"

namespace sluice::xsk {

class PortIo;

class Frame {
public:
    Frame() = default;
    Frame(std::shared_ptr<PortIo> owner, std::byte *chunk, std::uint32_t offset,
          std::uint32_t length);
    Frame(Frame &&other) noexcept;
    Frame &operator=(Frame &&other) noexcept;
    ~Frame() { reset(); }

    explicit operator bool() const { return owner_ != nullptr; }
    [[nodiscard]] std::span<std::byte> bytes() const { return {chunk_ + offset_, length_}; }
    [[nodiscard]] std::byte *chunk() const { return chunk_; }
    [[nodiscard]] std::uint32_t offset() const { return offset_; } // of the first byte in the chunk
    // Moves the borders inside the chunk; false (and no change) if they would leave it.
    bool set_bounds(std::uint32_t offset, std::uint32_t length);
    void reset();
    // For the port that takes the chunk over: forgets it without giving it back.
    std::byte *detach();

private:
    std::shared_ptr<PortIo> owner_;
    std::byte *chunk_ = nullptr;
    std::uint32_t offset_ = 0, length_ = 0;
};

// A port as the run time sees it. Any thread may call anything; XskPort is the real one, tests have
// one in memory.
class PortIo {
public:
    enum class Wait { ready, timeout, closed };

    virtual ~PortIo() = default;
    virtual Wait wait(std::chrono::milliseconds limit) = 0;
    virtual std::optional<Frame> receive() = 0; // does not wait
    virtual std::optional<Frame>
    allocate() = 0; // a frame of length 0 for a downcall without a packet
    bool send(Frame frame) EXCLUDES(later_mutex_); // false: closed, or no room in time; the frame
                                                   // is consumed
    // The same, but where a Batch of this thread lives the frame is kept until another one is sent,
    // or any thread flushes, and so long the thread can have it back: to say more with it. Whether
    // it is sent in the end is then not told.
    bool send_later(Frame frame) EXCLUDES(later_mutex_);
    std::optional<Frame> take_back() EXCLUDES(later_mutex_);
    // Hands over what a Batch of any thread has kept back.
    void flush() EXCLUDES(later_mutex_);
    virtual void close() = 0; // wakes wait(); later sends fail
    // What the kernel tells without a packet, in a ring of its own: the next record's length and
    // its bytes in the room given; 0: nothing is there. wait() wakes for these too. One thread at a
    // time.
    virtual std::size_t receive_notice(std::span<std::byte>) { return 0; }
    [[nodiscard]] virtual bool closed() const = 0;
    [[nodiscard]] virtual std::uint32_t frames() const = 0;
    // What sluiced needs to take the port over after its restart; -1 if there is none.
    [[nodiscard]] virtual int memory_fd() const = 0;
    [[nodiscard]] virtual int namespace_fd() const = 0;

    // While it lives, what its thread sends by this port waits for more: one system call takes up
    // to send_batch frames. Its thread calls flush() before it waits for anything.
    static constexpr std::uint32_t send_batch = 32;
    class Batch {
    public:
        explicit Batch(PortIo &port) : port_(port) { batching_ = &port; }
        ~Batch() {
            batching_ = nullptr;
            port_.flush();
        }
        Batch(const Batch &) = delete;
        Batch &operator=(const Batch &) = delete;

    private:
        PortIo &port_;
    };

protected:
    [[nodiscard]] bool batches() const { return batching_ == this; } // one of this thread lives

    friend class Frame;
    virtual void give_back(std::byte *chunk) = 0;
    virtual bool transmit(Frame frame) = 0; // as send()
    virtual void transmit_now() {}          // what transmit() keeps for a Batch

private:
    Mutex later_mutex_; // held while the frame is sent, so that no other overtakes it
    std::optional<Frame> later_ GUARDED_BY(later_mutex_);
    static inline thread_local const PortIo *batching_ = nullptr;
};

} // namespace sluice::xsk
