// SPDX-License-Identifier: Apache-2.0
// A network namespace held by descriptor, and work done inside it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/fd.h"
#include "core/result.h"

namespace sluice::datapath {

class NetNs {
public:
    static Result<NetNs> current();
    static Result<NetNs> make();                    // a new nameless one, lo left down
    static Result<NetNs> from_fd(Fd fd);            // EINVAL if fd is not a network namespace
    static Result<NetNs> find(std::uint64_t inode); // by mounts, processes, threads; ENOENT: gone

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] std::uint64_t inode() const { return inode_; }   // name of its pin directory
    [[nodiscard]] std::uint64_t cookie() const { return cookie_; } // SO_NETNS_COOKIE
    [[nodiscard]] Result<Fd> dup() const;
    // Runs work with the calling thread inside the namespace and returns to where it was, also on
    // errors.
    Result<void> enter(const std::function<Result<void>()> &work) const;

private:
    Fd fd_;
    std::uint64_t inode_ = 0, cookie_ = 0;
};

} // namespace sluice::datapath
