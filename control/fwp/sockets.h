// SPDX-License-Identifier: Apache-2.0
// The socket controls of redirection over socket options. Nothing here needs the engine.
//
// Memory of the caller is only reached through the kernel, by way of a pipe: a pointer that is not
// one is an error and never a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sys/socket.h>

#include "sluice/wsa_functions.h"

namespace sluice::fwp {

// In place of the system calls, for tests. Set while no call is on its way.
struct SocketCalls {
    int (*get)(int, int, int, void *, socklen_t *) = ::getsockopt;
    int (*set)(int, int, int, const void *, socklen_t) = ::setsockopt;
};
SocketCalls &socket_calls();

bool copy_from_caller(const void *from, void *to, std::size_t bytes);
bool copy_to_caller(const void *from, void *to, std::size_t bytes);
bool is_callers(const void *memory, std::size_t bytes); // to read

// What a control does, once its arguments are found good.
struct SocketControl {
    int option = 0;
    std::vector<std::byte> input; // set; empty: query
    void *out = nullptr;          // the caller's
    std::size_t out_bytes = 0;
};
struct ControlResult {
    int error = 0;
    DWORD bytes = 0;
    std::vector<std::byte> output; // not yet at the caller's
};
ControlResult carry_out(int fd, const SocketControl &control);
// Brings what was queried to the caller.
void deliver(const SocketControl &control, ControlResult &result);

// ---- overlapped ----

bool has_overlapped_attribute(int fd);
// Begins it; false: no descriptor or thread is left for it.
bool begin_overlapped(int fd, SocketControl control, WSAOVERLAPPED *overlapped,
                      LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
bool in_completion_routine();

} // namespace sluice::fwp
