// SPDX-License-Identifier: Apache-2.0
// The veth pair, UMEM and AF_XDP socket of one host in one namespace.
#pragma once

#include <memory>
#include <span>

#include "datapath/netns.h"
#include "shared/port.h"

namespace sluice::datapath {

// Sealed shared memory of `frames` chunks of DP_FRAME_BYTES.
class Umem {
public:
    static Result<Umem> make(std::uint32_t frames);
    // After a restart; checks the seals and that the size is whole frames.
    static Result<Umem> adopt(Fd memfd);
    Umem(Umem &&) noexcept;
    Umem &operator=(Umem &&) noexcept;
    ~Umem();
    [[nodiscard]] int fd() const { return memfd_.get(); }
    [[nodiscard]] std::uint32_t frames() const { return frames_; }
    [[nodiscard]] std::span<std::byte> bytes() const {
        return {base_, std::size_t(frames_) * DP_FRAME_BYTES};
    }

private:
    Umem() = default; // no memory
    Fd memfd_;
    std::byte *base_ = nullptr;
    std::uint32_t frames_ = 0;
};

// What a host needs to use its port; see PortAttach in the protocol.
struct PortHandover {
    Fd xsk; // unbound, UMEM registered, ring sizes set, in the far end's `xsks`
    std::uint32_t far_ifindex = 0, frames = 0, ring = 0;
    Fd notices; // ring buffer of DP_NOTICES_BYTES; Datapath makes it and keeps it in `notices`
};

// Owned by sluiced. Destroying it deletes the device pair unless release() was called.
class PortDevice {
public:
    struct Programs { // dp_port_down, dp_port_forward, dp_port_apply, dp_port_guard
        int down_fd = -1, forward_fd = -1, apply_fd = -1, guard_fd = -1;
    };
    static Result<std::unique_ptr<PortDevice>> make(const NetNs &ns, std::uint32_t host,
                                                    std::uint32_t frames, const Programs &programs,
                                                    PortHandover &handover);
    // A port that outlived a daemon: the host gave back memory and namespace; verified against the
    // near device.
    static Result<std::unique_ptr<PortDevice>> adopt(const NetNs &ns, std::uint32_t host, Fd memfd,
                                                     NetNs far);
    ~PortDevice();

    [[nodiscard]] std::uint32_t host() const;
    [[nodiscard]] std::uint32_t near_ifindex() const;
    [[nodiscard]] const Umem &umem() const;
    [[nodiscard]] const NetNs &far() const;
    // The custodian's way down: a packet socket on the far end, so that no queue needs to be free.
    Result<void> send_down(std::span<const std::byte> frame);
    void release(); // leave the devices (the daemon ends, the data plane stays)

private:
    struct State;
    explicit PortDevice(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace sluice::datapath
