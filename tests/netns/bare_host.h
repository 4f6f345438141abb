// SPDX-License-Identifier: Apache-2.0
// The host's half of a port in its barest form: four rings, one frame each way, no library.
#pragma once

#include <cerrno>
#include <cstring>
#include <linux/capability.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "datapath/port_device.h"

namespace sluice::datapath {

// The host's half of the port, as a process without any right: it only has the descriptors.
class BareHost {
public:
    BareHost(int xsk, const PortHandover &port, std::byte *memory) : xsk_(xsk), memory_(memory) {
        xdp_mmap_offsets at{};
        socklen_t length = sizeof at;
        getsockopt(xsk_, SOL_XDP, XDP_MMAP_OFFSETS, &at, &length);
        fill_ = map(XDP_UMEM_PGOFF_FILL_RING, at.fr.desc + port.ring * sizeof(std::uint64_t));
        rx_ = map(XDP_PGOFF_RX_RING, at.rx.desc + port.ring * sizeof(xdp_desc));
        tx_ = map(XDP_PGOFF_TX_RING, at.tx.desc + port.ring * sizeof(xdp_desc));
        map(XDP_UMEM_PGOFF_COMPLETION_RING, at.cr.desc + port.ring * sizeof(std::uint64_t));
        offsets_ = at;
    }

    int bind_to(std::uint32_t ifindex) const {
        sockaddr_xdp address{};
        address.sxdp_family = AF_XDP;
        address.sxdp_flags = XDP_COPY;
        address.sxdp_ifindex = ifindex;
        const auto *to = reinterpret_cast<const sockaddr *>(&address);
        return bind(xsk_, to, sizeof address) == 0 ? 0 : errno;
    }

    void post_frame(std::uint64_t address) {
        auto *slots = reinterpret_cast<std::uint64_t *>(fill_ + offsets_.fr.desc);
        slots[0] = address;
        publish(fill_ + offsets_.fr.producer);
    }

    std::string receive() { // empty: nothing came in three seconds
        pollfd wait{xsk_, POLLIN, 0};
        if (poll(&wait, 1, 3000) != 1) return {};
        const auto *slots = reinterpret_cast<const xdp_desc *>(rx_ + offsets_.rx.desc);
        return {reinterpret_cast<const char *>(memory_) + slots[0].addr, slots[0].len};
    }

    bool transmit(std::uint64_t address, const std::string &frame) {
        std::memcpy(memory_ + address, frame.data(), frame.size());
        auto *slots = reinterpret_cast<xdp_desc *>(tx_ + offsets_.tx.desc);
        slots[0] = {address, std::uint32_t(frame.size()), 0};
        publish(tx_ + offsets_.tx.producer);
        return sendto(xsk_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0 || errno == EAGAIN;
    }

private:
    std::byte *map(off_t offset, std::size_t bytes) const {
        void *at =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, xsk_, offset);
        return at == MAP_FAILED ? nullptr : static_cast<std::byte *>(at);
    }
    static void publish(std::byte *producer) {
        __atomic_store_n(reinterpret_cast<std::uint32_t *>(producer), 1, __ATOMIC_RELEASE);
    }
    int xsk_;
    std::byte *memory_;
    std::byte *fill_ = nullptr, *rx_ = nullptr, *tx_ = nullptr;
    xdp_mmap_offsets offsets_{};
};

inline void drop_every_right() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(101);
    if (syscall(SYS_capset, &header, none) != 0) _exit(102);
}

} // namespace sluice::datapath
