// SPDX-License-Identifier: Apache-2.0
#include <sluice.hpp>

#include <string>

struct Outside {
    explicit Outside(sluice::Driver &driver) : device(driver, "outside") {}

    sluice::Device device;
    sluice::Engine engine{"outside"};
    sluice::Callout v4{device, engine, "outside_native", FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                       [](sluice::Classification &) { return sluice::soft_permit(); }};
};

SLUICE_PLUGIN(Outside);
