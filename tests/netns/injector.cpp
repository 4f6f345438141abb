// SPDX-License-Identifier: Apache-2.0
// Callouts at the layers that hand packets over one by one, "ippacket_in_v4" and so on, that do as
// INJECTOR says: "permit", "block", "again" (block, and inject a clone of what this has not
// injected yet), "ever" (of everything), "two" (as "again", but first in the name of one handle and
// then, about what that injected, of another). One JSON object a line in the file INJECTOR_LOG: of
// each layer's first packets what was shown, and each injection that did not succeed.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <list>
#include <string>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

constexpr int noted = 32; // packets of each layer, neighbours' among them

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text ? text : "";
}

enum class Way { network_in, transport_in, network_out, transport_out };

// local, remote, interface: indices of fields.
struct Layer {
    const char *name;
    const GUID &key;
    Way way;
    bool v6;
    UINT32 remote, interface;
};

#define LAYER(name, LAYER_NAME, way, family)                                                       \
    {                                                                                              \
        name, FWPM_LAYER_##LAYER_NAME##_V##family, Way::way, family == 6,                          \
            FWPS_FIELD_##LAYER_NAME##_V##family##_IP_REMOTE_ADDRESS,                               \
            FWPS_FIELD_##LAYER_NAME##_V##family##_INTERFACE_INDEX                                  \
    }
const Layer layers[] = {
    LAYER("ippacket_in_v4", INBOUND_IPPACKET, network_in, 4),
    LAYER("ippacket_in_v6", INBOUND_IPPACKET, network_in, 6),
    LAYER("ippacket_out_v4", OUTBOUND_IPPACKET, network_out, 4),
    LAYER("ippacket_out_v6", OUTBOUND_IPPACKET, network_out, 6),
    LAYER("transport_in_v4", INBOUND_TRANSPORT, transport_in, 4),
    LAYER("transport_in_v6", INBOUND_TRANSPORT, transport_in, 6),
    LAYER("transport_out_v4", OUTBOUND_TRANSPORT, transport_out, 4),
    LAYER("transport_out_v6", OUTBOUND_TRANSPORT, transport_out, 6),
    LAYER("icmp_error_in_v4", INBOUND_ICMP_ERROR, transport_in, 4),
    LAYER("icmp_error_in_v6", INBOUND_ICMP_ERROR, transport_in, 6),
    LAYER("icmp_error_out_v4", OUTBOUND_ICMP_ERROR, transport_out, 4),
    LAYER("icmp_error_out_v6", OUTBOUND_ICMP_ERROR, transport_out, 6),
};

// The injection handles that one of the two stages has.
struct Handles {
    InjectionHandle network_v4{FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET};
    InjectionHandle network_v6{FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET6};
    InjectionHandle transport{FWPS_INJECTION_TYPE_TRANSPORT};

    const InjectionHandle &of(const Layer &layer) const {
        if (layer.way == Way::transport_in || layer.way == Way::transport_out) return transport;
        return layer.v6 ? network_v6 : network_v4;
    }
};

struct Injector {
    explicit Injector(Driver &driver) : device(driver, "injector") {
        for (const Layer &layer : layers)
            callouts.emplace_back(device, engine, layer.name, layer.key,
                                  [this, &layer, shown = std::make_shared<std::atomic<int>>(0)](
                                      Classification &packet) {
                                      if (shown->fetch_add(1) < noted) show(layer, packet);
                                      return look(layer, packet);
                                  });
    }
    ~Injector() {
        if (log >= 0) close(log);
    }

    void write_down(const std::string &line) const {
        if (log >= 0 && write(log, line.data(), line.size()) < 0)
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    void show(const Layer &layer, Classification &packet) const {
        const auto &m = packet.metadata();
        const auto size = [&](UINT32 field, UINT32 value) {
            return packet.has(field) ? static_cast<int>(value) : -1;
        };
        const PacketView view(*packet.packets());
        const Bytes first = view.first(1);
        char line[400];
        std::snprintf(
            line, sizeof line,
            "{\"at\":\"%s\",\"bytes\":%u,\"first\":%d,\"ip\":%d,\"transport\":%d,"
            "\"interface\":%u,\"compartment\":%u,\"flow\":%d,\"endpoint\":%d,\"fragment\":%d,"
            "\"state\":%d%s}\n",
            layer.name, view.size(), first.empty() ? -1 : int{first[0]},
            size(FWPS_METADATA_FIELD_IP_HEADER_SIZE, m.ipHeaderSize),
            size(FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE, m.transportHeaderSize),
            packet[layer.interface].uint32, static_cast<unsigned>(m.compartmentId),
            packet.flow() != 0, packet.endpoint() != 0,
            (packet.flags() & FWP_CONDITION_FLAG_IS_FRAGMENT) != 0,
            int{one.of(layer).state(packet.packets())}, quoted(layer, packet).c_str());
        write_down(line);
    }

    static std::string quoted(const Layer &layer, const Classification &packet) {
        const auto number = [&](UINT32 field) {
            const FWP_VALUE0 &v = packet[field];
            return std::to_string(v.type == FWP_UINT8    ? v.uint8
                                  : v.type == FWP_UINT16 ? v.uint16
                                                         : UINT32(-1));
        };
        const std::string name = layer.name;
        if (name.find("icmp_error_in") == 0)
            return ",\"type\":" + number(FWPS_FIELD_INBOUND_ICMP_ERROR_V4_ICMP_TYPE) +
                   ",\"quoted\":" + number(FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_PROTOCOL) +
                   ",\"port\":" + number(FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_REMOTE_PORT);
        if (name.find("icmp_error_out") == 0)
            return ",\"type\":" + number(FWPS_FIELD_OUTBOUND_ICMP_ERROR_V4_ICMP_TYPE);
        return "";
    }

    static Destination destination(const Layer &layer, const Classification &packet) {
        Destination to{packet.endpoint(), {}};
        const FWP_VALUE0 &remote = packet[layer.remote];
        for (int i = 0; i < (layer.v6 ? 16 : 4); ++i)
            to.address.push_back(layer.v6 ? remote.byteArray16->byteArray16[i]
                                          : static_cast<UINT8>(remote.uint32 >> (24 - 8 * i)));
        return to;
    }

    Verdict again(const Layer &layer, const Handles &handles, Classification &packet) {
        const auto done = [this, &layer](NTSTATUS status) {
            if (status == STATUS_SUCCESS) return;
            write_down("{\"at\":\"" + std::string(layer.name) +
                       "\",\"status\":" + std::to_string(static_cast<UINT32>(status)) + "}\n");
        };
        try {
            inject(layer, handles.of(layer), packet, done);
        } catch (const Error &e) {
            done(e.status());
        }
        return absorbed();
    }

    static void inject(const Layer &layer, const InjectionHandle &handle, Classification &packet,
                       const Injected &done) {
        switch (layer.way) {
        case Way::network_out:
            handle.send_packet(ClonedPacket(*packet.packets()), done);
            break;
        case Way::transport_out:
            handle.send(ClonedPacket(*packet.packets()), destination(layer, packet), done);
            break;
        case Way::network_in: {
            ClonedPacket clone = ClonedPacket::from_ip_header(packet);
            const NTSTATUS status = FwpsInjectNetworkReceiveAsync0(
                handle.get(), nullptr, 0, UNSPECIFIED_COMPARTMENT_ID,
                packet[layer.interface].uint32, 0, clone.get(), completed, nullptr);
            check(status, "FwpsInjectNetworkReceiveAsync0");
            (void)clone.release();
            break;
        }
        case Way::transport_in:
            handle.receive(ClonedPacket::from_ip_header(packet), 0, done);
            break;
        }
    }

    static VOID NTAPI completed(VOID *, NET_BUFFER_LIST *list, BOOLEAN) {
        FwpsFreeCloneNetBufferList0(list, 0);
    }

    Verdict look(const Layer &layer, Classification &packet) {
        if (way == "permit") return permit();
        if (way == "block") return block();
        if (way == "ever" || !one.of(layer).knows(packet.packets()))
            return again(layer, one, packet);
        if (way == "two" && !two.of(layer).knows(packet.packets()))
            return again(layer, two, packet);
        return permit();
    }

    const std::string way = setting("INJECTOR");
    const int log = open(setting("INJECTOR_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    Device device;
    Engine engine{"injector"};
    Handles one, two;
    std::list<Callout> callouts;
};

} // namespace

SLUICE_PLUGIN(Injector);
