// SPDX-License-Identifier: Apache-2.0
// A suspended operation that somebody owns.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "classification.hpp"

namespace sluice {

// What a callout decided about flows that it had pended. Completing asks the callout again, in the
// completing thread, and later policy changes ask once more; both find the verdict here. The
// oldest are forgotten first, after which the lambda is asked itself.
class Decisions {
public:
    // A question is a flow and the filter that asks: two filters may name one callout.
    using Question = std::pair<UINT64, UINT64>;

    void remember(Question question, Verdict verdict) {
        std::lock_guard lock(mutex_);
        if (!verdicts_.insert_or_assign(question, verdict).second) return;
        order_.push_back(question);
        if (order_.size() <= kept) return;
        verdicts_.erase(order_.front());
        order_.pop_front();
    }
    std::optional<Verdict> recall(Question question) {
        std::lock_guard lock(mutex_);
        const auto found = verdicts_.find(question);
        if (found == verdicts_.end()) return std::nullopt;
        return found->second;
    }

private:
    static constexpr std::size_t kept = 65536;
    std::mutex mutex_;
    std::map<Question, Verdict> verdicts_;
    std::deque<Question> order_;
};

// Behind a Callout and every Hold it gave out; lives until the last of them is gone.
struct CalloutState : std::enable_shared_from_this<CalloutState> {
    std::function<Verdict(Classification &)> classify;
    std::function<NTSTATUS(FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER3 &)> notify;
    std::function<void(UINT16 layer, UINT32 callout, UINT64 context)> flow_delete;
    Decisions decisions;

    // Never throws: whatever goes wrong, the answer is block.
    Verdict ask(Classification &question) noexcept {
        try {
            if (question.reauthorizing()) {
                if (const auto decided =
                        decisions.recall({question.flow(), question.filter().filterId}))
                    return *decided;
            }
            const Verdict verdict = classify(question);
            return question.pended_ ? pended() : verdict;
        } catch (...) {
            return question.pended_ ? pended() : block();
        }
    }
};

// Move-only. Complete it from any thread; a hold that is dropped blocks.
class Hold {
public:
    Hold(std::shared_ptr<CalloutState> callout, UINT64 flow, UINT64 filter, HANDLE context) noexcept
        : callout_(std::move(callout)), flow_(flow), filter_(filter), context_(context) {}
    Hold(Hold &&other) noexcept
        : callout_(std::move(other.callout_)), flow_(other.flow_), filter_(other.filter_),
          context_(std::exchange(other.context_, nullptr)) {}
    Hold &operator=(Hold &&other) noexcept {
        if (this == &other) return *this;
        complete(block());
        callout_ = std::move(other.callout_);
        flow_ = other.flow_;
        filter_ = other.filter_;
        context_ = std::exchange(other.context_, nullptr);
        return *this;
    }
    ~Hold() { complete(block()); }

    // Consumes the hold; without effect on one that is used up.
    void complete(Verdict verdict) noexcept {
        const HANDLE context = std::exchange(context_, nullptr);
        if (context == nullptr) return;
        try {
            callout_->decisions.remember({flow_, filter_}, verdict);
        } catch (...) { // out of memory: the lambda is asked again and cannot pend, which blocks
        }
        FwpsCompleteOperation0(context, nullptr);
    }
    // Leaves the operation suspended for someone else to end: an administrator, its deadline.
    HANDLE release() noexcept { return std::exchange(context_, nullptr); }

    UINT64 flow() const noexcept { return flow_; }
    explicit operator bool() const noexcept { return context_ != nullptr; }

private:
    std::shared_ptr<CalloutState> callout_;
    UINT64 flow_, filter_;
    HANDLE context_;
};

inline Hold Classification::pend() {
    if (!has(FWPS_METADATA_FIELD_COMPLETION_HANDLE | FWPS_METADATA_FIELD_FLOW_HANDLE)) {
        throw Error(STATUS_FWP_CANNOT_PEND, "pend");
    }
    HANDLE context = nullptr;
    check(FwpsPendOperation0(metadata_.completionHandle, &context), "FwpsPendOperation0");
    pended_ = true;
    return Hold(callout_.shared_from_this(), metadata_.flowHandle, filter_.filterId, context);
}

} // namespace sluice
