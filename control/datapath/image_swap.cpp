// SPDX-License-Identifier: Apache-2.0
#include "datapath/image_swap.h"

#include <bpf/bpf.h>

#include <csignal>

namespace sluice::datapath {

namespace {

constexpr std::uint32_t only_slot = 0;

std::uint32_t id_of(int map) {
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    return bpf_obj_get_info_by_fd(map, &info, &size) == 0 ? info.id : 0;
}

// Of the map in the slot of an array of maps; 0: there is none.
std::uint32_t id_in(int maps) {
    std::uint32_t id = 0;
    return bpf_map_lookup_elem(maps, &only_slot, &id) == 0 ? id : 0;
}

// A thread that no signal is delivered to.
template <typename Work>
std::thread quiet_thread(Work work) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(work));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

} // namespace

Result<void> ImageSwap::publish(int policy, int policy_large, const ImageMap &image) {
    settle();
    // What stands in the other array is withdrawn behind the update: then that decides.
    const int to = image.large ? policy_large : policy, other = image.large ? policy : policy_large;
    const std::uint32_t id = id_of(image.fd.get());
    if (id == 0 || id_in(other) != 0) return publish_image(policy, policy_large, image);
    result_.reset();
    thread_ = quiet_thread([this, policy, policy_large, &image] {
        auto done = publish_image(policy, policy_large, image);
        const std::lock_guard lock(mutex_);
        result_ = std::move(done);
        ended_.notify_all();
    });
    while (!wait_for(std::chrono::microseconds(20)))
        if (id_in(to) == id) return {};
    thread_.join();
    return std::move(*result_);
}

bool ImageSwap::wait_for(std::chrono::microseconds time) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, time, [this] { return result_.has_value(); });
}

bool ImageSwap::settled() {
    if (!thread_.joinable()) return true;
    if (!wait_for(std::chrono::microseconds(0))) return false;
    thread_.join();
    return true;
}

void ImageSwap::settle() {
    if (thread_.joinable()) thread_.join();
}

} // namespace sluice::datapath
