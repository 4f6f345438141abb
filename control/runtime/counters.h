// SPDX-License-Identifier: Apache-2.0
// What the run time counts about itself: things that went wrong without an error to return.
// Relaxed, any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace sluice::runtime {

struct Counters {
    using Count = std::atomic<std::uint64_t>;

    Count upcalls{0};            // CLASSIFY frames
    Count answered_ahead{0};     // shown again as injected, before the kernel asked
    Count queued{0};             // QUEUED frames
    Count unexpected_frames{0};  // no upcall of ours, or one that contradicts itself
    Count unknown_filters{0};    // upcall for a filter that no table has: answered by block
    Count unknown_callouts{0};   // callout gone meanwhile: the filter's own outcome
    Count callout_exceptions{0}; // classifyFn threw: block
    Count invalid_answers{0};    // an action that is none: block
    Count pend_mismatches{0};    // pended, but did not return BLOCK with ABSORB
    Count holds{0};
    Count holds_completed{0};
    Count holds_ordered{0};          // ended by an administrator
    Count holds_superseded{0};       // the kernel asked about the flow anew
    Count holds_dropped{0};          // with their port, or with their callout
    Count stale_completions{0};      // FwpsCompleteOperation0 with a context that is not open
    Count stale_orders{0};           // administrator's decision about an unknown ticket
    Count redirects{0};              // connections given another destination, as far as we say
    Count redirects_refused{0};      // what was applied cannot be done: block
    Count layer_data_unapplied{0};   // a writable copy that was never applied: block
    Count stale_applies{0};          // FwpsApplyModifiedLayerData0 of no copy that is handed out
    Count stale_classify_handles{0}; // FwpsReleaseClassifyHandle0 of none
    Count released{0};               // queued packets sent on
    Count discarded{0};              // queued packets given up
    Count sends_failed{0};           // port closed, or no room
    Count handoffs{0};               // a slow classify gave the port to another thread
    Count thread_limit{0};           // a hand-off found no thread left
    Count foreign_devices{0};        // IoDeleteDevice of no live device
    Count injected{0};               // packets given to the kernel by injection
    Count foreign_lists{0};          // a list handed back to a function that it is not from
    Count freed_twice{0};            // a list, buffer or piece that its callout had freed before
    Count used_after_free{0};        // handed to another function after that
    Count lists_left{0};             // not freed, or referenced, when their driver was unloaded
    Count contexts_made{0};          // flow contexts
    Count contexts_deleted{0};       // calls of flowDeleteFn
    Count holds_decided{0};          // by the kernel or sluiced, without us
    Count questions_unread{0};       // decided so before they were read: not asked
    Count notices{0};                // records of the rings of notices
    Count reconnects{0};
    Count net_events_lost{0}; // a subscriber fell too far behind

    [[nodiscard]] std::string text() const; // name=value of those that are not 0
};

// Bytes of packets that were copied in user space, by why; a packet that is shown and sent on as it
// came is in none of these. Of the process.
struct CopiedBytes {
    using Count = std::atomic<std::uint64_t>;
    Count clone{0};      // FwpsAllocateClone..., since too many frames were kept already
    Count deep_clone{0}; // asked for
    Count reference{0};  // FwpsReference..., as with clones
    Count answer{0};     // sent on while somebody keeps the frame that it came in
    Count injection{0};  // into the frame that goes down
};
CopiedBytes &copied_bytes();

} // namespace sluice::runtime
