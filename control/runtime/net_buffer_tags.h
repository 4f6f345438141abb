// SPDX-License-Identifier: Apache-2.0
// What callouts have put on lists: a value under a tag of theirs, and a function that is told what
// becomes of the list. A clone has what its original had. No lock is held in a callback, and each
// value is told once that it is removed.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "sluice/fwp.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

class BufferTags {
public:
    struct Value {
        UINT64 tag = 0, context = 0;
        UINT16 layer = 0;
        FWPS_NET_BUFFER_LIST_NOTIFY_FN0 notify0 = nullptr; // one of the two
        FWPS_NET_BUFFER_LIST_NOTIFY_FN1 notify1 = nullptr;
        [[nodiscard]] const void *function() const;
    };

    UINT64 next_tag() { return last_tag_.fetch_add(1, std::memory_order_relaxed) + 1; }
    bool is_tag(UINT64 tag) const { return tag != 0 && tag <= last_tag_.load(); }
    bool add(const NET_BUFFER_LIST *list, const Value &value) EXCLUDES(mutex_); // false: has one
    std::optional<UINT64> find(const NET_BUFFER_LIST *list, UINT64 tag) EXCLUDES(mutex_);
    // Null list: from all. The number removed.
    std::size_t remove(NET_BUFFER_LIST *list, UINT64 tag) EXCLUDES(mutex_);
    void cloned(NET_BUFFER_LIST *original, NET_BUFFER_LIST *clone) EXCLUDES(mutex_);
    void tell(NET_BUFFER_LIST *list, FWPS_NET_BUFFER_LIST_EVENT_TYPE event) EXCLUDES(mutex_);
    void ended(const NET_BUFFER_LIST *list) EXCLUDES(mutex_); // its values are removed
    // Without telling: the functions are gone. The number removed.
    std::size_t forget(const std::function<bool(const void *function)> &gone) EXCLUDES(mutex_);
    // Whether any list has a value: what is asked for each packet.
    [[nodiscard]] bool any() const { return count_.load(std::memory_order_relaxed) != 0; }

private:
    std::vector<Value> of(const NET_BUFFER_LIST *list) EXCLUDES(mutex_);

    std::atomic<UINT64> last_tag_{0};
    std::atomic<std::size_t> count_{0};
    Mutex mutex_;
    std::map<const NET_BUFFER_LIST *, std::vector<Value>> values_ GUARDED_BY(mutex_);
};

BufferTags &buffer_tags();

} // namespace sluice::runtime
