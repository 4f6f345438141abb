// SPDX-License-Identifier: Apache-2.0
// Holds each new outbound connection for SLUICE_ALLOW_AFTER_MS (100) and lets it go, from another
// thread, one thread per held connection.
#include <chrono>
#include <cstdlib>
#include <future>
#include <list>
#include <mutex>
#include <thread>

#include <sluice.hpp>

using namespace sluice;

struct AllowAfter {
    explicit AllowAfter(Driver &driver) : device(driver, "allow_after") {
        if (const char *text = std::getenv("SLUICE_ALLOW_AFTER_MS")) {
            delay = std::chrono::milliseconds(std::strtoul(text, nullptr, 10));
        }
    }

    Verdict later(Classification &connection) {
        if (connection.reauthorizing()) return permit();
        std::lock_guard lock(mutex);
        waiting.remove_if([](auto &w) {
            return w.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        });
        waiting.push_back(
            std::async(std::launch::async, [hold = connection.pend(), d = delay]() mutable {
                std::this_thread::sleep_for(d);
                hold.complete(permit());
            }));
        return pended();
    }

    std::chrono::milliseconds delay{100};
    std::mutex mutex;
    std::list<std::future<void>> waiting; // ends before what stands above it
    Device device;
    Engine engine{"allow_after"};
    Callout::Classify ask = [this](Classification &connection) { return later(connection); };
    Callout v4{device, engine, "allow_after_v4", FWPM_LAYER_ALE_AUTH_CONNECT_V4, ask};
    Callout v6{device, engine, "allow_after_v6", FWPM_LAYER_ALE_AUTH_CONNECT_V6, ask};
};

SLUICE_PLUGIN(AllowAfter);
