// SPDX-License-Identifier: Apache-2.0
#include "runtime/classifies.h"

#include <random>

namespace sluice::runtime {

namespace {

constexpr UINT64 classify_step = 0x10;
UINT64 first_classify() {
    std::random_device random;
    return (UINT64{random()} << 16 | 0x10000) + 5;
}

thread_local Classifies::Scope *innermost = nullptr;

void set_block(FWPS_CLASSIFY_OUT0 &out) {
    out.actionType = FWP_ACTION_BLOCK;
    out.rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

bool is_loopback(const dp_addr &address) {
    constexpr std::uint64_t mapped_127 = 0xFFFF7F;
    return address.hi == 0 && (address.lo == 1 || address.lo >> 24 == mapped_127);
}

// Nobody waits for what it says any more.
bool over(const Classify &classify) {
    Lock own(classify.hold->mutex);
    return classify.hold->state == Hold::State::done || classify.hold->port->io->closed();
}

} // namespace

// ---- a running classifyFn ----

Classifies::Scope::Scope(Classifies &all, About about)
    : all_(all), about_(std::move(about)), classify_(about_.again), outer_(innermost) {
    innermost = this;
    if (!classify_) return;
    Lock lock(classify_->mutex);
    classify_->running = true;
}

Classifies::Scope::~Scope() {
    innermost = outer_;
}

void Classifies::Scope::returned(Answer &answer) {
    if (!classify_) return;
    Lock lock(classify_->mutex);
    classify_->running = false;
    // FwpsCompleteClassify0 says what comes of it, perhaps it has already.
    if (classify_->suspended && !about_.again) return;
    all_.conclude_locked(*classify_, answer);
}

void Classifies::conclude(Classify &classify, Answer &answer) {
    Lock lock(classify.mutex);
    conclude_locked(classify, answer);
}

// Each copy that was handed out is applied, or nothing is permitted.
void Classifies::conclude_locked(Classify &classify, Answer &answer) {
    std::optional<Redirection> change;
    change.swap(classify.change);
    if (classify.writable) {
        ++counters_.layer_data_unapplied;
        classify.writable = nullptr;
        answer = {};
    } else if (classify.refused) {
        ++counters_.redirects_refused;
        answer = {};
    } else if (change && answer.action == DP_ACTION_PERMIT) {
        // The kernel refuses and counts such a one; the connection is not let go without it.
        if (classify.without_handle) answer = {};
        answer.redirection = std::make_shared<const Redirection>(*std::move(change));
    }
}

// ---- handles ----

NTSTATUS Classifies::acquire(const void *context, UINT32 flags, UINT64 *handle) {
    if (!context || !handle) return STATUS_FWP_NULL_POINTER;
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    Scope *scope = innermost;
    while (scope && scope != context)
        scope = scope->outer_;
    if (!scope) return STATUS_INVALID_PARAMETER;
    if (!scope->classify_) {
        auto made = std::make_shared<Classify>();
        const Scope::About &about = scope->about_;
        made->hold = about.hold;
        made->filter = about.filter;
        made->redirect_layer = about.upcall.redirects() || about.upcall.binds();
        made->may_redirect =
            made->redirect_layer && (about.upcall.header.rights & DP_RIGHT_ACTION_WRITE) != 0;
        made->requests = about.requests;
        made->bind_requests = about.bind_requests;
        made->records = about.records;
        scope->classify_ = std::move(made);
    }
    Lock lock(mutex_);
    UINT64 &number = numbers_[scope->classify_.get()];
    if (number == 0) {
        last_ = last_ ? last_ + classify_step : first_classify();
        number = last_;
        handles_out_[number].classify = scope->classify_;
    }
    ++handles_out_[number].references;
    *handle = number;
    return STATUS_SUCCESS;
}

void Classifies::release(UINT64 handle) {
    std::shared_ptr<Classify> last; // goes without the lock
    Lock lock(mutex_);
    const auto at = handles_out_.find(handle);
    if (at == handles_out_.end()) {
        ++counters_.stale_classify_handles;
        return;
    }
    if (--at->second.references > 0) return;
    last = std::move(at->second.classify);
    numbers_.erase(last.get());
    handles_out_.erase(at);
}

std::shared_ptr<Classify> Classifies::find(UINT64 handle) {
    Lock lock(mutex_);
    const auto at = handles_out_.find(handle);
    return at == handles_out_.end() ? nullptr : at->second.classify;
}

// ---- pending ----

NTSTATUS Classifies::pend(UINT64 handle, UINT64 filter, UINT32 flags, FWPS_CLASSIFY_OUT0 *out) {
    if (!out) return STATUS_FWP_NULL_POINTER;
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    const auto classify = find(handle);
    if (!classify) return STATUS_INVALID_HANDLE;
    if (filter != classify->filter) return STATUS_FWP_FILTER_NOT_FOUND;
    {
        Lock lock(classify->mutex);
        if (!classify->may_redirect || !classify->running || classify->suspended)
            return STATUS_FWP_CANNOT_PEND;
        const NTSTATUS status = holds_.suspend(classify->hold, &classify->context);
        if (status != STATUS_SUCCESS) return status;
        classify->suspended = true;
    }
    set_block(*out);
    Lock lock(mutex_);
    Held &held = handles_out_[handle]; // its caller may release its own at any time
    if (!held.classify) held.classify = classify;
    numbers_[classify.get()] = handle;
    ++held.references;
    return STATUS_SUCCESS;
}

Classifies::Suspended Classifies::take(UINT64 handle) {
    const auto classify = find(handle);
    HANDLE context = nullptr;
    if (classify) {
        Lock lock(classify->mutex);
        std::swap(context, classify->context);
    }
    if (!context) {
        ++counters_.stale_completions;
        return {};
    }
    auto hold = holds_.consume(context);
    release(handle); // the suspension's own
    return {classify, std::move(hold)};
}

// ---- the request ----

NTSTATUS Classifies::writable(UINT64 handle, UINT64 filter, UINT32 flags, PVOID *data,
                              FWPS_CLASSIFY_OUT0 *out) {
    if (!data) return STATUS_FWP_NULL_POINTER;
    if (flags != 0) return STATUS_FWP_INVALID_FLAGS;
    const auto classify = find(handle);
    if (!classify) return STATUS_INVALID_HANDLE;
    if (filter != classify->filter) return STATUS_FWP_FILTER_NOT_FOUND;
    if (!classify->requests && !classify->bind_requests) return STATUS_FWP_INCOMPATIBLE_LAYER;
    if (!classify->may_redirect) return STATUS_ACCESS_DENIED;
    Lock lock(classify->mutex);
    if (classify->writable) return STATUS_FWP_IN_USE;
    const bool open = classify->running || classify->context;
    if (!open || over(*classify)) return STATUS_FWP_TCPIP_NOT_READY;
    if (classify->requests)
        classify->writable = classify->requests->add_copy();
    else
        classify->writable = classify->bind_requests->add_copy();
    *data = classify->writable;
    if (out) set_block(*out);
    return STATUS_SUCCESS;
}

void Classifies::apply(UINT64 handle, PVOID data, UINT32 flags) {
    const auto classify = find(handle);
    if (!classify || !data) {
        ++counters_.stale_applies;
        return;
    }
    Lock lock(classify->mutex);
    if (classify->writable != data) {
        ++counters_.stale_applies;
        return;
    }
    classify->writable = nullptr;
    if (classify->requests)
        read(*classify, *static_cast<const FWPS_CONNECT_REQUEST0 *>(data), flags);
    else
        read(*classify, *static_cast<const FWPS_BIND_REQUEST0 *>(data), flags);
}

// What was made of the copy, compared with what the callout was shown.
void Classifies::read(Classify &classify, const FWPS_CONNECT_REQUEST0 &request, UINT32 flags) {
    const FWPS_CONNECT_REQUEST0 &shown = *classify.requests->shown();
    const bool v6 = classify.requests->v6();
    auto context = std::make_shared<RedirectContext>();
    context->memory.reset(request.localRedirectContext); // the engine's from here on
    context->bytes = request.localRedirectContextSize;
    classify.change.reset();
    const auto remote = from_sockaddr(request.remoteAddressAndPort, v6);
    const auto local = from_sockaddr(request.localAddressAndPort, v6);
    const auto local_before = from_sockaddr(shown.localAddressAndPort, v6);
    const bool whole =
        context->memory ? context->bytes <= DP_REDIRECT_CONTEXT_MAX : context->bytes == 0;
    classify.refused = !remote || !local || !(*local == *local_before) || !whole ||
                       (flags & ~FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS) != 0;
    const bool changed = !remote || !(*remote == *from_sockaddr(shown.remoteAddressAndPort, v6)) ||
                         request.localRedirectHandle != shown.localRedirectHandle ||
                         request.localRedirectTargetPID != shown.localRedirectTargetPID ||
                         context->memory;
    if (classify.refused || !changed) return;
    Redirection &change = classify.change.emplace();
    const Hold &hold = *classify.hold;
    dp_redirect_version &version = change.request.version;
    version.remote = remote->address;
    version.remote_port = remote->port;
    version.flags = (flags & FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS)
                        ? DP_REDIRECT_REAUTHORIZE
                        : 0;
    version.target_pid = request.localRedirectTargetPID;
    version.handle = RedirectHandles::on_wire(request.localRedirectHandle, hold.port->host_id);
    change.request.learn_ms = classify.learn_ms;
    change.key = {hold.port->compartment, hold.upcall.redirection()};
    const HANDLE handle = request.localRedirectHandle;
    const auto own = handles_.find(handle);
    classify.without_handle =
        handle ? !own && handle != shown.localRedirectHandle : is_loopback(remote->address);
    if (classify.without_handle) return;
    if (!context->memory || context->bytes == 0) return;
    if (own) context->provider = own->provider;
    change.request.context_bytes = static_cast<__u32>(context->bytes);
    change.context = std::move(context);
}

// The kernel reads the new local end where a connect request has its remote one.
void Classifies::read(Classify &classify, const FWPS_BIND_REQUEST0 &request, UINT32 flags) {
    const bool v6 = classify.bind_requests->v6();
    const auto local = from_sockaddr(request.localAddressAndPort, v6);
    classify.change.reset();
    classify.refused =
        !local || (flags & ~FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS) != 0;
    if (classify.refused) return;
    const FWPS_BIND_REQUEST0 &shown = *classify.bind_requests->shown();
    if (*local == *from_sockaddr(shown.localAddressAndPort, v6)) return;
    Redirection &change = classify.change.emplace();
    change.request.version.remote = local->address;
    change.request.version.remote_port = local->port;
    change.request.learn_ms = classify.learn_ms;
    change.key = {classify.hold->port->compartment, classify.hold->upcall.header.ticket};
}

NTSTATUS Classifies::learn(UINT64 handle, UINT32 milliseconds) {
    const auto classify = find(handle);
    if (!classify) return STATUS_INVALID_HANDLE;
    if (!classify->redirect_layer) return STATUS_FWP_INCOMPATIBLE_LAYER;
    Lock lock(classify->mutex);
    classify->learn_ms = milliseconds;
    return STATUS_SUCCESS;
}

} // namespace sluice::runtime
