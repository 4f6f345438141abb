// SPDX-License-Identifier: Apache-2.0
// The shared memory of an AF_XDP socket that sluiced made and passed to us: the UMEM and four
// rings.
//
//                    ┌────────── fill: chunks the kernel may write ─────────┐
//      free list ────┤                                                      ▼
//     (FrameStore)   │                                                   kernel
//          ▲         └──▶ Frame (ours) ──▶ tx: chunks to send ─────────────▶│
//          │                ▲                                               │
//          │                └───────────── rx: chunks with a packet ◀───────┤
//          └────────────────────────────── completion: chunks sent ◀────────┘
//
// A chunk is in exactly one of these places. `fill` and `rx` are used under one lock, `tx` and
// `completion` under another; the free list has its own, taken last.
#pragma once

#include <span>

#include <sys/mman.h>
#include <xdp/xsk.h>

#include "core/fd.h"
#include "core/result.h"

namespace sluice::xsk {

// A mapping that ends with its owner.
class Mapping {
public:
    Mapping() = default;
    static Result<Mapping> make(int fd, std::size_t bytes, std::uint64_t offset, const char *what,
                                int protection = PROT_READ | PROT_WRITE);
    Mapping(Mapping &&other) noexcept;
    Mapping &operator=(Mapping &&other) noexcept;
    ~Mapping();
    [[nodiscard]] std::span<std::byte> bytes() const { return {base_, bytes_}; }

private:
    std::byte *base_ = nullptr;
    std::size_t bytes_ = 0;
};

struct Rings {
    xsk_ring_prod fill{}, tx{};
    xsk_ring_cons completion{}, rx{};
    Mapping fill_memory, tx_memory, completion_memory, rx_memory;

    // `entries`: of each ring, as sluiced set them before it passed the socket.
    static Result<Rings> map(int socket, std::uint32_t entries);
};

} // namespace sluice::xsk
