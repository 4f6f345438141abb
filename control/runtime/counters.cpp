// SPDX-License-Identifier: Apache-2.0
#include "runtime/counters.h"

namespace sluice::runtime {

CopiedBytes &copied_bytes() {
    static CopiedBytes copied;
    return copied;
}

std::string Counters::text() const {
    const CopiedBytes &copied = copied_bytes();
    const struct {
        const char *name;
        const Count &count;
    } all[] = {
        {"upcalls", upcalls},
        {"answered_ahead", answered_ahead},
        {"queued", queued},
        {"unexpected_frames", unexpected_frames},
        {"unknown_filters", unknown_filters},
        {"unknown_callouts", unknown_callouts},
        {"callout_exceptions", callout_exceptions},
        {"net_events_lost", net_events_lost},
        {"invalid_answers", invalid_answers},
        {"pend_mismatches", pend_mismatches},
        {"holds", holds},
        {"holds_completed", holds_completed},
        {"holds_ordered", holds_ordered},
        {"holds_superseded", holds_superseded},
        {"holds_dropped", holds_dropped},
        {"stale_completions", stale_completions},
        {"stale_orders", stale_orders},
        {"redirects", redirects},
        {"redirects_refused", redirects_refused},
        {"layer_data_unapplied", layer_data_unapplied},
        {"stale_applies", stale_applies},
        {"stale_classify_handles", stale_classify_handles},
        {"released", released},
        {"discarded", discarded},
        {"sends_failed", sends_failed},
        {"handoffs", handoffs},
        {"thread_limit", thread_limit},
        {"injected", injected},
        {"foreign_lists", foreign_lists},
        {"freed_twice", freed_twice},
        {"used_after_free", used_after_free},
        {"lists_left", lists_left},
        {"copied_clone", copied.clone},
        {"copied_deep_clone", copied.deep_clone},
        {"copied_reference", copied.reference},
        {"copied_answer", copied.answer},
        {"copied_injection", copied.injection},
        {"foreign_devices", foreign_devices},
        {"contexts_made", contexts_made},
        {"contexts_deleted", contexts_deleted},
        {"holds_decided", holds_decided},
        {"questions_unread", questions_unread},
        {"notices", notices},
        {"reconnects", reconnects},
    };
    std::string text;
    for (const auto &c : all) {
        const auto value = c.count.load(std::memory_order_relaxed);
        if (value == 0) continue;
        if (!text.empty()) text += ' ';
        text += std::string(c.name) + '=' + std::to_string(value);
    }
    return text;
}

} // namespace sluice::runtime
