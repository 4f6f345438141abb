// SPDX-License-Identifier: Apache-2.0
#include "runtime/redirections.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace sluice::runtime {

namespace {

constexpr std::uintptr_t first_record = 0x5001, record_step = 0x10;

std::span<const dp_redirect_hop> hops_of(const dp_redirect_record &record) {
    return {record.hop, std::min<std::size_t>(record.hops, DP_RECORD_HOPS_MAX)};
}

bool is_of(const dp_redirect_hop &hop, const Guid &provider) {
    static_assert(sizeof hop.provider == sizeof provider);
    return std::memcmp(hop.provider, &provider, sizeof provider) == 0;
}

} // namespace

// ---- contexts ----

// More than the kernel has redirections cannot be in force: the oldest goes.
void RedirectContexts::keep(Key key, SharedContext context) {
    Lock lock(mutex_);
    if (contexts_.size() >= DP_REDIRECTS_MAX) contexts_.erase(contexts_.begin());
    contexts_.emplace(key, std::move(context));
}

void RedirectContexts::drop(Key key, const SharedContext &context) {
    Lock lock(mutex_);
    const auto [first, last] = contexts_.equal_range(key);
    const auto at =
        std::find_if(first, last, [&](const auto &kept) { return kept.second == context; });
    if (at != last) contexts_.erase(at);
}

void RedirectContexts::ended(Key key) {
    Lock lock(mutex_);
    contexts_.erase(key);
}

void RedirectContexts::all_ended(std::uint32_t compartment) {
    Lock lock(mutex_);
    contexts_.erase(contexts_.lower_bound({compartment, 0}),
                    contexts_.upper_bound({compartment, UINT64_MAX}));
}

// The newest of the provider's: of equal keys the last is.
SharedContext RedirectContexts::find(Key key, const Guid &provider) const {
    Lock lock(mutex_);
    const auto [first, last] = contexts_.equal_range(key);
    SharedContext found;
    for (auto at = first; at != last; ++at)
        if (at->second->provider == provider) found = at->second;
    return found;
}

std::size_t RedirectContexts::count() const {
    Lock lock(mutex_);
    return contexts_.size();
}

// ---- records ----

RedirectRecords::Open::Open(RedirectRecords &all, const dp_redirect_record &carried,
                            std::uint32_t where)
    : registry(all), record(carried), compartment(where) {}

RedirectRecords::Open::~Open() {
    Lock lock(registry.mutex_);
    registry.open_.erase(number);
}

std::shared_ptr<RedirectRecords::Open> RedirectRecords::open(const dp_redirect_record &carried,
                                                             std::uint32_t compartment) {
    auto made = std::make_shared<Open>(*this, carried, compartment);
    Lock lock(mutex_);
    last_ = last_ ? last_ + record_step : first_record;
    made->number = last_;
    open_[last_] = made;
    return made;
}

std::shared_ptr<RedirectRecords::Open> RedirectRecords::find(HANDLE records) {
    Lock lock(mutex_);
    const auto at = open_.find(reinterpret_cast<std::uintptr_t>(records));
    return at == open_.end() ? nullptr : at->second.lock();
}

FWPS_CONNECTION_REDIRECT_STATE RedirectRecords::state(HANDLE records, const Guid *provider,
                                                      const RedirectContexts &contexts,
                                                      void **context) {
    if (context) *context = nullptr;
    const auto open = find(records);
    if (!open) return FWPS_CONNECTION_NOT_REDIRECTED;
    const auto hops = hops_of(open->record);
    if (hops.empty()) return FWPS_CONNECTION_NOT_REDIRECTED;
    if (!provider) return FWPS_CONNECTION_REDIRECTED_BY_OTHER;
    const auto own = std::find_if(hops.rbegin(), hops.rend(),
                                  [&](const auto &hop) { return is_of(hop, *provider); });
    if (own == hops.rend()) return FWPS_CONNECTION_REDIRECTED_BY_OTHER;
    const SharedContext kept = contexts.find({open->compartment, own->redirect}, *provider);
    if (context && kept) {
        *context = kept->memory.get();
        Lock lock(open->mutex);
        open->lent.push_back(kept);
    }
    return own == hops.rbegin() ? FWPS_CONNECTION_REDIRECTED_BY_SELF
                                : FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF;
}

NTSTATUS RedirectRecords::sio_format(HANDLE records, void *out, std::size_t bytes,
                                     std::size_t *needed) {
    if (!records) return STATUS_NOT_FOUND;
    const auto open = find(records);
    if (!open) return STATUS_INVALID_HANDLE;
    if (needed) *needed = sizeof open->record;
    if (!out || bytes < sizeof open->record) return STATUS_BUFFER_TOO_SMALL;
    std::memcpy(out, &open->record, sizeof open->record);
    return STATUS_SUCCESS;
}

} // namespace sluice::runtime
