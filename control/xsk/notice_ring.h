// SPDX-License-Identifier: Apache-2.0
// The reading end of a BPF ring buffer whose descriptor sluiced passed. Needs no bpf() call:
//
//   page 0            how far we have read, ours to write
//   page 1            how far the kernel has written
//   behind them       the data, in which a record may go round the end
//
// A record is eight bytes of header (length with the bits busy and discard; a word of the kernel's)
// and its bytes, rounded up to eight. One thread at a time reads.
#pragma once

#include "xsk/ring.h"

namespace sluice::xsk {

class NoticeRing {
public:
    // bytes: of the data, a power of two and whole pages, as the map was made.
    static Result<NoticeRing> open(Fd ring, std::uint32_t bytes);

    // Copies the next record into `room` and takes it out of the ring. Its length, which may be
    // more than `room` has: then it is gone and nothing was copied. 0: nothing is there, or what is
    // next is still being written, or the ring contradicts itself (broken()).
    std::size_t receive(std::span<std::byte> room);
    // The kernel never makes such a ring. What was in it is skipped.
    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] int fd() const { return ring_.get(); } // readable when there is a record

private:
    NoticeRing(Fd ring, Mapping read, Mapping written, std::uint32_t bytes);
    void copy(std::uint64_t at, std::span<std::byte> to) const;

    Fd ring_;
    Mapping read_, written_;
    std::uint32_t bytes_;
    std::size_t page_;
    bool broken_ = false;
};

} // namespace sluice::xsk
