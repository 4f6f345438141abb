// SPDX-License-Identifier: Apache-2.0
#include "runtime/forwards.h"

#include <cstring>

#include "runtime/downcall.h"

namespace sluice::runtime {

namespace {

constexpr std::chrono::milliseconds look_again{50}, ask_again{250};
constexpr std::chrono::seconds patience{5};
constexpr int rounds_max = 4; // the MTU of a way may change while pieces are on it

NTSTATUS status_of(std::uint32_t reason) {
    switch (reason) {
    case DP_REASON_NONE:
        return STATUS_SUCCESS;
    case DP_REASON_INJECT_NO_ROUTE:
        return STATUS_NETWORK_UNREACHABLE;
    case DP_REASON_INJECT_TOO_BIG:
        return STATUS_BUFFER_OVERFLOW;
    case DP_REASON_NO_NIC:
        return STATUS_FWP_TCPIP_NOT_READY;
    default: // NOT_TRANSIT, REFUSED: the packet is not fit for it
        return STATUS_INVALID_PARAMETER;
    }
}

} // namespace

Forwards::Way &Forwards::way_of(const std::shared_ptr<PortLink> &port) {
    Way &way = ways_[port.get()];
    way.port = port;
    return way;
}

void Forwards::ask(Way &way) {
    auto frame = way.port->io->allocate();
    if (!frame || !frame->set_bounds(0, sizeof(dp_downcall))) return;
    dp_downcall d = downcall_of(DP_DOWNCALL_INJECT);
    d.inject.kind = DP_INJECT_FORWARD;
    d.inject.endpoint = last_;
    std::memcpy(frame->bytes().data(), &d, sizeof d);
    way.asked = way.port->io->send(*std::move(frame));
    way.asked_at = Clock::now();
}

bool Forwards::send(Way &way, std::vector<xsk::Frame> frames, Waiting &waiting) {
    const std::uint64_t number = ++last_;
    std::size_t sent = 0;
    for (auto &frame : frames) {
        std::memcpy(frame.bytes().data() + offsetof(dp_downcall, inject.endpoint), &number,
                    sizeof number);
        if (!way.port->io->send_later(std::move(frame))) break;
        ++sent;
    }
    if (sent == 0) return false;
    if (sent < frames.size()) waiting.status = STATUS_INSUFFICIENT_RESOURCES;
    way.waiting.emplace(number, std::move(waiting));
    if (!way.asked) ask(way);
    return true;
}

bool Forwards::send(const std::shared_ptr<PortLink> &port, std::vector<xsk::Frame> frames,
                    std::unique_ptr<Forward> &forward) {
    Waiting waiting{std::move(forward), Clock::now()};
    Lock lock(mutex_);
    if (send(way_of(port), std::move(frames), waiting)) return true;
    forward = std::move(waiting.forward);
    return false;
}

void Forwards::answered(const std::shared_ptr<PortLink> &port, const dp_upcall &answer) {
    std::vector<Ended> ended;
    Waiting too_big;
    {
        Lock lock(mutex_);
        const auto at = ways_.find(port.get());
        if (at == ways_.end()) return;
        Way &way = at->second;
        if (answer.action == DP_REASON_NONE) {
            const auto end = way.waiting.upper_bound(answer.filter_id);
            for (auto w = way.waiting.begin(); w != end; w = way.waiting.erase(w))
                ended.push_back({std::move(w->second.forward), w->second.status});
            way.asked = false;
            if (!way.waiting.empty()) ask(way);
        } else if (const auto w = way.waiting.find(answer.filter_id); w != way.waiting.end()) {
            if (answer.action == DP_REASON_INJECT_TOO_BIG && w->second.rounds < rounds_max)
                too_big = std::move(w->second);
            else
                ended.push_back({std::move(w->second.forward), status_of(answer.action)});
            way.waiting.erase(w);
        }
    }
    for (const auto &[forward, status] : ended)
        forward->done(status);
    if (too_big.forward)
        shorten(port, std::move(too_big), static_cast<std::uint32_t>(answer.generation));
}

void Forwards::shorten(const std::shared_ptr<PortLink> &port, Waiting waiting, std::uint32_t mtu) {
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    auto frames = waiting.forward->shortened(mtu, status);
    ++waiting.rounds;
    if (!frames.empty()) {
        Lock lock(mutex_);
        if (send(way_of(port), std::move(frames), waiting)) return;
    }
    waiting.forward->done(status);
}

void Forwards::lost(const PortLink &port) {
    Way way;
    {
        Lock lock(mutex_);
        const auto at = ways_.find(&port);
        if (at == ways_.end()) return;
        way = std::move(at->second);
        ways_.erase(at);
    }
    for (auto &[number, waiting] : way.waiting)
        waiting.forward->done(STATUS_FWP_TCPIP_NOT_READY);
}

void Forwards::tick(Clock::time_point now) {
    due_.store((now + look_again).time_since_epoch().count(), std::memory_order_relaxed);
    std::vector<Ended> ended;
    {
        Lock lock(mutex_);
        for (auto &[port, way] : ways_) {
            while (!way.waiting.empty() && now - way.waiting.begin()->second.since > patience) {
                ended.push_back(
                    {std::move(way.waiting.begin()->second.forward), STATUS_IO_TIMEOUT});
                way.waiting.erase(way.waiting.begin());
            }
            if (!way.waiting.empty() && (!way.asked || now - way.asked_at > ask_again)) ask(way);
        }
    }
    for (const auto &[forward, status] : ended)
        forward->done(status);
}

} // namespace sluice::runtime
