// SPDX-License-Identifier: Apache-2.0
// Classify handles: a classify as its callout holds it, also when classifyFn has returned, and what
// it makes of a connect or bind request meanwhile.
//
// A Classify exists once its callout has asked for a handle. It is the callout's until the last
// reference is released; what it says counts once, when classifyFn returns or, if it was pended, in
// FwpsCompleteClassify0. Lock order: Classify, then Hold.
#pragma once

#include <map>
#include <memory>

#include "runtime/bind_requests.h"
#include "runtime/connect_requests.h"
#include "runtime/holds.h"
#include "runtime/redirect_handles.h"

namespace sluice::runtime {

struct Classify {
    std::shared_ptr<Hold> hold; // null where the callout is told, not asked
    std::uint64_t filter = 0;
    bool may_redirect = false; // the layer, and the right to
    bool redirect_layer = false;
    std::shared_ptr<ConnectRequests> requests;            // null at other layers
    std::shared_ptr<BindRequests> bind_requests;          // the same
    std::shared_ptr<const RedirectRecords::Open> records; // kept with it; null: none

    Mutex mutex;
    bool running GUARDED_BY(mutex) = true;      // classifyFn has not returned
    bool suspended GUARDED_BY(mutex) = false;   // it was pended once
    HANDLE context GUARDED_BY(mutex) = nullptr; // of the suspension, until it is completed
    void *writable GUARDED_BY(mutex) = nullptr; // a request: handed out, not applied
    std::uint32_t learn_ms GUARDED_BY(mutex) = 0;
    bool refused GUARDED_BY(mutex) = false; // what was applied cannot be done
    std::optional<Redirection> change GUARDED_BY(mutex);
    bool without_handle GUARDED_BY(mutex) = false; // `change` names none that is there, but should
};

class Classifies {
public:
    Classifies(Holds &holds, RedirectHandles &handles, Counters &counters)
        : holds_(holds), handles_(handles), counters_(counters) {}

    // classifyFn runs on this thread; its classifyContext is this object's address.
    class Scope {
    public:
        struct About {
            std::shared_ptr<Hold> hold;
            const Upcall &upcall;
            std::uint64_t filter;
            std::shared_ptr<ConnectRequests> requests;
            std::shared_ptr<BindRequests> bind_requests;
            std::shared_ptr<const RedirectRecords::Open> records;
            std::shared_ptr<Classify> again; // of a classify that was pended; null: a new one
        };
        Scope(Classifies &all, About about);
        ~Scope();
        Scope(const Scope &) = delete;
        Scope &operator=(const Scope &) = delete;
        // classifyFn has returned: its answer with what it applied, or a block.
        void returned(Answer &answer);

    private:
        friend class Classifies;
        Classifies &all_;
        About about_;
        std::shared_ptr<Classify> classify_; // null: nobody has asked for a handle
        Scope *outer_;
    };

    NTSTATUS acquire(const void *context, UINT32 flags, UINT64 *handle) EXCLUDES(mutex_);
    void release(UINT64 handle) EXCLUDES(mutex_);
    NTSTATUS pend(UINT64 handle, UINT64 filter, UINT32 flags, FWPS_CLASSIFY_OUT0 *out)
        EXCLUDES(mutex_);
    // Takes a suspension out: what comes of it is the caller's. Null (and counted): none is open.
    struct Suspended {
        std::shared_ptr<Classify> classify;
        std::shared_ptr<Hold> hold;
    };
    Suspended take(UINT64 handle) EXCLUDES(mutex_);
    // The final decision of one that was taken.
    void conclude(Classify &classify, Answer &answer);
    NTSTATUS writable(UINT64 handle, UINT64 filter, UINT32 flags, PVOID *data,
                      FWPS_CLASSIFY_OUT0 *out) EXCLUDES(mutex_);
    void apply(UINT64 handle, PVOID data, UINT32 flags) EXCLUDES(mutex_);
    NTSTATUS learn(UINT64 handle, UINT32 milliseconds) EXCLUDES(mutex_);

private:
    struct Held {
        std::shared_ptr<Classify> classify;
        std::size_t references = 0;
    };
    std::shared_ptr<Classify> find(UINT64 handle) EXCLUDES(mutex_);
    void conclude_locked(Classify &classify, Answer &answer) REQUIRES(classify.mutex);
    void read(Classify &classify, const FWPS_CONNECT_REQUEST0 &request, UINT32 flags)
        REQUIRES(classify.mutex);
    static void read(Classify &classify, const FWPS_BIND_REQUEST0 &request, UINT32 flags)
        REQUIRES(classify.mutex);

    Holds &holds_;
    RedirectHandles &handles_;
    Counters &counters_;
    Mutex mutex_;
    UINT64 last_ GUARDED_BY(mutex_) = 0;
    std::map<UINT64, Held> handles_out_ GUARDED_BY(mutex_);
    std::map<const Classify *, UINT64> numbers_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
