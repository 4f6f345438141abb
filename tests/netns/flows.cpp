// SPDX-License-Identifier: Apache-2.0
// Callouts at ALE_FLOW_ESTABLISHED and DATAGRAM_DATA for test_flows.py. What they do is said by the
// words of SLUICE_FLOWS; what they saw stands line by line in the file SLUICE_FLOWS_LOG and in
// flows_counters. A datagram whose text begins with a word of `order` is an order.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <unordered_map>

#include <sluice.hpp>

using namespace sluice;

// Read by the test from this process's memory.
enum Counted { established, associated, deleted, unknown_deletes, refused, counted_end };
extern "C" {
volatile unsigned flows_counters[counted_end];
}

namespace {

std::mutex mutex;
struct Place {
    UINT64 flow;
    UINT16 layer;
    UINT32 callout;
};
std::unordered_map<UINT64, Place> live; // by context
UINT64 last_value = 0;
int log_file = -1;
std::list<std::thread> threads; // of orders; joined when the plugin is unloaded

void count(Counted what) {
    __atomic_fetch_add(&flows_counters[what], 1, __ATOMIC_RELAXED);
}

bool told(std::string_view word) {
    const char *words = std::getenv("SLUICE_FLOWS");
    return words != nullptr && std::string_view(words).find(word) != std::string_view::npos;
}

template <typename... Values>
void note(const char *format, Values... values) {
    if (log_file >= 0) dprintf(log_file, format, values...);
}

struct Registration {
    const char *name;
    const GUID *layer;
    UINT16 layer_id;
    bool established, has_contexts;
    UINT32 flags;
    UINT32 id;
};

std::array<Registration, 6> registrations{{
    {"flows_established_v4", &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4,
     FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, true, false, 0, 0},
    {"flows_established_v6", &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6,
     FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6, true, false, 0, 0},
    {"flows_datagram_v4", &FWPM_LAYER_DATAGRAM_DATA_V4, FWPS_LAYER_DATAGRAM_DATA_V4, false, true, 0,
     0},
    {"flows_datagram_v6", &FWPM_LAYER_DATAGRAM_DATA_V6, FWPS_LAYER_DATAGRAM_DATA_V6, false, true, 0,
     0},
    {"flows_known_v4", &FWPM_LAYER_DATAGRAM_DATA_V4, FWPS_LAYER_DATAGRAM_DATA_V4, false, true,
     FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, 0},
    {"flows_known_v6", &FWPM_LAYER_DATAGRAM_DATA_V6, FWPS_LAYER_DATAGRAM_DATA_V6, false, true,
     FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, 0},
}};

const char *name_of(UINT32 callout) {
    for (const auto &r : registrations)
        if (r.id == callout) return r.name;
    return "unknown";
}

void NTAPI flow_deleted(UINT16 layer, UINT32 callout, UINT64 value) {
    bool known = false;
    {
        std::lock_guard lock(mutex);
        known = live.erase(value) == 1;
    }
    count(known ? deleted : unknown_deletes);
    note("deleted %s %u %llu\n", name_of(callout), unsigned{layer}, value);
}

NTSTATUS associate(UINT64 flow, UINT16 layer, UINT32 callout) {
    UINT64 value = 0;
    {
        std::lock_guard lock(mutex);
        value = ++last_value;
        live[value] = {flow, layer, callout}; // its end may come before the call returns
    }
    const NTSTATUS status = FwpsFlowAssociateContext0(flow, layer, callout, value);
    count(NT_SUCCESS(status) ? associated : refused);
    if (NT_SUCCESS(status)) return status;
    std::lock_guard lock(mutex);
    live.erase(value);
    return status;
}

template <typename Work>
void later(Work work) {
    std::lock_guard lock(mutex);
    threads.emplace_back(std::move(work));
}

void NTAPI flow_established(const FWPS_INCOMING_VALUES0 *values,
                            const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *, const void *,
                            const FWPS_FILTER3 *, UINT64, FWPS_CLASSIFY_OUT0 *out) {
    const bool v4 = values->layerId == FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4;
    const auto value = [&](UINT32 field) { return values->incomingValue[field].value; };
    const UINT64 flow = metadata->flowHandle;
    static_assert(int{FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_DIRECTION} ==
                  int{FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_DIRECTION});
    count(established);
    if (!told("quiet"))
        note("established %s %u %u %u %s %d\n", v4 ? "v4" : "v6",
             unsigned{value(FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_PROTOCOL).uint8},
             unsigned{value(FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_LOCAL_PORT).uint16},
             unsigned{value(FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_REMOTE_PORT).uint16},
             value(FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_DIRECTION).uint32 == FWP_DIRECTION_INBOUND
                 ? "in"
                 : "out",
             flow != 0 ? 1 : 0);
    if (told("slow")) usleep(300'000);
    if (told("context"))
        for (const auto &r : registrations)
            if (r.has_contexts && (r.layer_id == FWPS_LAYER_DATAGRAM_DATA_V4) == v4)
                associate(flow, r.layer_id, r.id);
    if (told("abort"))
        later([flow] {
            usleep(200'000);
            note("abort 0x%x\n", static_cast<unsigned>(FwpsFlowAbort0(flow)));
        });
    out->actionType = told("block") ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    if (told("block")) out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

// The first bytes of the packet behind its transport header, which an outbound one still has.
std::string text_of(const FWPS_INCOMING_METADATA_VALUES0 &metadata, NET_BUFFER_LIST *list,
                    bool inbound) {
    if (list == nullptr) return {};
    NET_BUFFER *buffer = NET_BUFFER_LIST_FIRST_NB(list);
    const UINT32 skip = inbound ? 0 : metadata.transportHeaderSize;
    const UINT32 bytes = buffer->DataLength;
    std::string room(bytes, '\0');
    const void *data = NdisGetDataBuffer(buffer, bytes, room.data(), 1, 0);
    if (data == nullptr || bytes < skip) return {};
    return {static_cast<const char *>(data) + skip, bytes - skip};
}

void obey(const std::string &text, UINT64 flow, UINT16 layer, UINT32 callout) {
    if (text.rfind("remove", 0) == 0) { // while this classify is not over
        later([=] {
            note("remove 0x%x\n",
                 static_cast<unsigned>(FwpsFlowRemoveContext0(flow, layer, callout)));
        });
        usleep(300'000);
        note("classified\n");
    } else if (text.rfind("drop", 0) == 0) {
        later([=] {
            usleep(200'000);
            note("remove 0x%x\n",
                 static_cast<unsigned>(FwpsFlowRemoveContext0(flow, layer, callout)));
            note("again 0x%x\n",
                 static_cast<unsigned>(FwpsFlowRemoveContext0(flow, layer, callout)));
        });
    } else if (text.rfind("unregister", 0) == 0) {
        later([=] {
            note("unregister 0x%x\n", static_cast<unsigned>(FwpsCalloutUnregisterById0(callout)));
        });
    }
}

void NTAPI datagram(const FWPS_INCOMING_VALUES0 *values,
                    const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *data, const void *,
                    const FWPS_FILTER3 *filter, UINT64 context, FWPS_CLASSIFY_OUT0 *out) {
    static_assert(int{FWPS_FIELD_DATAGRAM_DATA_V4_DIRECTION} ==
                  int{FWPS_FIELD_DATAGRAM_DATA_V6_DIRECTION});
    const auto value = [&](UINT32 field) { return values->incomingValue[field].value; };
    const bool inbound =
        value(FWPS_FIELD_DATAGRAM_DATA_V4_DIRECTION).uint32 == FWP_DIRECTION_INBOUND;
    const UINT32 callout = filter->action.calloutId;
    const std::string text = text_of(*metadata, static_cast<NET_BUFFER_LIST *>(data), inbound);
    if (!told("quiet"))
        note("datagram %s %u %s %llu %.20s\n", name_of(callout),
             unsigned{value(FWPS_FIELD_DATAGRAM_DATA_V4_IP_PROTOCOL).uint8}, inbound ? "in" : "out",
             context,
             value(FWPS_FIELD_DATAGRAM_DATA_V4_IP_PROTOCOL).uint8 == 17 ? text.c_str() : "-");
    out->actionType = text.rfind("refuse", 0) == 0 ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    obey(text, metadata->flowHandle, values->layerId, callout);
}

NTSTATUS NTAPI notified(FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER3 *) {
    return STATUS_SUCCESS;
}

struct Flows {
    explicit Flows(Driver &driver) : device(driver, "flows") {
        if (const char *path = std::getenv("SLUICE_FLOWS_LOG"))
            log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        for (auto &r : registrations) {
            FWPS_CALLOUT3 callout{};
            callout.calloutKey = key_from_name(r.name);
            callout.flags = r.flags;
            callout.classifyFn = r.established ? flow_established : datagram;
            callout.notifyFn = notified;
            callout.flowDeleteFn = r.has_contexts ? flow_deleted : nullptr;
            check(FwpsCalloutRegister3(device.get(), &callout, &r.id), r.name);
            engine.add_callout(key_from_name(r.name), r.name, *r.layer);
        }
    }
    ~Flows() {
        for (auto &thread : threads)
            thread.join();
        std::unordered_map<UINT64, Place> left;
        if (!told("leave")) {
            std::lock_guard lock(mutex);
            left = live;
        }
        for (const auto &[value, at] : left)
            FwpsFlowRemoveContext0(at.flow, at.layer, at.callout);
        for (const auto &r : registrations)
            note("unload %s 0x%x\n", r.name,
                 static_cast<unsigned>(FwpsCalloutUnregisterById0(r.id)));
        if (!told("leave")) close(log_file);
    }
    Device device;
    Engine engine{"flows"};
};

} // namespace

SLUICE_PLUGIN(Flows);
