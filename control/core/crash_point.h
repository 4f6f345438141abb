// SPDX-License-Identifier: Apache-2.0
// Death at a chosen write, for tests of what a commit leaves behind. Every write that a commit
// makes, into a map of the kernel or into the store, calls crash_point() first. With
// SLUICE_DIE_AT_WRITE=N in the environment the process kills itself (SIGKILL) at its N-th call, as
// a power cut would; without it a call costs one comparison. The variable is read at the first
// call. One thread.
#pragma once

namespace sluice {

void crash_point();

} // namespace sluice
