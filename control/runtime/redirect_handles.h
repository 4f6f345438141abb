// SPDX-License-Identifier: Apache-2.0
// FwpsRedirectHandleCreate0: in whose name callouts of this process redirect. sluiced is told of
// each (engine.cpp), and it is sluiced's entry that the kernel goes by.
//
// A handle is a number that this process never uses again. On the wire it is host << 32 | number.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "core/guid.h"
#include "sluice/fwp.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

class RedirectHandles {
public:
    struct Entry {
        std::uint32_t number;
        Guid provider;
    };

    Entry add(const Guid &provider) EXCLUDES(mutex_);
    // What was told apart by the handle; nothing if there is no such one.
    std::optional<Entry> remove(HANDLE handle) EXCLUDES(mutex_);
    // Of a handle that lives.
    [[nodiscard]] std::optional<Entry> find(HANDLE handle) const EXCLUDES(mutex_);
    [[nodiscard]] std::vector<Entry> all() const EXCLUDES(mutex_);
    // True once per connection: the caller then tells sluiced.
    bool claim_announcement(std::uint32_t number, std::uint64_t connection) EXCLUDES(mutex_);

    static HANDLE handle_of(std::uint32_t number);
    // As a callout is shown the handle of a version of a request: its own, or one that no function
    // takes; NULL for none.
    static HANDLE shown(std::uint64_t wire, std::uint32_t host);
    // The other way. A handle that is none of this process becomes one that the kernel refuses.
    static std::uint64_t on_wire(HANDLE handle, std::uint32_t host);

private:
    struct Known {
        Guid provider;
        std::uint64_t announced = 0; // connection on which sluiced was told, 0: none
    };
    mutable Mutex mutex_;
    std::uint32_t last_ GUARDED_BY(mutex_) = 0;
    std::map<std::uint32_t, Known> handles_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
