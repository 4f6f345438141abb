// SPDX-License-Identifier: Apache-2.0
// The cheapest hold there is: pended, and completed with permit before the classify returns. And
// packets let pass.
#include <sluice.hpp>

using namespace sluice;

struct HoldAtOnce {
    explicit HoldAtOnce(Driver &driver) : device(driver, "hold_at_once") {}

    static Verdict at_once(Classification &connection) {
        if (connection.reauthorizing()) return permit();
        connection.pend().complete(permit());
        return pended();
    }

    Device device;
    Engine engine{"hold_at_once"};
    Callout connects{device, engine, "hold_at_once_v4", FWPM_LAYER_ALE_AUTH_CONNECT_V4, at_once};
    Callout packets{device, engine, "pass_packets_v4", FWPM_LAYER_INBOUND_IPPACKET_V4,
                    [](Classification &) { return permit(); }};
};

SLUICE_PLUGIN(HoldAtOnce);
