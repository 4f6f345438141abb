// SPDX-License-Identifier: Apache-2.0
// Takes every packet that it is shown and injects a clone where the packet would have gone on.
#include <sluice.hpp>

using namespace sluice;

struct InjectAll {
    explicit InjectAll(Driver &driver) : device(driver, "inject_all") {}

    Verdict receive(Classification &packet) const {
        if (inbound.knows(packet.packets())) return permit();
        inbound.receive_packet(ClonedPacket::from_ip_header(packet));
        return absorbed();
    }
    Verdict send(Classification &packet) const {
        if (outbound.knows(packet.packets())) return permit();
        const UINT32 address = packet[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_ADDRESS].uint32;
        Destination to;
        for (const int shift : {24, 16, 8, 0})
            to.address.push_back(static_cast<UINT8>(address >> shift));
        outbound.send(ClonedPacket(*packet.packets()), to);
        return absorbed();
    }
    Verdict forward(Classification &packet) const {
        passing.forward(ClonedPacket(*packet.packets()));
        return absorbed();
    }

    Device device;
    Engine engine{"inject_all"};
    InjectionHandle inbound{FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET};
    InjectionHandle outbound{FWPS_INJECTION_TYPE_TRANSPORT};
    InjectionHandle passing{FWPS_INJECTION_TYPE_FORWARD};
    Callout in{device, engine, "inject_inbound", FWPM_LAYER_INBOUND_IPPACKET_V4,
               [this](Classification &packet) { return receive(packet); }};
    Callout out{device, engine, "inject_outbound", FWPM_LAYER_OUTBOUND_TRANSPORT_V4,
                [this](Classification &packet) { return send(packet); }};
    Callout through{device, engine, "inject_forward", FWPM_LAYER_IPFORWARD_V4,
                    [this](Classification &packet) { return forward(packet); }};
};

SLUICE_PLUGIN(InjectAll);
