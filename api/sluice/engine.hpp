// SPDX-License-Identifier: Apache-2.0
// Sessions with the engine and their transactions.
#pragma once

#include <string_view>

#include "error.hpp"
#include "filter.hpp"
#include "text.hpp"

namespace sluice {

class Engine {
public:
    enum class Lifetime { kept, dynamic }; // of what the session adds: past its end, or not

    explicit Engine(std::string_view name, Lifetime lifetime = Lifetime::kept) {
        Text text(name);
        FWPM_SESSION0 session{};
        session.displayData.name = text.data();
        session.flags = lifetime == Lifetime::dynamic ? FWPM_SESSION_FLAG_DYNAMIC : 0;
        check(FwpmEngineOpen0(nullptr, RPC_C_AUTHN_DEFAULT, nullptr, &session, &handle_),
              "FwpmEngineOpen0");
    }
    ~Engine() { FwpmEngineClose0(handle_); }
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    HANDLE get() const noexcept { return handle_; }

    void add_sublayer(const GUID &key, std::string_view name, UINT16 weight) {
        Text text(name);
        FWPM_SUBLAYER0 sublayer{};
        sublayer.subLayerKey = key;
        sublayer.displayData.name = text.data();
        sublayer.weight = weight;
        check(FwpmSubLayerAdd0(handle_, &sublayer, nullptr), "FwpmSubLayerAdd0");
    }

    // One that is there already is as good: it stays from the plugin's run before this one.
    UINT32 add_callout(const GUID &key, std::string_view name, const GUID &layer) {
        Text text(name);
        FWPM_CALLOUT0 callout{};
        callout.calloutKey = key;
        callout.displayData.name = text.data();
        callout.applicableLayer = layer;
        UINT32 id = 0;
        const NTSTATUS status = FwpmCalloutAdd0(handle_, &callout, nullptr, &id);
        if (status != STATUS_FWP_ALREADY_EXISTS) check(status, "FwpmCalloutAdd0");
        return id;
    }

    UINT64 add(const Filter &filter) {
        UINT64 id = 0;
        check(FwpmFilterAdd0(handle_, &filter.get(), nullptr, &id), "FwpmFilterAdd0");
        return id;
    }
    void remove_filter(UINT64 id) {
        check(FwpmFilterDeleteById0(handle_, id), "FwpmFilterDeleteById0");
    }

private:
    HANDLE handle_ = nullptr;
};

// Aborts unless committed.
class Transaction {
public:
    explicit Transaction(Engine &engine, UINT32 flags = 0) : engine_(engine.get()) {
        check(FwpmTransactionBegin0(engine_, flags), "FwpmTransactionBegin0");
    }
    ~Transaction() {
        if (open_) FwpmTransactionAbort0(engine_);
    }
    Transaction(const Transaction &) = delete;
    Transaction &operator=(const Transaction &) = delete;

    void commit() {
        open_ = false;
        check(FwpmTransactionCommit0(engine_), "FwpmTransactionCommit0");
    }

private:
    HANDLE engine_;
    bool open_ = true;
};

} // namespace sluice
