// SPDX-License-Identifier: Apache-2.0
// Objects in messages that the control channel takes.
#pragma once

#include <vector>

#include "protocol/sluice.pb.h"

namespace sluice::cli {

inline constexpr std::size_t piece_bytes = 64 * 1024;

// At least one piece; none larger than piece_bytes unless it is one object. The order stays.
// Objects are moved, not copied: there may be a hundred thousand.
std::vector<protocol::Objects> in_pieces(protocol::Objects objects);
protocol::Objects together(std::vector<protocol::Objects> pieces);
std::size_t object_count(const protocol::Objects &objects);

} // namespace sluice::cli
