// SPDX-License-Identifier: Apache-2.0
#include "xsk/notice_ring.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sluice::xsk {

namespace {

std::uint64_t round_up(std::uint64_t bytes) {
    return (bytes + 7) & ~std::uint64_t{7};
}

} // namespace

Result<NoticeRing> NoticeRing::open(Fd ring, std::uint32_t bytes) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (bytes < page || (bytes & (bytes - 1)) != 0)
        return Error(EINVAL, "map a ring of notices of", std::to_string(bytes) + " bytes");
    auto read = Mapping::make(ring.get(), page, 0, "position in the ring of notices");
    if (!read) return read.error();
    auto written = Mapping::make(ring.get(), page + bytes, page, "ring of notices", PROT_READ);
    if (!written) return written.error();
    return NoticeRing(std::move(ring), *std::move(read), *std::move(written), bytes);
}

NoticeRing::NoticeRing(Fd ring, Mapping read, Mapping written, std::uint32_t bytes)
    : ring_(std::move(ring)), read_(std::move(read)), written_(std::move(written)), bytes_(bytes),
      page_(read_.bytes().size()) {}

std::size_t NoticeRing::receive(std::span<std::byte> room) {
    auto *position = reinterpret_cast<std::uint64_t *>(read_.bytes().data());
    const auto *end = reinterpret_cast<const std::uint64_t *>(written_.bytes().data());
    const std::byte *data = written_.bytes().data() + page_;
    for (std::uint64_t at = *position;;) {
        const std::uint64_t limit = __atomic_load_n(end, __ATOMIC_ACQUIRE);
        if (at == limit) return 0;
        const std::uint64_t there = limit - at;
        // Headers lie at multiples of eight, so one never goes round the end.
        const auto *header = reinterpret_cast<const std::uint32_t *>(data + (at & (bytes_ - 1)));
        const bool whole = there <= bytes_ && there >= BPF_RINGBUF_HDR_SZ && at % 8 == 0;
        const std::uint32_t word = whole ? __atomic_load_n(header, __ATOMIC_ACQUIRE) : 0;
        if (word & BPF_RINGBUF_BUSY_BIT) return 0;
        const std::uint32_t length = word & ~std::uint32_t(BPF_RINGBUF_DISCARD_BIT);
        const std::uint64_t taken = round_up(std::uint64_t{length} + BPF_RINGBUF_HDR_SZ);
        if (!whole || taken > there) {
            broken_ = true;
            __atomic_store_n(position, limit, __ATOMIC_RELEASE);
            return 0;
        }
        const bool wanted = !(word & BPF_RINGBUF_DISCARD_BIT) && length > 0;
        if (wanted && length <= room.size()) copy(at + BPF_RINGBUF_HDR_SZ, room.first(length));
        at += taken;
        __atomic_store_n(position, at, __ATOMIC_RELEASE);
        if (wanted) return length;
    }
}

void NoticeRing::copy(std::uint64_t at, std::span<std::byte> to) const {
    const std::byte *data = written_.bytes().data() + page_;
    const std::size_t from = at & (bytes_ - 1);
    const std::size_t first = std::min<std::size_t>(to.size(), bytes_ - from);
    std::memcpy(to.data(), data + from, first);
    std::memcpy(to.data() + first, data, to.size() - first);
}

} // namespace sluice::xsk
