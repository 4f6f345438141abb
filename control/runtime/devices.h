// SPDX-License-Identifier: Apache-2.0
// The device objects of this process.
#pragma once

#include <map>
#include <cstddef>
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
    struct Device {
        DEVICE_OBJECT object{};
        std::string name;
        std::vector<std::max_align_t> extension;
    };
    Counters &counters_;
    mutable Mutex mutex_;
    std::map<const void *, std::unique_ptr<Device>> devices_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
