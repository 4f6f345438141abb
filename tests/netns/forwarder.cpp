// SPDX-License-Identifier: Apache-2.0
// Two callouts at IPFORWARD, forward_v4 and forward_v6, that do as FORWARDER says: "permit",
// "block", "route" (block, and inject a clone by the route), "interface" (by the interface that it
// was about to leave), "other" (by interface FORWARDER_INTERFACE), "grow" (by the route, UDP with
// 600 bytes more behind it). One JSON object a line in the file FORWARDER_LOG: for the first packet
// what was shown of it, for each injection its status.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text ? text : "";
}

struct Forwarder {
    explicit Forwarder(Driver &driver) : device(driver, "forwarder") {}
    ~Forwarder() {
        if (log >= 0) close(log);
    }

    void write_down(const std::string &line) const {
        if (log >= 0 && write(log, line.data(), line.size()) < 0)
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    void show(Classification &packet) const {
        char line[256];
        const auto at = [&](UINT32 field) { return packet[field].uint32; };
        std::snprintf(line, sizeof line,
                      "{\"layer\":%u,\"arrival\":%u,\"leaves\":%u,\"bytes\":%zu,\"source\":%u,"
                      "\"state\":%d}\n",
                      unsigned{packet.layer()}, at(FWPS_FIELD_IPFORWARD_V4_SOURCE_INTERFACE_INDEX),
                      at(FWPS_FIELD_IPFORWARD_V4_DESTINATION_INTERFACE_INDEX),
                      PacketView(*packet.packets()).size(),
                      packet.layer() == FWPS_LAYER_IPFORWARD_V4
                          ? at(FWPS_FIELD_IPFORWARD_V4_IP_SOURCE_ADDRESS)
                          : 0u,
                      int{injection.state(packet.packets())});
        write_down(line);
    }

    // For as long as it is injected the clone has a further piece.
    struct Tail {
        std::array<UINT8, 600> bytes{};
        MDL piece{};
        NET_BUFFER *buffer;
        MDL *before;
        Tail(NET_BUFFER_LIST &list, UINT8 *ip, bool is_v6)
            : buffer(NET_BUFFER_LIST_FIRST_NB(&list)) {
            piece.MappedSystemVa = bytes.data();
            piece.ByteCount = static_cast<ULONG>(bytes.size());
            before = NET_BUFFER_CURRENT_MDL(buffer);
            while (before->Next)
                before = before->Next;
            before->Next = &piece;
            NET_BUFFER_DATA_LENGTH(buffer) += piece.ByteCount;
            add(ip + (is_v6 ? 4 : 2));
            UINT8 *const udp = ip + (is_v6 ? 40 : (ip[0] & 15) * 4);
            add(udp + 4);
            udp[6] = udp[7] = 0; // computed where it has to be
        }
        ~Tail() {
            before->Next = nullptr;
            NET_BUFFER_DATA_LENGTH(buffer) -= piece.ByteCount;
        }
        void add(UINT8 *length) const {
            const std::size_t now = length[0] * 256u + length[1] + bytes.size();
            length[0] = static_cast<UINT8>(now >> 8);
            length[1] = static_cast<UINT8>(now);
        }
    };

    Verdict look(Classification &packet) {
        if (shown.fetch_add(1) < 1 || way == "permit") show(packet);
        if (way == "permit") return permit();
        if (way == "block") return block();
        const UINT32 by = way == "interface"
                              ? packet[FWPS_FIELD_IPFORWARD_V4_DESTINATION_INTERFACE_INDEX].uint32
                          : way == "other" ? other
                                           : 0;
        ClonedPacket clone(*packet.packets(), way == "grow");
        std::shared_ptr<Tail> tail;
        if (way == "grow") {
            const Bytes all = clone.view().first(clone.view().size());
            const bool is_v6 = packet.layer() == FWPS_LAYER_IPFORWARD_V6;
            if (all.begin()[is_v6 ? 6 : 9] == 17)
                tail = std::make_shared<Tail>(*clone.get(), all.begin(), is_v6);
        }
        injection.forward(std::move(clone), by, [this, tail](NTSTATUS status) mutable {
            tail.reset();
            if (status == STATUS_SUCCESS && completed.fetch_add(1) >= 100) return;
            write_down("{\"status\":" + std::to_string(static_cast<unsigned>(status)) + "}\n");
        });
        return absorbed();
    }

    const std::string way = setting("FORWARDER");
    const UINT32 other =
        static_cast<UINT32>(std::strtoul(setting("FORWARDER_INTERFACE").c_str(), nullptr, 10));
    const int log = open(setting("FORWARDER_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    std::atomic<unsigned> shown{0}, completed{0};
    Device device;
    Engine engine{"forwarder"};
    InjectionHandle injection{FWPS_INJECTION_TYPE_FORWARD};
    Callout v4{device, engine, "forward_v4", FWPM_LAYER_IPFORWARD_V4,
               [this](Classification &packet) { return look(packet); }};
    Callout v6{device, engine, "forward_v6", FWPM_LAYER_IPFORWARD_V6,
               [this](Classification &packet) { return look(packet); }};
};

} // namespace

SLUICE_PLUGIN(Forwarder);
