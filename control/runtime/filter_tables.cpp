// SPDX-License-Identifier: Apache-2.0
#include "runtime/filter_tables.h"

namespace sluice::runtime {

FilterTables::Object FilterTables::find(std::uint64_t id, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    Lock lock(mutex_);
    for (;;) {
        for (const Table *table : {&current_, &previous_})
            if (const auto at = table->find(id); at != table->end()) return at->second;
        if (published_.wait_until(lock, until) == std::cv_status::timeout) return nullptr;
    }
}

FilterTables::Object FilterTables::known(const protocol::Filter &filter) const {
    for (const Table *table : {&announced_, &current_, &previous_})
        if (const auto at = table->find(filter.id());
            at != table->end() && at->second->key().bytes() == filter.key())
            return at->second;
    return nullptr;
}

FilterTables::Object FilterTables::keep_or_make(const protocol::Filter &filter,
                                                std::uint32_t callout_id) {
    const Object object = known(filter);
    if (object && object->callout_id() == callout_id) return object;
    return std::make_shared<FilterObject>(filter, callout_id);
}

void FilterTables::publish() {
    previous_ = std::move(current_);
    current_ = std::move(incoming_);
    incoming_.clear();
    for (const auto &[id, object] : current_)
        announced_.erase(id);
    published_.notify_all();
}

FilterTables::Object FilterTables::announce(const protocol::Filter &filter,
                                            std::uint32_t callout_id) {
    auto object = std::make_shared<FilterObject>(filter, callout_id);
    Lock lock(mutex_);
    announced_[filter.id()] = object;
    return object;
}

FilterTables::Object FilterTables::withdraw(const protocol::Filter &filter,
                                            std::uint32_t callout_id) {
    Lock lock(mutex_);
    Object object = keep_or_make(filter, callout_id);
    announced_.erase(filter.id());
    return object;
}

} // namespace sluice::runtime
