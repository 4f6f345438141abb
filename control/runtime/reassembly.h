// SPDX-License-Identifier: Apache-2.0
// One packet of the fragments that a chain of lists holds. Whatever the fragments say, it has no
// more than 65535 bytes, and no byte of it comes from two of them.
#pragma once

#include "runtime/net_buffer.h"

namespace sluice::runtime {

// The pooled list over a header of its own and the fragments' bytes, whose lists it keeps; its data
// begins `back_fill` bytes behind the start of its first piece. Null: the chain is no complete
// packet of that family, or has bytes twice. Throws std::bad_alloc.
BufferList *reassemble(ADDRESS_FAMILY family, NET_BUFFER_LIST *chain, std::uint32_t back_fill);

} // namespace sluice::runtime
