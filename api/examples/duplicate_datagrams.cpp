// SPDX-License-Identifier: Apache-2.0
// Sends every datagram that a filter shows it to a second address as well, which the environment
// names: SLUICE_DUPLICATE_TO=192.0.2.7. The datagram itself goes on as it is.
//   sluice filter add --layer datagram-data-v4 --action callout --callout duplicate_v4 ...
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include <sluice.hpp>

using namespace sluice;

// Nothing if it is no dotted address.
std::vector<UINT8> dotted(const char *text) {
    std::array<unsigned, 4> parts{};
    char rest = 0;
    if (!text ||
        std::sscanf(text, "%u.%u.%u.%u%c", &parts[0], &parts[1], &parts[2], &parts[3], &rest) != 4)
        return {};
    std::vector<UINT8> out;
    for (const unsigned part : parts) {
        if (part > 255) return {};
        out.push_back(static_cast<UINT8>(part));
    }
    return out;
}

struct DuplicateDatagrams {
    explicit DuplicateDatagrams(Driver &driver) : device(driver, "duplicate_datagrams") {
        if (target.empty()) throw Error(STATUS_INVALID_PARAMETER, "SLUICE_DUPLICATE_TO");
    }
    ~DuplicateDatagrams() {
        std::printf("duplicate_datagrams: %llu sent, %llu failed\n", sent.load(), failed.load());
    }

    Verdict look(Classification &datagram) {
        const auto direction = datagram[FWPS_FIELD_DATAGRAM_DATA_V4_DIRECTION].uint32;
        const bool own = datagram.packets() && injection.knows(datagram.packets());
        if (!datagram.packets() || direction != FWP_DIRECTION_OUTBOUND || own) return soft_permit();
        try {
            duplicate(datagram);
        } catch (const Error &) { // the way is full: the datagram itself need not suffer
            ++failed;
        }
        return soft_permit();
    }

    void duplicate(const Classification &datagram) {
        Destination to;
        to.address = target;
        if (datagram.has(FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE))
            to.endpoint = datagram.metadata().transportEndpointHandle;
        injection.send(ClonedPacket(*datagram.packets()), to,
                       [this](NTSTATUS status) { ++(NT_SUCCESS(status) ? sent : failed); });
    }

    const std::vector<UINT8> target = dotted(std::getenv("SLUICE_DUPLICATE_TO"));
    std::atomic<unsigned long long> sent{0}, failed{0};
    Device device;
    Engine engine{"duplicate_datagrams"};
    InjectionHandle injection{FWPS_INJECTION_TYPE_TRANSPORT};
    Callout v4{device, engine, "duplicate_v4", FWPM_LAYER_DATAGRAM_DATA_V4,
               [this](Classification &datagram) { return look(datagram); }};
};

SLUICE_PLUGIN(DuplicateDatagrams);
