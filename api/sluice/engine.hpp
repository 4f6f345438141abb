// SPDX-License-Identifier: Apache-2.0
// Sessions with the engine and their transactions.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "filter.hpp"
#include "text.hpp"

namespace sluice {

// What the engine handed out: one allocation, freed with the owner.
template <typename Struct>
struct Free {
    void operator()(Struct *p) const {
        void *memory = p;
        FwpmFreeMemory0(&memory);
    }
};
template <typename Struct>
using Owned = std::unique_ptr<Struct, Free<Struct>>;

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
        if (filter.hold() == nullptr) return id;
        // A filter without the options that were asked for is not left behind.
        if (const NTSTATUS status = SluiceFilterSetHold0(handle_, id, filter.hold());
            !NT_SUCCESS(status)) {
            FwpmFilterDeleteById0(handle_, id);
            check(status, "SluiceFilterSetHold0");
        }
        return id;
    }
    void add_provider(const GUID &key, std::string_view name) {
        Text text(name);
        FWPM_PROVIDER0 provider{};
        provider.providerKey = key;
        provider.displayData.name = text.data();
        check(FwpmProviderAdd0(handle_, &provider, nullptr), "FwpmProviderAdd0");
    }
    void remove_provider(const GUID &key) {
        check(FwpmProviderDeleteByKey0(handle_, &key), "FwpmProviderDeleteByKey0");
    }
    // `data` is what callouts of filters with this context see.
    UINT64 add_provider_context(const GUID &key, std::string_view name, std::string_view data) {
        Text text(name);
        std::vector<UINT8> bytes(data.begin(), data.end());
        FWP_BYTE_BLOB blob{static_cast<UINT32>(bytes.size()), bytes.data()};
        FWPM_PROVIDER_CONTEXT0 context{};
        context.providerContextKey = key;
        context.displayData.name = text.data();
        context.type = FWPM_GENERAL_CONTEXT;
        context.dataBuffer = &blob;
        UINT64 id = 0;
        check(FwpmProviderContextAdd0(handle_, &context, nullptr, &id), "FwpmProviderContextAdd0");
        return id;
    }
    void remove_provider_context(const GUID &key) {
        check(FwpmProviderContextDeleteByKey0(handle_, &key), "FwpmProviderContextDeleteByKey0");
    }
    void remove_sublayer(const GUID &key) {
        check(FwpmSubLayerDeleteByKey0(handle_, &key), "FwpmSubLayerDeleteByKey0");
    }

    Owned<FWPM_FILTER0> filter(UINT64 id) {
        FWPM_FILTER0 *found = nullptr;
        check(FwpmFilterGetById0(handle_, id, &found), "FwpmFilterGetById0");
        return Owned<FWPM_FILTER0>(found);
    }
    // Calls `see` with each filter that meets the template, one page at a time.
    template <typename See>
    void for_each_filter(const FWPM_FILTER_ENUM_TEMPLATE0 *limits, See see) {
        HANDLE handle = nullptr;
        check(FwpmFilterCreateEnumHandle0(handle_, limits, &handle), "FwpmFilterCreateEnumHandle0");
        struct End {
            HANDLE engine, handle;
            ~End() { FwpmFilterDestroyEnumHandle0(engine, handle); }
        } end{handle_, handle};
        constexpr UINT32 page = 256;
        for (UINT32 count = page; count == page;) {
            FWPM_FILTER0 **entries = nullptr;
            check(FwpmFilterEnum0(handle_, handle, page, &entries, &count), "FwpmFilterEnum0");
            const Owned<FWPM_FILTER0 *> owned(entries);
            for (UINT32 i = 0; i < count; ++i)
                see(static_cast<const FWPM_FILTER0 &>(*entries[i]));
        }
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
