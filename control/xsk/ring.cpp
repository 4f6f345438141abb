// SPDX-License-Identifier: Apache-2.0
#include "xsk/ring.h"

#include <cerrno>
#include <linux/if_xdp.h>
#include <sys/socket.h>

namespace sluice::xsk {

Result<Mapping> Mapping::make(int fd, std::size_t bytes, std::uint64_t offset, const char *what,
                              int protection) {
    void *base = ::mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE, fd,
                        static_cast<off_t>(offset));
    if (base == MAP_FAILED) return Error(errno, "map", what);
    Mapping m;
    m.base_ = static_cast<std::byte *>(base);
    m.bytes_ = bytes;
    return m;
}

Mapping::Mapping(Mapping &&other) noexcept
    : base_(std::exchange(other.base_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping &Mapping::operator=(Mapping &&other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Mapping::~Mapping() {
    if (base_) ::munmap(base_, bytes_);
}

namespace {

template <typename Ring>
Result<Mapping> map_ring(int socket, const xdp_ring_offset &at, std::uint64_t page,
                         std::uint32_t entries, std::size_t entry_bytes, const char *what,
                         Ring &ring) {
    auto memory = Mapping::make(socket, at.desc + entries * entry_bytes, page, what);
    if (!memory) return memory;
    std::byte *base = memory->bytes().data();
    ring.mask = entries - 1;
    ring.size = entries;
    ring.producer = reinterpret_cast<__u32 *>(base + at.producer);
    ring.consumer = reinterpret_cast<__u32 *>(base + at.consumer);
    ring.flags = reinterpret_cast<__u32 *>(base + at.flags);
    ring.ring = base + at.desc;
    ring.cached_prod = *ring.producer;
    // libxdp keeps a producer's view of the consumer one ring ahead, which spares an addition per
    // reserve.
    ring.cached_cons = *ring.consumer + (std::is_same_v<Ring, xsk_ring_prod> ? entries : 0);
    return memory;
}

} // namespace

Result<Rings> Rings::map(int socket, std::uint32_t entries) {
    if (entries == 0 || (entries & (entries - 1)) != 0)
        return Error(EINVAL, "map rings of", std::to_string(entries) + " entries");
    xdp_mmap_offsets offsets{};
    socklen_t length = sizeof offsets;
    if (::getsockopt(socket, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) != 0)
        return Error(errno, "read ring offsets of the port's socket");
    if (length != sizeof offsets) return Error(EPROTO, "read ring offsets of the port's socket");

    Rings r;
    auto fill = map_ring(socket, offsets.fr, XDP_UMEM_PGOFF_FILL_RING, entries, sizeof(__u64),
                         "fill ring", r.fill);
    if (!fill) return fill.error();
    auto completion = map_ring(socket, offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, entries,
                               sizeof(__u64), "completion ring", r.completion);
    if (!completion) return completion.error();
    auto rx =
        map_ring(socket, offsets.rx, XDP_PGOFF_RX_RING, entries, sizeof(xdp_desc), "rx ring", r.rx);
    if (!rx) return rx.error();
    auto tx =
        map_ring(socket, offsets.tx, XDP_PGOFF_TX_RING, entries, sizeof(xdp_desc), "tx ring", r.tx);
    if (!tx) return tx.error();
    r.fill_memory = *std::move(fill);
    r.completion_memory = *std::move(completion);
    r.rx_memory = *std::move(rx);
    r.tx_memory = *std::move(tx);
    return r;
}

} // namespace sluice::xsk
