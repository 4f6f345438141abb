// SPDX-License-Identifier: Apache-2.0
// The one engine of this process and the edge between C and C++.
//
// Environment, read at the first call:
//   SLUICE_SOCKET      control socket of sluiced
//   SLUICE_HOST_NAME   name in host list; the program's name by default
//   SLUICE_CONTROL_FD  a connection to it made under earlier credentials (sluice-host); taken over
//   and unset SLUICE_LOG         level of the library's lines on stderr
#pragma once

#include <new>

#include "runtime/engine.h"

namespace sluice::fwp {

// Made at the first call, never destroyed: threads of the program may be inside at exit. A Shutdown
// notice, which only supervised hosts get, is given to the process as SIGTERM.
runtime::Engine &engine();

inline NTSTATUS status_of(const Error &error) {
    if (error.ntstatus != 0) return NTSTATUS(error.ntstatus);
    if (error.code == EACCES || error.code == EPERM) return STATUS_ACCESS_DENIED;
    return STATUS_UNSUCCESSFUL;
}

// No exception crosses into C.
template <typename Body>
NTSTATUS guarded(Body &&body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return STATUS_INSUFFICIENT_RESOURCES;
    } catch (...) {
        return STATUS_UNSUCCESSFUL;
    }
}

} // namespace sluice::fwp
