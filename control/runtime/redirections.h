// SPDX-License-Identifier: Apache-2.0
// What a callout made of a connect request, on its way to the kernel, and what it attached to it.
#pragma once

#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/guid.h"
#include "shared/redirect.h"
#include "sluice/fwp.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

// Pool memory of a driver that became the engine's; goes as ExFreePool frees it.
struct RedirectContext {
    struct Free {
        void operator()(void *memory) const { std::free(memory); }
    };
    Guid provider; // of the handle
    std::unique_ptr<void, Free> memory;
    std::size_t bytes = 0;
};
using SharedContext = std::shared_ptr<const RedirectContext>;

// The contexts of redirections that are in force or were so lately, by redirection: the kernel's
// number of it, which is the ticket of the question that its connection began with.
class RedirectContexts {
public:
    using Key = std::pair<std::uint32_t, std::uint64_t>; // compartment, redirection

    void keep(Key key, SharedContext context) EXCLUDES(mutex_);
    void drop(Key key, const SharedContext &context) EXCLUDES(mutex_); // it was not told after all
    void ended(Key key) EXCLUDES(mutex_);
    void all_ended(std::uint32_t compartment) EXCLUDES(mutex_); // its data plane is gone
    // Null: none of this provider is here.
    [[nodiscard]] SharedContext find(Key key, const Guid &provider) const EXCLUDES(mutex_);
    [[nodiscard]] std::size_t count() const EXCLUDES(mutex_);

private:
    mutable Mutex mutex_;
    std::multimap<Key, SharedContext> contexts_ GUARDED_BY(mutex_);
};

struct Redirection {
    dp_redirect_request request{}; // context_offset and piece are the sender's
    RedirectContexts::Key key;
    SharedContext context; // null: none
};

// The records that a connection carries, as a callout may ask about them: by a number, while
// somebody has this object.
class RedirectRecords {
public:
    struct Open {
        Open(RedirectRecords &all, const dp_redirect_record &carried, std::uint32_t where);
        ~Open();
        Open(const Open &) = delete;
        Open &operator=(const Open &) = delete;
        [[nodiscard]] HANDLE handle() const { return reinterpret_cast<HANDLE>(number); }

        RedirectRecords &registry;
        const dp_redirect_record record;
        const std::uint32_t compartment;
        std::uintptr_t number = 0;
        Mutex mutex;
        std::vector<SharedContext> lent GUARDED_BY(mutex); // their memory was handed out
    };

    // `carried` has hops.
    std::shared_ptr<Open> open(const dp_redirect_record &carried, std::uint32_t compartment)
        EXCLUDES(mutex_);
    // FwpsQueryConnectionRedirectState0; provider null: of a handle that is not there.
    FWPS_CONNECTION_REDIRECT_STATE state(HANDLE records, const Guid *provider,
                                         const RedirectContexts &contexts, void **context)
        EXCLUDES(mutex_);
    // FwpsQueryConnectionSioFormatRedirectRecords0.
    NTSTATUS sio_format(HANDLE records, void *out, std::size_t bytes, std::size_t *needed)
        EXCLUDES(mutex_);

private:
    std::shared_ptr<Open> find(HANDLE records) EXCLUDES(mutex_);

    Mutex mutex_;
    std::uintptr_t last_ GUARDED_BY(mutex_) = 0;
    std::map<std::uintptr_t, std::weak_ptr<Open>> open_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
