// SPDX-License-Identifier: Apache-2.0
// Callouts at the two MAC layers, frame_in and frame_out (or FRAMER_NAME in place of frame). FRAMER
// says what they do: "permit", "block", or "inject" (block, and inject a clone; what was injected
// is permitted if this handle knows it; FRAMER_BLIND: everything is injected again). One JSON
// object a line in the file FRAMER_LOG, for each frame and each completion. FRAMER_ORDERS is a FIFO
// of lines "send INTERFACE HEX" and "receive INTERFACE HEX": frames of its own making.
// FRAMER_TWICE: the name of a second pair of callouts with a handle of its own, in the same
// process.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <list>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text ? text : "";
}

std::string text_of(const FWP_VALUE0 &mac) {
    char text[18] = "";
    if (mac.type != FWP_BYTE_ARRAY6_TYPE) return text;
    const UINT8 *m = mac.byteArray6->byteArray6;
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
                  m[5]);
    return text;
}

// A frame over memory of its own, freed when it is completed.
struct Made {
    std::vector<UINT8> bytes;
    MDL piece{};
    NET_BUFFER_LIST *list = nullptr;
};

struct Framer {
    explicit Framer(Driver &driver) : device(driver, name) {
        pair(name, handles.emplace_back(FWPS_INJECTION_TYPE_L2));
        if (const std::string twice = setting("FRAMER_TWICE"); !twice.empty())
            pair(twice, handles.emplace_back(FWPS_INJECTION_TYPE_L2));
        NET_BUFFER_LIST_POOL_PARAMETERS p{};
        p.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
        p.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
        p.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
        p.fAllocateNetBuffer = 1;
        pool = NdisAllocateNetBufferListPool(nullptr, &p);
        if (const std::string orders = setting("FRAMER_ORDERS"); !orders.empty())
            reader = std::thread([this, orders] { obey(orders); });
    }
    ~Framer() {
        if (reader.joinable()) reader.join(); // its FIFO has been closed
        callouts.clear();
        NdisFreeNetBufferListPool(pool);
        if (log >= 0) close(log);
    }

    void pair(const std::string &called, const InjectionHandle &by) {
        callouts.emplace_back(device, engine, called + "_in", FWPM_LAYER_INBOUND_MAC_FRAME_ETHERNET,
                              [this, &by](Classification &frame) { return look(frame, true, by); });
        callouts.emplace_back(
            device, engine, called + "_out", FWPM_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
            [this, &by](Classification &frame) { return look(frame, false, by); });
    }

    void write_down(const std::string &line) const {
        if (log >= 0 && write(log, line.data(), line.size()) < 0)
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    void show(const Classification &frame, bool in, int state, HANDLE context) const {
        // The fields of both layers have the same places.
        const FWP_VALUE0 &vlan = frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_VLAN_ID];
        const auto &m = frame.metadata();
        char line[512];
        std::snprintf(
            line, sizeof line,
            "{\"in\":%d,\"type\":%u,\"vlan\":%d,\"here\":\"%s\",\"local\":\"%s\",\"remote\":\"%s\","
            "\"kinds\":[%u,%u],\"interface\":%u,\"compartment\":%u,\"l2\":%u,\"header\":%u,"
            "\"length\":%u,\"size\":%u,\"state\":%d,\"context\":%u}\n",
            in, frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_ETHER_TYPE].uint16,
            vlan.type == FWP_UINT16 ? vlan.uint16 : -1,
            text_of(frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_INTERFACE_MAC_ADDRESS]).c_str(),
            text_of(frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_MAC_LOCAL_ADDRESS]).c_str(),
            text_of(frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_MAC_REMOTE_ADDRESS]).c_str(),
            frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_MAC_LOCAL_ADDRESS_TYPE].uint8,
            frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_MAC_REMOTE_ADDRESS_TYPE].uint8,
            frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_INTERFACE_INDEX].uint32,
            frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_COMPARTMENT_ID].uint32,
            frame[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_L2_FLAGS].uint32, m.ethernetMacHeaderSize,
            unsigned{m.frameLength}, PacketView(*frame.packets()).size(), state,
            static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(context)));
        write_down(line);
    }

    Verdict look(Classification &frame, bool in, const InjectionHandle &injection) {
        HANDLE context = nullptr;
        const auto state = injection.state(frame.packets(), &context);
        if (shown.fetch_add(1) < 2000) show(frame, in, state, context);
        if (way == "permit") return permit();
        if (way == "block") return block();
        if (!blind && injection.knows(frame.packets())) return soft_permit();
        if (!frame.may_write()) return proceed(); // another has taken it
        const auto done = [this](NTSTATUS status) {
            if (completed.fetch_add(1) < 2000)
                write_down("{\"status\":" + std::to_string(static_cast<unsigned>(status)) + "}\n");
        };
        auto clone = ClonedPacket::from_mac_header(frame);
        const auto mine = reinterpret_cast<HANDLE>(std::uintptr_t{77});
        if (in)
            injection.receive_frame(std::move(clone), 0, done, mine);
        else
            injection.send_frame(std::move(clone), 0, done, mine);
        return absorbed();
    }

    static VOID NTAPI over(VOID *context, NET_BUFFER_LIST *list, BOOLEAN) {
        auto *made = static_cast<Made *>(context);
        FwpsFreeNetBufferList0(list);
        delete made;
    }

    void obey(const std::string &path) {
        std::ifstream orders(path);
        for (std::string line; std::getline(orders, line);) {
            std::istringstream words(line);
            std::string verb, hex;
            IF_INDEX interface = 0;
            words >> verb >> interface >> hex;
            auto made = std::make_unique<Made>();
            for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
                made->bytes.push_back(
                    static_cast<UINT8>(std::stoul(hex.substr(i, 2), nullptr, 16)));
            made->piece.MappedSystemVa = made->piece.StartVa = made->bytes.data();
            made->piece.ByteCount = static_cast<ULONG>(made->bytes.size());
            (void)FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, &made->piece, 0,
                                                         made->bytes.size(), &made->list);
            const bool in = verb == "receive";
            const NTSTATUS status =
                in ? FwpsInjectMacReceiveAsync0(handles.front().get(), nullptr, 0,
                                                FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, interface, 0,
                                                made->list, over, made.get())
                   : FwpsInjectMacSendAsync0(handles.front().get(), nullptr, 0,
                                             FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, interface, 0,
                                             made->list, over, made.get());
            if (status == STATUS_SUCCESS)
                (void)made.release();
            else
                FwpsFreeNetBufferList0(made->list);
            write_down("{\"order\":" + std::to_string(static_cast<unsigned>(status)) + "}\n");
        }
    }

    const std::string way = setting("FRAMER");
    const std::string name = setting("FRAMER_NAME").empty() ? "frame" : setting("FRAMER_NAME");
    const bool blind = !setting("FRAMER_BLIND").empty();
    const int log = open(setting("FRAMER_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    std::atomic<unsigned> shown{0}, completed{0};
    Device device;
    Engine engine{name};
    NDIS_HANDLE pool = nullptr;
    std::list<InjectionHandle> handles;
    std::list<Callout> callouts;
    std::thread reader;
};

} // namespace

SLUICE_PLUGIN(Framer);
