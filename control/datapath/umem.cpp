// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "datapath/port_device.h"

namespace sluice::datapath {
namespace {

// The size can never change: a host that shrank the file would make sluiced fault on its own
// mapping.
constexpr int needed_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

} // namespace

Result<Umem> Umem::make(std::uint32_t frames) {
    Fd memfd(memfd_create("sluice-umem", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memfd) return Error{errno, "create a port's memory"};
    if (frames == 0 || ftruncate(memfd.get(), off_t(frames) * DP_FRAME_BYTES) != 0)
        return Error{frames == 0 ? EINVAL : errno, "size a port's memory"};
    if (fcntl(memfd.get(), F_ADD_SEALS, needed_seals) != 0)
        return Error{errno, "seal a port's memory"};
    return adopt(std::move(memfd));
}

Result<Umem> Umem::adopt(Fd memfd) {
    const int seals = fcntl(memfd.get(), F_GET_SEALS);
    if (seals < 0 || (seals & needed_seals) != needed_seals)
        return Error{EINVAL, "take over a port's memory: it is not sealed"};
    struct stat st {};
    if (fstat(memfd.get(), &st) != 0) return Error{errno, "take over a port's memory"};
    const auto frames = std::uint64_t(st.st_size) / DP_FRAME_BYTES;
    if (st.st_size == 0 || st.st_size % DP_FRAME_BYTES != 0 || frames > UINT32_MAX)
        return Error{EINVAL, "take over a port's memory: it is not a whole number of frames"};
    void *base =
        mmap(nullptr, std::size_t(st.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
    if (base == MAP_FAILED) return Error{errno, "map a port's memory"};
    Umem umem;
    umem.memfd_ = std::move(memfd);
    umem.base_ = static_cast<std::byte *>(base);
    umem.frames_ = std::uint32_t(frames);
    return umem;
}

Umem::Umem(Umem &&other) noexcept
    : memfd_(std::move(other.memfd_)), base_(std::exchange(other.base_, nullptr)),
      frames_(std::exchange(other.frames_, 0)) {}

Umem &Umem::operator=(Umem &&other) noexcept {
    std::swap(memfd_, other.memfd_);
    std::swap(base_, other.base_);
    std::swap(frames_, other.frames_);
    return *this;
}

Umem::~Umem() {
    if (base_ != nullptr) munmap(base_, std::size_t(frames_) * DP_FRAME_BYTES);
}

} // namespace sluice::datapath
