// SPDX-License-Identifier: Apache-2.0
// Redirection of connections, inside a lambda or later.
#pragma once

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "classification.hpp"

namespace sluice {

// In whose name a plugin redirects to local processes. One for all connections.
class RedirectHandle {
public:
    explicit RedirectHandle(const GUID &provider) {
        check(FwpsRedirectHandleCreate0(&provider, 0, &handle_), "FwpsRedirectHandleCreate0");
    }
    ~RedirectHandle() { FwpsRedirectHandleDestroy0(handle_); }
    RedirectHandle(const RedirectHandle &) = delete;
    RedirectHandle &operator=(const RedirectHandle &) = delete;

    HANDLE get() const noexcept { return handle_; }
    // What it has to do with the redirections behind this connection; context: of the self states.
    FWPS_CONNECTION_REDIRECT_STATE state(const Classification &connection,
                                         void **context = nullptr) const noexcept {
        const bool carries = connection.has(FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE);
        return FwpsQueryConnectionRedirectState0(
            carries ? connection.metadata().redirectRecords : nullptr, handle_, context);
    }
    // It was redirected in this name already: let it pass.
    bool knows(const Classification &connection) const noexcept {
        const auto s = state(connection);
        return s == FWPS_CONNECTION_REDIRECTED_BY_SELF ||
               s == FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF;
    }

private:
    HANDLE handle_ = nullptr;
};

// Another callout redirected this very request to a local process: its proxy's own connection will
// come by, so this one is left as it is.
inline bool redirected_locally(const FWPS_CONNECT_REQUEST0 &request) {
    for (const FWPS_CONNECT_REQUEST0 *v = &request; v; v = v->previousVersion)
        if (v->localRedirectHandle) return true;
    return false;
}

struct Redirect {
    struct sluice_sockaddr_storage remote; // of the connection's family, network order
    HANDLE handle = nullptr;               // needed for a local process
    DWORD process_id = 0;                  // that accepts; 0: whoever does
    std::vector<UINT8> context;            // that its proxy may ask for
    std::chrono::milliseconds learn{0};    // the kernel decides so by itself for so long
    bool reauthorize = false; // show the connection once more if others change what is made of it
};

struct BindRedirect {
    struct sluice_sockaddr_storage local; // of the socket's family, network order
    std::chrono::milliseconds learn{0};   // the kernel decides so by itself for so long
};

namespace detail {

// What the layer has for its request is of one kind only.
inline void expect_layer(bool right) {
    if (!right) throw Error(STATUS_FWP_INCOMPATIBLE_LAYER, "redirect");
}

inline void apply(UINT64 classify, UINT64 filter, const BindRedirect &to) {
    void *data = nullptr;
    check(FwpsAcquireWritableLayerDataPointer0(classify, filter, 0, &data, nullptr),
          "FwpsAcquireWritableLayerDataPointer0");
    static_cast<FWPS_BIND_REQUEST0 *>(data)->localAddressAndPort = to.local;
    if (to.learn.count() > 0) SluiceLearnRedirect0(classify, static_cast<UINT32>(to.learn.count()));
    FwpsApplyModifiedLayerData0(classify, data, 0);
}

inline void apply(UINT64 classify, UINT64 filter, const Redirect &to) {
    void *memory = nullptr;
    if (!to.context.empty()) {
        memory = std::malloc(to.context.size());
        if (!memory) throw Error(STATUS_INSUFFICIENT_RESOURCES, "redirect");
        std::memcpy(memory, to.context.data(), to.context.size());
    }
    void *data = nullptr;
    const NTSTATUS status =
        FwpsAcquireWritableLayerDataPointer0(classify, filter, 0, &data, nullptr);
    if (!NT_SUCCESS(status)) {
        std::free(memory);
        throw Error(status, "FwpsAcquireWritableLayerDataPointer0");
    }
    auto &request = *static_cast<FWPS_CONNECT_REQUEST0 *>(data);
    request.remoteAddressAndPort = to.remote;
    request.localRedirectHandle = to.handle;
    request.localRedirectTargetPID = to.process_id;
    request.localRedirectContext = memory;
    request.localRedirectContextSize = to.context.size();
    if (to.learn.count() > 0) SluiceLearnRedirect0(classify, static_cast<UINT32>(to.learn.count()));
    FwpsApplyModifiedLayerData0(
        classify, data, to.reauthorize ? FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS : 0);
}

// One reference on a classify.
class ClassifyHandle {
public:
    explicit ClassifyHandle(const void *context) {
        check(FwpsAcquireClassifyHandle0(const_cast<void *>(context), 0, &handle_),
              "FwpsAcquireClassifyHandle0");
    }
    ClassifyHandle(ClassifyHandle &&other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
    ClassifyHandle &operator=(ClassifyHandle &&other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~ClassifyHandle() {
        if (handle_) FwpsReleaseClassifyHandle0(handle_);
    }
    UINT64 get() const noexcept { return handle_; }

private:
    UINT64 handle_ = 0;
};

} // namespace detail

// A suspended connection or bind. Move-only; complete it from any thread, once; one that is dropped
// blocks.
class HeldRedirect {
public:
    HeldRedirect(detail::ClassifyHandle classify, UINT64 filter, bool binds) noexcept
        : classify_(std::move(classify)), filter_(filter), binds_(binds) {}
    HeldRedirect(HeldRedirect &&other) noexcept
        : classify_(std::move(other.classify_)), filter_(other.filter_), binds_(other.binds_),
          open_(std::exchange(other.open_, false)) {}
    HeldRedirect &operator=(HeldRedirect &&other) noexcept {
        if (this == &other) return *this;
        complete(block());
        classify_ = std::move(other.classify_);
        filter_ = other.filter_;
        binds_ = other.binds_;
        open_ = std::exchange(other.open_, false);
        return *this;
    }
    ~HeldRedirect() { complete(block()); }

    // Throws Error, and stays suspended, where that is not possible any more.
    void redirect(const Redirect &to) {
        if (!open_) return;
        detail::expect_layer(!binds_);
        detail::apply(classify_.get(), filter_, to);
        complete(soft_permit());
    }
    void redirect(const BindRedirect &to) {
        if (!open_) return;
        detail::expect_layer(binds_);
        detail::apply(classify_.get(), filter_, to);
        complete(soft_permit());
    }
    void complete(Verdict verdict) noexcept {
        if (!std::exchange(open_, false)) return;
        FWPS_CLASSIFY_OUT0 out{};
        out.actionType = verdict.action;
        out.rights = verdict.final ? 0 : FWPS_RIGHT_ACTION_WRITE;
        FwpsCompleteClassify0(classify_.get(), 0, &out);
    }
    explicit operator bool() const noexcept { return open_; }

private:
    detail::ClassifyHandle classify_;
    UINT64 filter_;
    bool binds_;
    bool open_ = true;
};

inline Verdict Classification::redirect(const BindRedirect &to) {
    detail::expect_layer(redirects_bind());
    const detail::ClassifyHandle classify(context_);
    detail::apply(classify.get(), filter_.filterId, to);
    return soft_permit();
}

inline Verdict Classification::redirect(const Redirect &to) {
    detail::expect_layer(redirects());
    const detail::ClassifyHandle classify(context_);
    detail::apply(classify.get(), filter_.filterId, to);
    return soft_permit();
}

inline HeldRedirect Classification::pend_redirect() {
    detail::ClassifyHandle classify(context_);
    FWPS_CLASSIFY_OUT0 out = so_far_; // the lambda's verdict says it
    check(FwpsPendClassify0(classify.get(), filter_.filterId, 0, &out), "FwpsPendClassify0");
    pended_ = true;
    return HeldRedirect(std::move(classify), filter_.filterId, redirects_bind());
}

} // namespace sluice
