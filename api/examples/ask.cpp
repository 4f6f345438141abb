// SPDX-License-Identifier: Apache-2.0
// Asks a person: every new outbound connection that a filter sends here waits until an
// administrator says `sluice hold permit ID` or `sluice hold block ID`. It brings no filters:
//   sluice filter add --layer ale-auth-connect-v4 --action callout --callout ask_v4
#include <sluice.hpp>

using namespace sluice;

struct Ask {
    explicit Ask(Driver &driver) : device(driver, "ask") {}

    static Verdict wait(Classification &connection) {
        // Only new connections wait: one that is open and asked about again (the policy has
        // changed, or it is older than this plugin) goes on, and cannot be held anyway.
        if (connection.reauthorizing()) return soft_permit();
        connection.pend().release();
        return pended();
    }

    Device device;
    Engine engine{"ask"};
    Callout v4{device, engine, "ask_v4", FWPM_LAYER_ALE_AUTH_CONNECT_V4, wait};
    Callout v6{device, engine, "ask_v6", FWPM_LAYER_ALE_AUTH_CONNECT_V6, wait};
};

SLUICE_PLUGIN(Ask);
