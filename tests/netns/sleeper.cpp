// SPDX-License-Identifier: Apache-2.0
// One callout sleeps in its classifyFn for SLEEPER_MS and permits then, one permits at once, one
// pends and completes 200 ms later: all of one plugin, behind one port.
#include <chrono>
#include <cstdlib>
#include <thread>

#include <sluice.hpp>

using namespace sluice;

namespace {

struct Sleeper {
    explicit Sleeper(Driver &driver) : device(driver, "sleeper") {}

    static Verdict sleep(Classification &connection) {
        if (connection.reauthorizing()) return soft_permit();
        const char *text = std::getenv("SLEEPER_MS");
        std::this_thread::sleep_for(
            std::chrono::milliseconds(text ? std::strtoul(text, nullptr, 10) : 0));
        return permit();
    }
    static Verdict at_once(Classification &) { return permit(); }
    static Verdict later(Classification &connection) {
        if (connection.reauthorizing()) return soft_permit();
        std::thread([hold = connection.pend()]() mutable {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            hold.complete(permit());
        }).detach();
        return pended();
    }

    Device device;
    Engine engine{"sleeper"};
    Callout sleeping{device, engine, "sleeping", FWPM_LAYER_ALE_AUTH_CONNECT_V4, sleep};
    Callout quick{device, engine, "quick", FWPM_LAYER_ALE_AUTH_CONNECT_V4, at_once};
    Callout completing{device, engine, "completing", FWPM_LAYER_ALE_AUTH_CONNECT_V4, later};
};

} // namespace

SLUICE_PLUGIN(Sleeper);
