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
#include <vector>

#include "classification.hpp"

namespace sluice {

// What a callout decided about flows that it had pended. Completing asks the callout again, in the
// completing thread, and later policy changes ask once more; both find the verdict here. The
// oldest are forgotten first, after which the lambda is asked itself.
class Decisions {
public:
    // A question is a flow, or the endpoint of a bind or listen, and the filter that asks: two
    // filters may name one callout. A filter's layer has either the one or the other.
    using Question = std::pair<UINT64, UINT64>;
    static Question question_of(const Classification &asked) {
        const UINT64 flow = asked.flow();
        return {flow != 0 ? flow : asked.endpoint(), asked.filter().filterId};
    }

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

// The contexts that a callout has on flows by way of FlowContext, so that it can take them back.
class KeptContexts {
public:
    struct Place {
        UINT64 flow;
        UINT16 layer;
    };
    void add(UINT64 context, Place place) {
        std::lock_guard lock(mutex_);
        places_.emplace(context, place);
    }
    void erase(UINT64 context) {
        std::lock_guard lock(mutex_);
        places_.erase(context);
    }
    std::vector<Place> all() {
        std::lock_guard lock(mutex_);
        std::vector<Place> out;
        for (const auto &[context, place] : places_)
            out.push_back(place);
        return out;
    }

private:
    std::mutex mutex_;
    std::map<UINT64, Place> places_;
};

// Behind a Callout and every Hold it gave out; lives until the last of them is gone.
struct CalloutState : std::enable_shared_from_this<CalloutState> {
    std::function<Verdict(Classification &)> classify;
    std::function<NTSTATUS(FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER3 &)> notify;
    std::function<void(UINT16 layer, UINT32 callout, UINT64 context)> flow_delete;
    Decisions decisions;
    KeptContexts contexts;

    // Never throws: whatever goes wrong, the answer is block.
    Verdict ask(Classification &question) noexcept {
        try {
            if (question.reauthorizing()) {
                if (const auto decided = decisions.recall(Decisions::question_of(question)))
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
    Hold(std::shared_ptr<CalloutState> callout, UINT64 flow, Decisions::Question question,
         HANDLE context) noexcept
        : callout_(std::move(callout)), flow_(flow), question_(question), context_(context) {}
    Hold(Hold &&other) noexcept
        : callout_(std::move(other.callout_)), flow_(other.flow_), question_(other.question_),
          context_(std::exchange(other.context_, nullptr)) {}
    Hold &operator=(Hold &&other) noexcept {
        if (this == &other) return *this;
        complete(block());
        callout_ = std::move(other.callout_);
        flow_ = other.flow_;
        question_ = other.question_;
        context_ = std::exchange(other.context_, nullptr);
        return *this;
    }
    ~Hold() { complete(block()); }

    // Consumes the hold; without effect on one that is used up.
    void complete(Verdict verdict) noexcept {
        const HANDLE context = std::exchange(context_, nullptr);
        if (context == nullptr) return;
        try {
            callout_->decisions.remember(question_, verdict);
        } catch (...) { // out of memory: the lambda is asked again and cannot pend, which blocks
        }
        FwpsCompleteOperation0(context, nullptr);
    }
    // Leaves the operation suspended for someone else to end: an administrator, its deadline.
    HANDLE release() noexcept { return std::exchange(context_, nullptr); }

    UINT64 flow() const noexcept { return flow_; } // 0: of a bind or listen
    explicit operator bool() const noexcept { return context_ != nullptr; }

private:
    std::shared_ptr<CalloutState> callout_;
    UINT64 flow_;
    Decisions::Question question_;
    HANDLE context_;
};

inline Hold Classification::pend() {
    const Decisions::Question question = Decisions::question_of(*this);
    if (!has(FWPS_METADATA_FIELD_COMPLETION_HANDLE) || question.first == 0) {
        throw Error(STATUS_FWP_CANNOT_PEND, "pend");
    }
    HANDLE context = nullptr;
    check(FwpsPendOperation0(metadata_.completionHandle, &context), "FwpsPendOperation0");
    pended_ = true;
    return Hold(callout_.shared_from_this(), flow(), question, context);
}

} // namespace sluice
