// SPDX-License-Identifier: Apache-2.0
// The device objects of this process.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "runtime/counters.h"
#include "sluice/fwp.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

class Devices {
public:
    explicit Devices(Counters &counters) : counters_(counters) {}
    Result<DEVICE_OBJECT *> make(DRIVER_OBJECT &driver, std::size_t extension_bytes,
                                 std::string name, DEVICE_TYPE type, ULONG characteristics)
        EXCLUDES(mutex_);
    void remove(DEVICE_OBJECT *device) EXCLUDES(mutex_); // not one of ours: counted
    [[nodiscard]] bool alive(const void *device) const EXCLUDES(mutex_);

private:
    // Aligned for anything and, unlike max_align_t itself, without padding that stays unset.
    struct alignas(std::max_align_t) Block {
        std::byte bytes[sizeof(std::max_align_t)];
    };
    struct Device {
        DEVICE_OBJECT object{};
        std::string name;
        std::vector<Block> extension;
    };
    Counters &counters_;
    mutable Mutex mutex_;
    std::map<const void *, std::unique_ptr<Device>> devices_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
