// SPDX-License-Identifier: Apache-2.0
// Delivers the packets that a filter shows it SLUICE_DELAY_MS (100) later, in their order.
//   sluice filter add --layer inbound-ippacket-v4 --action callout --callout delay_v4 ...
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include <sluice.hpp>

using namespace sluice;
using Clock = std::chrono::steady_clock;

struct DelayFlow {
    explicit DelayFlow(Driver &driver) : device(driver, "delay_flow") {
        if (const char *text = std::getenv("SLUICE_DELAY_MS"))
            delay = std::chrono::milliseconds(std::strtoul(text, nullptr, 10));
    }

    Verdict look(Classification &packet) {
        if (!packet.packets() || injection.knows(packet.packets())) return soft_permit();
        std::lock_guard lock(mutex);
        waiting.emplace_back(Clock::now() + delay, ClonedPacket::from_ip_header(packet, true));
        changed.notify_one();
        return absorbed();
    }

    void deliver(std::stop_token stop) {
        std::unique_lock lock(mutex);
        while (changed.wait(lock, stop, [this] { return !waiting.empty(); })) {
            const auto due = waiting.front().first;
            if (changed.wait_until(lock, stop, due, [] { return false; }) || stop.stop_requested())
                return;
            ClonedPacket packet = std::move(waiting.front().second);
            waiting.pop_front();
            lock.unlock();
            try {
                injection.receive(std::move(packet));
            } catch (const Error &) { // the way is full: lost, as on a full line
            }
            lock.lock();
        }
    }

    std::chrono::milliseconds delay{100};
    std::mutex mutex;
    std::condition_variable_any changed;
    std::deque<std::pair<Clock::time_point, ClonedPacket>> waiting; // and when they are due
    Device device;
    Engine engine{"delay_flow"};
    InjectionHandle injection{FWPS_INJECTION_TYPE_TRANSPORT};
    std::jthread thread{[this](std::stop_token stop) { deliver(stop); }};
    Callout v4{device, engine, "delay_v4", FWPM_LAYER_INBOUND_IPPACKET_V4,
               [this](Classification &packet) { return look(packet); }};
};

SLUICE_PLUGIN(DelayFlow);
