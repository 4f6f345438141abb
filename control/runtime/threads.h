// SPDX-License-Identifier: Apache-2.0
// The library's threads run inside somebody's program: its signals are for its own threads.
#pragma once

#include <csignal>
#include <initializer_list>

namespace sluice::runtime {

inline void block_signals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
        sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

} // namespace sluice::runtime
