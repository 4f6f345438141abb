// SPDX-License-Identifier: Apache-2.0
#include "fwp/enumerations.h"

namespace sluice::fwp {

Enumerations &enumerations() {
    static auto *const instance = new Enumerations; // as the engine: never destroyed
    return *instance;
}

HANDLE Enumerations::add(HANDLE session, Kind kind, std::shared_ptr<const void> objects,
                         std::size_t count) {
    Lock lock(mutex_);
    last_ += 0x10;
    all_.emplace(last_, Snapshot{session, kind, std::move(objects), count});
    return reinterpret_cast<HANDLE>(last_);
}

Enumerations::Snapshot *Enumerations::find(HANDLE session, HANDLE handle, Kind kind) {
    const auto at = all_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (at == all_.end() || at->second.session != session || at->second.kind != kind)
        return nullptr;
    return &at->second;
}

NTSTATUS Enumerations::remove(HANDLE session, HANDLE handle, Kind kind) {
    Lock lock(mutex_);
    if (!find(session, handle, kind)) return STATUS_INVALID_HANDLE;
    all_.erase(reinterpret_cast<std::uintptr_t>(handle));
    return STATUS_SUCCESS;
}

void Enumerations::end_session(HANDLE session) {
    Lock lock(mutex_);
    std::erase_if(all_, [&](const auto &one) { return one.second.session == session; });
}

} // namespace sluice::fwp
