// SPDX-License-Identifier: Apache-2.0
// Carries packets from one compartment into another, CARRIER_TO, for test_compartments.py: what is
// seen in another one than that, UDP by its destination port. 9001 and 9002 come in at
// INBOUND_IPPACKET and are injected there into the receive path of interface CARRIER_INTERFACE, by
// the network and by the transport function; 9003 into the forward path; 9004 leaves at
// OUTBOUND_MAC_FRAME and is injected into the send path. All else, and what it injected, is
// permitted. One JSON object a line in the file CARRIER_LOG.
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <list>
#include <string>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text ? text : "";
}

struct Carrier {
    explicit Carrier(Driver &driver) : device(driver, "carrier") {
        const auto add = [&](const char *name, const GUID &layer) {
            callouts.emplace_back(device, engine, name, layer,
                                  [this](Classification &packet) { return look(packet); });
        };
        add("carry_in_v4", FWPM_LAYER_INBOUND_IPPACKET_V4);
        add("carry_in_v6", FWPM_LAYER_INBOUND_IPPACKET_V6);
        add("carry_out", FWPM_LAYER_OUTBOUND_MAC_FRAME_ETHERNET);
    }
    ~Carrier() {
        callouts.clear();
        if (log >= 0) close(log);
    }

    void note(const char *what, unsigned a, unsigned b) const {
        char line[128];
        const int bytes =
            std::snprintf(line, sizeof line, "{\"what\":\"%s\",\"a\":%u,\"b\":%u}\n", what, a, b);
        if (write(log, line, static_cast<std::size_t>(bytes)) < 0)
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    // Of UDP; 0: something else.
    static unsigned port_of(const ClonedPacket &packet, bool &is_v6) {
        const auto all = packet.view().copy();
        is_v6 = !all.empty() && all[0] >> 4 == 6;
        const std::size_t at = is_v6 ? 40 : all.empty() ? 0 : (all[0] & 15u) * 4u;
        if (all.size() < at + 8 || all[is_v6 ? 6 : 9] != 17) return 0;
        return all[at + 2] * 256u + all[at + 3];
    }

    static VOID NTAPI over(VOID *context, NET_BUFFER_LIST *list, BOOLEAN) {
        const auto *self = static_cast<const Carrier *>(context);
        self->note("completed", static_cast<unsigned>(NET_BUFFER_LIST_STATUS(list)), 0);
        FwpsFreeCloneNetBufferList0(list, 0);
    }

    NTSTATUS carry(unsigned port, bool is_v6, NET_BUFFER_LIST *list) {
        const auto family = static_cast<ADDRESS_FAMILY>(is_v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET);
        const HANDLE network = is_v6 ? network_v6.get() : network_v4.get();
        switch (port) {
        case 9001:
            return FwpsInjectNetworkReceiveAsync0(network, nullptr, 0, to, interface, 0, list, over,
                                                  this);
        case 9002:
            return FwpsInjectTransportReceiveAsync0(other.get(), nullptr, nullptr, 0, family, to,
                                                    interface, 0, list, over, this);
        case 9003:
            return FwpsInjectForwardAsync0(other.get(), nullptr, 0, family, to, 0, list, over,
                                           this);
        default:
            return FwpsInjectNetworkSendAsync0(network, nullptr, 0, to, list, over, this);
        }
    }

    Verdict look(Classification &seen) {
        const bool frame = seen.layer() == FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET;
        const unsigned where = seen.metadata().compartmentId;
        bool is_v6 = false;
        ClonedPacket packet;
        if (frame) {
            packet = ClonedPacket(*seen.packets());
            const auto head = packet.view().first(14);
            if (head.empty() || (head[12] != 0x08 && head[12] != 0x86)) return permit();
            NdisAdvanceNetBufferListDataStart(packet.get(), 14, 0, nullptr);
        } else {
            packet = ClonedPacket::from_ip_header(seen);
        }
        const unsigned port = port_of(packet, is_v6);
        if (port < 9001 || port > 9004 || frame != (port == 9004)) return permit();
        const auto state = [&](const InjectionHandle &h) { return h.state(seen.packets()); };
        note("seen", port,
             where * 100 + static_cast<unsigned>(state(is_v6 ? network_v6 : network_v4)) * 10 +
                 static_cast<unsigned>(state(other)));
        if (where == to) return permit();
        const NTSTATUS status = carry(port, is_v6, packet.get());
        note("carried", port, static_cast<unsigned>(status));
        if (status == STATUS_SUCCESS) (void)packet.release();
        return absorbed();
    }

    const COMPARTMENT_ID to =
        static_cast<COMPARTMENT_ID>(std::strtoul(setting("CARRIER_TO").c_str(), nullptr, 10));
    const IF_INDEX interface =
        static_cast<IF_INDEX>(std::strtoul(setting("CARRIER_INTERFACE").c_str(), nullptr, 10));
    const int log = open(setting("CARRIER_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    Device device;
    Engine engine{"carrier"};
    InjectionHandle network_v4{FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET},
        network_v6{FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET6}, other;
    std::list<Callout> callouts;
};

} // namespace

SLUICE_PLUGIN(Carrier);
