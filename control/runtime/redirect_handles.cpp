// SPDX-License-Identifier: Apache-2.0
#include "runtime/redirect_handles.h"

#include <random>

namespace sluice::runtime {

namespace {

// Spread, odd and above any small mistake; each process begins elsewhere, so that the handle of one
// is no number of another's.
constexpr std::uintptr_t redirect_step = 0x10;
constexpr std::uintptr_t foreign = std::uintptr_t{1} << 63; // other hosts', as they are shown
constexpr std::uint32_t nobodys = UINT32_MAX;               // a number that is never given

std::uintptr_t base() {
    static const std::uintptr_t value = [] {
        std::random_device random;
        return (std::uintptr_t{random()} << 24 | 0x1000000) + 3;
    }();
    return value;
}

std::uint32_t number_of(HANDLE handle) {
    const auto value = reinterpret_cast<std::uintptr_t>(handle);
    if (value <= base() || (value - base()) % redirect_step != 0) return nobodys;
    const std::uintptr_t number = (value - base()) / redirect_step;
    return number < nobodys ? static_cast<std::uint32_t>(number) : nobodys;
}

} // namespace

HANDLE RedirectHandles::handle_of(std::uint32_t number) {
    return reinterpret_cast<HANDLE>(base() + number * redirect_step);
}

HANDLE RedirectHandles::shown(std::uint64_t wire, std::uint32_t host) {
    if (wire == 0) return nullptr;
    if (wire >> 32 == host) return handle_of(static_cast<std::uint32_t>(wire));
    return reinterpret_cast<HANDLE>(foreign | wire);
}

std::uint64_t RedirectHandles::on_wire(HANDLE handle, std::uint32_t host) {
    if (!handle) return 0;
    const auto value = reinterpret_cast<std::uintptr_t>(handle);
    if (value & foreign) return value & ~foreign;
    return std::uint64_t{host} << 32 | number_of(handle);
}

RedirectHandles::Entry RedirectHandles::add(const Guid &provider) {
    Lock lock(mutex_);
    handles_[++last_].provider = provider;
    return {last_, provider};
}

std::optional<RedirectHandles::Entry> RedirectHandles::remove(HANDLE handle) {
    Lock lock(mutex_);
    const auto at = handles_.find(number_of(handle));
    if (at == handles_.end()) return std::nullopt;
    const Entry gone{at->first, at->second.provider};
    handles_.erase(at);
    return gone;
}

std::optional<RedirectHandles::Entry> RedirectHandles::find(HANDLE handle) const {
    Lock lock(mutex_);
    const auto at = handles_.find(number_of(handle));
    if (at == handles_.end()) return std::nullopt;
    return Entry{at->first, at->second.provider};
}

std::vector<RedirectHandles::Entry> RedirectHandles::all() const {
    Lock lock(mutex_);
    std::vector<Entry> out;
    for (const auto &[number, known] : handles_)
        out.push_back({number, known.provider});
    return out;
}

bool RedirectHandles::claim_announcement(std::uint32_t number, std::uint64_t connection) {
    Lock lock(mutex_);
    const auto at = handles_.find(number);
    if (at == handles_.end() || at->second.announced == connection) return false;
    at->second.announced = connection;
    return true;
}

} // namespace sluice::runtime
