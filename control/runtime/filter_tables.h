// SPDX-License-Identifier: Apache-2.0
// The filters that name our callouts, as sluiced last told us. The table before is kept: an upcall
// of the old generation may still be on its way.
#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "runtime/filter_object.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

class FilterTables {
public:
    using Object = std::shared_ptr<FilterObject>;
    // Waits a moment for a table on its way (after a reconnect, upcalls may be faster); null if
    // there is none.
    Object find(std::uint64_t id, std::chrono::milliseconds patience) EXCLUDES(mutex_);
    // callout_id: our run-time id by callout key. Pages with more = true are collected until the
    // last one.
    template <typename IdOf>
    void install(const protocol::FilterTable &page, IdOf callout_id) EXCLUDES(mutex_) {
        Lock lock(mutex_);
        for (const auto &f : page.filters())
            incoming_[f.id()] = keep_or_make(f, callout_id(f));
        if (!page.more()) publish();
    }
    // A filter that is about to be added: the object that notifyFn saw is the one that classifies
    // see later.
    Object announce(const protocol::Filter &filter, std::uint32_t callout_id) EXCLUDES(mutex_);
    // A filter that is in force by now.
    Object known_or_new(const protocol::Filter &filter, std::uint32_t callout_id) EXCLUDES(mutex_) {
        Lock lock(mutex_);
        return keep_or_make(filter, callout_id);
    }
    // A filter that was deleted, or whose addition was refused.
    Object withdraw(const protocol::Filter &filter, std::uint32_t callout_id) EXCLUDES(mutex_);

private:
    using Table = std::map<std::uint64_t, Object>;
    Object known(const protocol::Filter &filter) const REQUIRES(mutex_);
    Object keep_or_make(const protocol::Filter &filter, std::uint32_t callout_id) REQUIRES(mutex_);
    void publish() REQUIRES(mutex_);

    mutable Mutex mutex_;
    Condition published_;
    Table current_ GUARDED_BY(mutex_), previous_ GUARDED_BY(mutex_), incoming_ GUARDED_BY(mutex_);
    Table announced_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
