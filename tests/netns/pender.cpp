// SPDX-License-Identifier: Apache-2.0
// Pends, completes, clones and injects by the functions of fwpsk.h themselves, as it is told, and
// writes down each status: one JSON object a line in the file PENDER_LOG. Each classify first tries
// what has to fail. Callouts PENDER_NAME_connect_v4 and so on; with PENDER_KEEP the engine keeps
// what is pended. Orders come one at a time over the SOCK_SEQPACKET socket PENDER_ORDERS:
//
//   do WORD...    from now on: "pend"; "clone" before it; "wait" for `go` before it; complete
//                 before the classify returns, in its thread ("inside") or in another one
//                 ("beside"); "open": answer PERMIT to what was pended; "refuse" at
//                 re-authorisation
//   go            lets those that wait go on
//   context N     the completion context of the N-th that was pended, from 0
//   complete N, complete-number X   FwpsCompleteOperation0
//   pend N        FwpsPendOperation0 with a handle whose classify has returned
//   inject N, free N                the clone
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

constexpr std::chrono::seconds patience{60}; // of "wait"
const HANDLE injection_context = reinterpret_cast<HANDLE>(0x51);

struct Place {
    const char *name;
    const GUID *key;
    UINT16 layer;
    bool v6, accept;
    int flags, remote, interface; // fields; -1: the layer has none, or nobody here needs it
};
#define BARE(word, layer, v6)                                                                      \
    { word, &FWPM_LAYER_##layer, FWPS_LAYER_##layer, v6, false, -1, -1, -1 }
#define SOCKET(word, layer, v6)                                                                    \
    { word, &FWPM_LAYER_##layer, FWPS_LAYER_##layer, v6, false, FWPS_FIELD_##layer##_FLAGS, -1, -1 }
#define FLOW(word, layer, v6, accept)                                                              \
    {                                                                                              \
        word, &FWPM_LAYER_##layer, FWPS_LAYER_##layer, v6, accept, FWPS_FIELD_##layer##_FLAGS,     \
            FWPS_FIELD_##layer##_IP_REMOTE_ADDRESS, FWPS_FIELD_##layer##_INTERFACE_INDEX           \
    }
const Place places[] = {
    FLOW("connect_v4", ALE_AUTH_CONNECT_V4, false, false),
    FLOW("connect_v6", ALE_AUTH_CONNECT_V6, true, false),
    FLOW("accept_v4", ALE_AUTH_RECV_ACCEPT_V4, false, true),
    FLOW("accept_v6", ALE_AUTH_RECV_ACCEPT_V6, true, true),
    SOCKET("listen_v4", ALE_AUTH_LISTEN_V4, false),
    SOCKET("bind_v4", ALE_RESOURCE_ASSIGNMENT_V4, false),
    BARE("established_v4", ALE_FLOW_ESTABLISHED_V4, false),
    BARE("datagram_v4", DATAGRAM_DATA_V4, false),
    BARE("release_v4", ALE_RESOURCE_RELEASE_V4, false),
    BARE("closure_v4", ALE_ENDPOINT_CLOSURE_V4, false),
};

struct Pended {
    const Place *place;
    HANDLE handle, context = nullptr;
    NET_BUFFER_LIST *clone = nullptr;
    IF_INDEX interface = 0;
    UINT64 endpoint = 0;
    UCHAR remote[16] = {}; // network order
};

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text != nullptr ? text : "";
}

std::string hex(NTSTATUS status) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%08x", static_cast<unsigned>(status));
    return text;
}

std::mutex mutex;
std::condition_variable went;
std::string words;                   // of the last `do`
unsigned goes = 0;                   // how often `go` was said
std::deque<Pended> pended_ones;      // grows only: references stay
std::list<UINT32> ids;               // of the callouts
int log_file = -1, orders_file = -1; // the latter listens
HANDLE injection = nullptr;

bool told(const std::string &word) {
    const std::lock_guard lock(mutex);
    std::istringstream all(words);
    for (std::string one; all >> one;)
        if (one == word) return true;
    return false;
}

class Note {
public:
    explicit Note(const Place &place) : line_(std::string("{\"place\":\"") + place.name + '"') {}
    void put(const char *name, UINT64 value) { text(name, std::to_string(value)); }
    void put(const char *name, NTSTATUS status) { text(name, '"' + hex(status) + '"'); }
    ~Note() {
        line_ += "}\n";
        if (write(log_file, line_.data(), line_.size()) < 0) std::perror("pender: log");
    }

private:
    void text(const char *name, const std::string &value) {
        line_ += std::string(",\"") + name + "\":" + value;
    }
    std::string line_;
};

void NTAPI injected(VOID *, NET_BUFFER_LIST *list, BOOLEAN) {
    FwpsFreeCloneNetBufferList0(list, 0);
}

NTSTATUS inject(Pended &one) {
    NET_BUFFER_LIST *const clone = std::exchange(one.clone, nullptr);
    if (clone == nullptr) return STATUS_NOT_FOUND;
    const ADDRESS_FAMILY family = one.place->v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET;
    FWPS_TRANSPORT_SEND_PARAMS0 send{};
    send.remoteAddress = one.remote;
    const NTSTATUS status =
        one.place->accept
            ? FwpsInjectTransportReceiveAsync0(injection, injection_context, nullptr, 0, family,
                                               UNSPECIFIED_COMPARTMENT_ID, one.interface, 0, clone,
                                               injected, nullptr)
            : FwpsInjectTransportSendAsync0(injection, injection_context, one.endpoint, 0, &send,
                                            family, UNSPECIFIED_COMPARTMENT_ID, clone, injected,
                                            nullptr);
    if (!NT_SUCCESS(status)) FwpsFreeCloneNetBufferList0(clone, 0);
    return status;
}

// As it is handed to injection: what comes in from the IP header on, what goes out from the
// transport header on.
NTSTATUS clone(const FWPS_INCOMING_METADATA_VALUES0 &meta, NET_BUFFER_LIST *packet, Pended &into) {
    const ULONG headers = into.place->accept ? meta.ipHeaderSize + meta.transportHeaderSize : 0;
    NTSTATUS status = NdisRetreatNetBufferListDataStart(packet, headers, 0, nullptr, nullptr);
    if (!NT_SUCCESS(status)) return status;
    status = FwpsAllocateCloneNetBufferList0(packet, nullptr, nullptr, 0, &into.clone);
    NdisAdvanceNetBufferListDataStart(packet, headers, 0, nullptr);
    return status;
}

Pended describe(const Place &place, const FWPS_INCOMING_VALUES0 &values,
                const FWPS_INCOMING_METADATA_VALUES0 &meta) {
    Pended one{&place, meta.completionHandle};
    if (place.remote < 0) return one;
    const FWP_VALUE0 &remote = values.incomingValue[place.remote].value;
    if (place.v6) {
        std::memcpy(one.remote, remote.byteArray16->byteArray16, sizeof one.remote);
    } else {
        for (int i = 0; i < 4; ++i)
            one.remote[i] = static_cast<UCHAR>(remote.uint32 >> (24 - 8 * i));
    }
    one.interface = values.incomingValue[place.interface].value.uint32;
    one.endpoint = meta.transportEndpointHandle;
    return one;
}

// What must not succeed, nor touch what it is given.
void mistakes(HANDLE handle, Note &note) {
    HANDLE const untouched = reinterpret_cast<HANDLE>(0x77);
    HANDLE context = untouched;
    note.put("null", FwpsPendOperation0(nullptr, &context));
    note.put("unknown", FwpsPendOperation0(reinterpret_cast<HANDLE>(0x3), &context));
    note.put("nowhere", FwpsPendOperation0(handle, nullptr));
    note.put("touched", UINT64{context != untouched});
}

void wait_for_go() {
    std::unique_lock lock(mutex);
    const unsigned before = goes;
    went.wait_for(lock, patience, [before] { return goes != before; });
}

NTSTATUS pend(Pended &&one, Note &note) {
    const NTSTATUS status = FwpsPendOperation0(one.handle, &one.context);
    note.put("pend", status);
    if (!NT_SUCCESS(status)) {
        note.put("context", UINT64{one.context != nullptr});
        if (one.clone) FwpsFreeCloneNetBufferList0(one.clone, 0);
        return status;
    }
    HANDLE second = nullptr;
    note.put("again", FwpsPendOperation0(one.handle, &second));
    HANDLE const context = one.context;
    {
        const std::lock_guard lock(mutex);
        pended_ones.push_back(std::move(one));
    }
    if (told("inside")) FwpsCompleteOperation0(context, nullptr);
    if (told("beside")) std::thread([context] { FwpsCompleteOperation0(context, nullptr); }).join();
    return status;
}

const Place *place_of(UINT16 layer) {
    for (const Place &place : places)
        if (place.layer == layer) return &place;
    return nullptr;
}

void NTAPI classify(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *meta,
                    VOID *data, const VOID *, const FWPS_FILTER3 *, UINT64,
                    FWPS_CLASSIFY_OUT0 *out) {
    const Place &place = *place_of(values->layerId);
    auto *const packet = static_cast<NET_BUFFER_LIST *>(data);
    const bool again = place.flags >= 0 && (values->incomingValue[place.flags].value.uint32 &
                                            FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0;
    HANDLE context = nullptr;
    const auto state = packet ? FwpsQueryPacketInjectionState0(injection, packet, &context)
                              : FWPS_PACKET_NOT_INJECTED;
    Note note(place);
    note.put("reauthorize", UINT64{again});
    note.put("bit", UINT64{FWPS_IS_METADATA_FIELD_PRESENT(
                               meta, FWPS_METADATA_FIELD_COMPLETION_HANDLE) != 0});
    note.put("handle", UINT64{meta->completionHandle != nullptr});
    note.put("packet", UINT64{packet != nullptr});
    note.put("pid", meta->processId);
    note.put("parent", UINT64{meta->parentEndpointHandle != 0});
    note.put("injected", UINT64{state});
    note.put("injection", reinterpret_cast<UINT64>(context));
    mistakes(meta->completionHandle, note);
    out->actionType = again && told("refuse") ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    if (!told("pend")) return;
    if (state == FWPS_PACKET_INJECTED_BY_SELF) {
        HANDLE none = nullptr;
        note.put("pend", FwpsPendOperation0(meta->completionHandle, &none));
        return;
    }
    Pended one = describe(place, *values, *meta);
    if (packet && !again && told("clone")) note.put("clone", clone(*meta, packet, one));
    if (!again && told("wait")) wait_for_go();
    if (!NT_SUCCESS(pend(std::move(one), note)) || told("open")) return;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

NTSTATUS NTAPI notified(FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER3 *) {
    return STATUS_SUCCESS;
}

std::string obey(const std::string &order, std::istringstream &rest) {
    std::string number;
    if (order == "do") {
        const std::lock_guard lock(mutex);
        std::getline(rest, words);
        return "done";
    }
    if (order == "go") {
        const std::lock_guard lock(mutex);
        ++goes;
        went.notify_all();
        return "gone";
    }
    rest >> number;
    const unsigned long long value = std::strtoull(number.c_str(), nullptr, 0);
    if (order == "complete-number") {
        FwpsCompleteOperation0(reinterpret_cast<HANDLE>(value), nullptr);
        return "completed";
    }
    Pended *one = nullptr;
    {
        const std::lock_guard lock(mutex);
        if (value >= pended_ones.size()) return "nothing was pended as " + number;
        one = &pended_ones[value];
    }
    if (order == "context") return std::to_string(reinterpret_cast<std::uintptr_t>(one->context));
    if (order == "complete") {
        FwpsCompleteOperation0(one->context, one->place->accept ? one->clone : nullptr);
        return "completed";
    }
    HANDLE context = nullptr;
    if (order == "pend") return hex(FwpsPendOperation0(one->handle, &context));
    if (order == "inject") return hex(inject(*one));
    if (order == "free" && one->clone) {
        FwpsFreeCloneNetBufferList0(std::exchange(one->clone, nullptr), 0);
        return "freed";
    }
    return "what?";
}

void take_orders() {
    for (;;) {
        const int peer = accept4(orders_file, nullptr, nullptr, SOCK_CLOEXEC);
        if (peer < 0) return; // shut down at the end
        char room[256];
        for (ssize_t bytes; (bytes = recv(peer, room, sizeof room, 0)) > 0;) {
            std::istringstream rest(std::string(room, static_cast<std::size_t>(bytes)));
            std::string order;
            rest >> order;
            const std::string answer = obey(order, rest);
            if (send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
        }
        close(peer);
    }
}

int listener(const std::string &path) {
    const int file = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (bind(file, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
        listen(file, 1) != 0)
        throw Error(STATUS_UNSUCCESSFUL, "the socket of orders");
    return file;
}

struct Pender {
    explicit Pender(Driver &driver) : device(driver, name) {
        log_file = open(setting("PENDER_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        orders_file = listener(setting("PENDER_ORDERS"));
        check(
            FwpsInjectionHandleCreate0(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &injection),
            "FwpsInjectionHandleCreate0");
        for (const Place &place : places) {
            const std::string callout_name = name + "_" + place.name;
            FWPS_CALLOUT3 callout{};
            callout.calloutKey = key_from_name(callout_name);
            callout.flags =
                setting("PENDER_KEEP").empty() ? 0 : SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA;
            callout.classifyFn = classify;
            callout.notifyFn = notified;
            check(FwpsCalloutRegister3(device.get(), &callout, &ids.emplace_back()), place.name);
            engine.add_callout(callout.calloutKey, callout_name, *place.key);
        }
        orders = std::thread(take_orders);
    }
    ~Pender() {
        shutdown(orders_file, SHUT_RDWR);
        orders.join();
        for (const UINT32 id : ids)
            FwpsCalloutUnregisterById0(id);
        for (const Pended &one : pended_ones)
            if (one.clone) FwpsFreeCloneNetBufferList0(one.clone, 0);
        FwpsInjectionHandleDestroy0(injection);
        close(orders_file);
        close(log_file);
    }

    const std::string name = setting("PENDER_NAME");
    Device device;
    Engine engine{name};
    std::thread orders;
};

} // namespace

SLUICE_PLUGIN(Pender);
