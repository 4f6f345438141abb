// SPDX-License-Identifier: Apache-2.0
#include "daemon/reauthorize.h"

#include <algorithm>
#include <spdlog/spdlog.h>

namespace sluice::daemon {

void Reauthorizer::start(std::uint64_t generation) {
    generation_ = generation;
    work_.clear();
    for (auto &plane : planes_())
        work_.push_back({.plane = std::move(plane), .flows = {}});
    if (work_.empty() || scheduled_) return;
    scheduled_ = true;
    loop_.after(std::chrono::milliseconds(0), [this] { go_on(); });
}

void Reauthorizer::forget(std::uint32_t compartment) {
    std::erase_if(work_, [&](const Work &w) { return w.plane.compartment == compartment; });
}

void Reauthorizer::go_on() {
    scheduled_ = false;
    const std::uint64_t until =
        monotonic_ns() + static_cast<std::uint64_t>(slice_.count()) * 1000000;
    while (!work_.empty() && some(work_.front(), until))
        work_.pop_front();
    if (work_.empty()) return;
    scheduled_ = true;
    loop_.after(std::chrono::milliseconds(0), [this] { go_on(); });
}

bool Reauthorizer::some(Work &work, std::uint64_t until) {
    while (monotonic_ns() < until) {
        if (work.next < work.flows.size()) {
            judge(work, work.flows[work.next++]);
        } else if (!work.looked) {
            work.flows.clear();
            work.next = 0;
            work.looked = !work.plane.look(generation_, work.flows);
        } else {
            tell(work);
            return true;
        }
    }
    return false;
}

void Reauthorizer::tell(const Work &work) {
    if (work.cut != 0)
        spdlog::info("compartment {}: {} connections are blocked now and were cut",
                     work.plane.compartment, work.cut);
}

void Reauthorizer::judge(Work &work, const dp_flow_key &key) {
    if (work.plane.judge(key) != Judged::blocked) return;
    if (auto r = work.plane.cut(key); !r)
        spdlog::warn("compartment {}: {}", work.plane.compartment, r.error().text());
    else
        ++work.cut;
}

} // namespace sluice::daemon
