// SPDX-License-Identifier: Apache-2.0
#include "daemon/quotas.h"

#include <algorithm>

#include "daemon/options.h"

namespace sluice::daemon {

namespace {

template <typename T>
T chosen(T option, T otherwise) {
    return option != 0 ? option : std::max<T>(otherwise, 1);
}

} // namespace

void fill_quotas(dp_host &record, const Options &options) {
    record.queue_bytes_max = options.queue_bytes_max;
    record.holds_max = chosen(options.holds_max, options.frames / 4 * 3);
    record.process_holds_max = chosen(options.process_holds_max, record.holds_max / 4);
    record.packets_max = std::max<std::uint32_t>(options.frames / 2, 1); // the others are for holds
    record.hold_bytes_max =
        chosen(options.hold_bytes_max, std::uint64_t{options.frames} / 4 * 3 * DP_FRAME_BYTES);
    record.process_bytes_max =
        chosen<std::uint64_t>(options.process_hold_bytes_max, record.hold_bytes_max / 4);
}

bool is_spent(const dp_use_key &key, const dp_use &use, bool owner_lives) {
    const bool unknown = key.id == 0 && key.start_ns == 0; // of all processes that nobody knows
    return use.holds == 0 && use.bytes == 0 && !owner_lives && !unknown;
}

} // namespace sluice::daemon
