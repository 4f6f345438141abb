// SPDX-License-Identifier: Apache-2.0
#include "datapath/image_map.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "compiler/layout.h"

namespace sluice::datapath {

namespace {

constexpr std::uint32_t slot = 0; // of the arrays, and of an image's map

std::uint32_t value_size(bool large) {
    return (large ? DP_IMAGE_LARGE : DP_IMAGE_SMALL) + DP_IMAGE_SLACK;
}

// Of this machine: a later daemon's images are not those of an earlier one.
std::uint64_t next_stamp() {
    static std::atomic<std::uint64_t> last;
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    const auto ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    std::uint64_t before = last.load();
    while (!last.compare_exchange_weak(before, std::max(before + 1, ns))) {
    }
    return std::max(before + 1, ns);
}

} // namespace

Result<ImageMap> make_image(const std::vector<std::uint64_t> &image) {
    const std::size_t bytes = image.size() * sizeof image[0];
    if (bytes > DP_IMAGE_LARGE) return Error{E2BIG, "make the policy's image"};
    ImageMap made;
    made.large = !compiler::is_small(image);
    // The kernel's map-in-map check wants the flags of the template in maps.bpf.h.
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    made.fd = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "image", sizeof slot, value_size(made.large), 1,
                                &options));
    if (!made.fd) return Error{errno, "create the policy's image"};
    void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd.get(), 0);
    if (at == MAP_FAILED) return Error{errno, "fill the policy's image"};
    std::memcpy(at, image.data(), bytes);
    static_cast<dp_image_head *>(at)->stamp = next_stamp();
    munmap(at, bytes);
    return made;
}

Result<void> publish_image(int policy, int policy_large, const ImageMap &image) {
    const int fd = image.fd.get();
    const int to = image.large ? policy_large : policy, other = image.large ? policy : policy_large;
    if (bpf_map_update_elem(to, &slot, &fd, BPF_ANY) != 0)
        return Error{errno, "publish the policy's image"};
    // A large one counts as soon as it is there, a small one once no large one is.
    if (bpf_map_delete_elem(other, &slot) != 0 && errno != ENOENT)
        return Error{errno, "withdraw the policy's earlier image"};
    return {};
}

std::optional<dp_image_head> published_head(int policy, int policy_large) {
    for (const int map : {policy_large, policy}) {
        std::uint32_t id = 0;
        if (bpf_map_lookup_elem(map, &slot, &id) != 0 || id == 0) continue;
        const Fd image(bpf_map_get_fd_by_id(id));
        if (!image) continue;
        void *at = mmap(nullptr, sizeof(dp_image_head), PROT_READ, MAP_SHARED, image.get(), 0);
        if (at == MAP_FAILED) continue;
        dp_image_head head;
        std::memcpy(&head, at, sizeof head);
        munmap(at, sizeof head);
        return head;
    }
    return std::nullopt;
}

} // namespace sluice::datapath
