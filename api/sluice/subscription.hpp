// SPDX-License-Identifier: Apache-2.0
// Callbacks about filters and net events for as long as the object lives. They run on a thread of
// the library, one after the other; exceptions end in them. The engine must outlive the object.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "engine.hpp"

namespace sluice {

namespace detail {

// The C callbacks get the lambda as their context, so its place must not change.
template <typename Shown>
struct Listener {
    std::function<void(const Shown &)> tell;
    static VOID NTAPI call(VOID *context, const Shown *shown) {
        try {
            static_cast<Listener *>(context)->tell(*shown);
        } catch (...) { // nothing may cross into C
        }
    }
};

} // namespace detail

class FilterChanges {
public:
    using Tell = std::function<void(const FWPM_FILTER_CHANGE0 &)>;
    FilterChanges(Engine &engine, Tell tell, FWPM_FILTER_ENUM_TEMPLATE0 *limits = nullptr)
        : engine_(engine.get()), listener_(new Listener{std::move(tell)}) {
        const FWPM_FILTER_SUBSCRIPTION0 wanted{
            limits, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE,
            GUID{}};
        check(FwpmFilterSubscribeChanges0(engine_, &wanted, Listener::call, listener_.get(),
                                          &handle_),
              "FwpmFilterSubscribeChanges0");
    }
    // Waits for a call that runs, unless this is that call.
    ~FilterChanges() { FwpmFilterUnsubscribeChanges0(engine_, handle_); }
    FilterChanges(const FilterChanges &) = delete;
    FilterChanges &operator=(const FilterChanges &) = delete;

private:
    using Listener = detail::Listener<FWPM_FILTER_CHANGE0>;
    HANDLE engine_, handle_ = nullptr;
    std::unique_ptr<Listener> listener_;
};

class NetEvents {
public:
    using Tell = std::function<void(const FWPM_NET_EVENT3 &)>;
    NetEvents(Engine &engine, Tell tell, FWPM_NET_EVENT_ENUM_TEMPLATE0 *limits = nullptr)
        : engine_(engine.get()), listener_(new Listener{std::move(tell)}) {
        const FWPM_NET_EVENT_SUBSCRIPTION0 wanted{limits, 0, GUID{}};
        check(FwpmNetEventSubscribe2(engine_, &wanted, Listener::call, listener_.get(), &handle_),
              "FwpmNetEventSubscribe2");
    }
    ~NetEvents() { FwpmNetEventUnsubscribe0(engine_, handle_); }
    NetEvents(const NetEvents &) = delete;
    NetEvents &operator=(const NetEvents &) = delete;

private:
    using Listener = detail::Listener<FWPM_NET_EVENT3>;
    HANDLE engine_, handle_ = nullptr;
    std::unique_ptr<Listener> listener_;
};

} // namespace sluice
