// SPDX-License-Identifier: Apache-2.0
#include "runtime/net_buffer_tags.h"

#include <algorithm>

namespace sluice::runtime {

namespace {

void call(const BufferTags::Value &v, FWPS_NET_BUFFER_LIST_EVENT_TYPE event, NET_BUFFER_LIST *list,
          NET_BUFFER_LIST *made) {
    try {
        if (v.notify0)
            v.notify0(event, list, made, v.layer, v.context, v.tag);
        else
            (void)v.notify1(event, list, made, v.layer, v.context, v.tag);
    } catch (...) { // nobody is there to catch it
    }
}

} // namespace

BufferTags &buffer_tags() {
    static auto *const tags = new BufferTags; // outlives the threads of the program
    return *tags;
}

const void *BufferTags::Value::function() const {
    return notify0 ? reinterpret_cast<const void *>(notify0)
                   : reinterpret_cast<const void *>(notify1);
}

bool BufferTags::add(const NET_BUFFER_LIST *list, const Value &value) {
    Lock lock(mutex_);
    auto &values = values_[list];
    for (const Value &v : values)
        if (v.tag == value.tag) return false;
    values.push_back(value);
    ++count_;
    return true;
}

std::optional<UINT64> BufferTags::find(const NET_BUFFER_LIST *list, UINT64 tag) {
    for (const Value &v : of(list))
        if (v.tag == tag) return v.context;
    return std::nullopt;
}

std::vector<BufferTags::Value> BufferTags::of(const NET_BUFFER_LIST *list) {
    if (!any()) return {};
    Lock lock(mutex_);
    const auto at = values_.find(list);
    return at == values_.end() ? std::vector<Value>{} : at->second;
}

std::size_t BufferTags::remove(NET_BUFFER_LIST *list, UINT64 tag) {
    std::vector<Value> removed;
    {
        Lock lock(mutex_);
        for (auto &[at, values] : values_) {
            if (list && at != list) continue;
            const auto found = std::find_if(values.begin(), values.end(),
                                            [tag](const Value &v) { return v.tag == tag; });
            if (found == values.end()) continue;
            removed.push_back(*found);
            values.erase(found);
        }
        count_ -= removed.size();
        std::erase_if(values_, [](const auto &v) { return v.second.empty(); });
    }
    for (const Value &v : removed)
        call(v, FWPS_NET_BUFFER_LIST_CONTEXT_REMOVED, list, nullptr);
    return removed.size();
}

void BufferTags::cloned(NET_BUFFER_LIST *original, NET_BUFFER_LIST *clone) {
    for (const Value &v : of(original)) {
        if (add(clone, v)) call(v, FWPS_NET_BUFFER_LIST_CLONED_VIA_WFP_API, original, clone);
    }
}

void BufferTags::tell(NET_BUFFER_LIST *list, FWPS_NET_BUFFER_LIST_EVENT_TYPE event) {
    for (const Value &v : of(list))
        call(v, event, list, nullptr);
}

void BufferTags::ended(const NET_BUFFER_LIST *list) {
    if (!any()) return;
    std::vector<Value> removed;
    {
        Lock lock(mutex_);
        const auto at = values_.find(list);
        if (at == values_.end()) return;
        removed = std::move(at->second);
        values_.erase(at);
        count_ -= removed.size();
    }
    for (const Value &v : removed)
        call(v, FWPS_NET_BUFFER_LIST_CONTEXT_REMOVED, nullptr, nullptr);
}

std::size_t BufferTags::forget(const std::function<bool(const void *)> &gone) {
    Lock lock(mutex_);
    std::size_t forgotten = 0;
    for (auto &[list, values] : values_)
        forgotten += std::erase_if(values, [&](const Value &v) { return gone(v.function()); });
    std::erase_if(values_, [](const auto &v) { return v.second.empty(); });
    count_ -= forgotten;
    return forgotten;
}

} // namespace sluice::runtime
