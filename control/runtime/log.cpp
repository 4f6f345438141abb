// SPDX-License-Identifier: Apache-2.0
#include "runtime/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>

namespace sluice::runtime {

spdlog::logger &log() {
    // Never destroyed, since threads may log until the process ends; not registered, since the
    // program may use the same logging library under names of its own.
    static auto *const logger = [] {
        auto *made = new spdlog::logger("libsluice",
                                        std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        const char *level = std::getenv("SLUICE_LOG");
        made->set_level(level ? spdlog::level::from_str(level) : spdlog::level::warn);
        return made;
    }();
    return *logger;
}

} // namespace sluice::runtime
