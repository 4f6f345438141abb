// SPDX-License-Identifier: Apache-2.0
#include "runtime/callouts.h"

#include <algorithm>

namespace sluice::runtime {

namespace {
// The callouts whose callbacks this thread is in: unregistering one of them would wait for itself.
thread_local std::vector<const CalloutEntry *> inside_here;
} // namespace

Callouts::Call::Call(Callouts &registry, std::shared_ptr<CalloutEntry> entry)
    : registry_(&registry), entry_(std::move(entry)) {
    inside_here.push_back(entry_.get());
}

Callouts::Call::Call(Call &&other) noexcept
    : registry_(other.registry_), entry_(std::move(other.entry_)) {}

Callouts::Call::~Call() {
    if (!entry_) return;
    const auto at = std::find(inside_here.rbegin(), inside_here.rend(), entry_.get());
    if (at != inside_here.rend()) inside_here.erase(std::next(at).base());
    registry_->leave(*entry_);
}

Result<std::shared_ptr<CalloutEntry>> Callouts::add(const CalloutSpec &spec, const void *driver) {
    auto entry = std::make_shared<CalloutEntry>();
    entry->spec = spec;
    entry->driver = driver;
    std::visit(
        [&](const auto &c) {
            entry->key = guid_of(c.calloutKey);
            entry->flags = c.flags;
            entry->has_flow_delete = c.flowDeleteFn != nullptr;
        },
        spec);
    Lock lock(mutex_);
    entry->id = id_of_locked(entry->key);
    if (!by_id_.emplace(entry->id, entry).second)
        return Error::status(std::uint32_t(STATUS_FWP_ALREADY_EXISTS), "register callout",
                             entry->key.text());
    return entry;
}

std::uint32_t Callouts::id_of_locked(const Guid &key) {
    return ids_.emplace(key, static_cast<std::uint32_t>(ids_.size() + 1)).first->second;
}

std::uint32_t Callouts::id_of(const Guid &key) {
    Lock lock(mutex_);
    return id_of_locked(key);
}

Guid Callouts::key_of(std::uint32_t id) const {
    Lock lock(mutex_);
    for (const auto &[key, known] : ids_)
        if (known == id) return key;
    return {};
}

std::optional<Callouts::Call> Callouts::enter(std::uint32_t id) {
    Lock lock(mutex_);
    const auto at = by_id_.find(id);
    if (at == by_id_.end() || at->second->leaving) return std::nullopt;
    ++at->second->inside;
    return Call(*this, at->second);
}

void Callouts::leave(CalloutEntry &entry) {
    Lock lock(mutex_);
    if (--entry.inside == 0 && entry.leaving) left_.notify_all();
}

std::shared_ptr<CalloutEntry> Callouts::find(const Guid &key) const {
    Lock lock(mutex_);
    const auto id = ids_.find(key);
    if (id == ids_.end()) return nullptr;
    const auto at = by_id_.find(id->second);
    return at == by_id_.end() ? nullptr : at->second;
}

std::shared_ptr<CalloutEntry> Callouts::find(std::uint32_t id) const {
    Lock lock(mutex_);
    const auto at = by_id_.find(id);
    return at == by_id_.end() ? nullptr : at->second;
}

std::vector<std::shared_ptr<CalloutEntry>> Callouts::all() const {
    Lock lock(mutex_);
    std::vector<std::shared_ptr<CalloutEntry>> out;
    for (const auto &[id, entry] : by_id_)
        if (!entry->leaving) out.push_back(entry);
    return out;
}

bool Callouts::claim_announcement(CalloutEntry &entry, std::uint64_t connection) {
    Lock lock(mutex_);
    if (entry.announced == connection) return false;
    entry.announced = connection;
    return true;
}

Result<std::shared_ptr<CalloutEntry>> Callouts::begin_remove(std::uint32_t id) {
    Lock lock(mutex_);
    const auto at = by_id_.find(id);
    if (at == by_id_.end())
        return Error::status(std::uint32_t(STATUS_FWP_CALLOUT_NOT_FOUND), "unregister callout",
                             std::to_string(id));
    const auto &entry = at->second;
    const bool own =
        std::find(inside_here.begin(), inside_here.end(), entry.get()) != inside_here.end();
    if (entry->leaving || own)
        return Error::status(std::uint32_t(STATUS_FWP_IN_USE), "unregister callout",
                             std::to_string(id));
    entry->leaving = true;
    return entry;
}

Result<std::shared_ptr<CalloutEntry>> Callouts::begin_remove(const Guid &key) {
    std::uint32_t id = 0;
    {
        Lock lock(mutex_);
        const auto at = ids_.find(key);
        if (at != ids_.end()) id = at->second;
    }
    return begin_remove(id);
}

void Callouts::finish_remove(const std::shared_ptr<CalloutEntry> &entry) {
    Lock lock(mutex_);
    while (entry->inside > 0)
        left_.wait(lock);
    by_id_.erase(entry->id);
}

} // namespace sluice::runtime
