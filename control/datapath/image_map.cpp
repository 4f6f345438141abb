// SPDX-License-Identifier: Apache-2.0
#include "datapath/image_map.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>

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

Result<ImageMap> make_map(std::size_t bytes) {
    if (bytes > DP_IMAGE_LARGE) return Error{E2BIG, "make the policy's image"};
    ImageMap made;
    made.large = bytes > DP_IMAGE_SMALL;
    // The kernel's map-in-map check wants the flags of the template in maps.bpf.h.
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    made.fd = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "image", sizeof slot, value_size(made.large), 1,
                                &options));
    if (!made.fd) return Error{errno, "create the policy's image"};
    void *at =
        mmap(nullptr, value_size(made.large), PROT_READ | PROT_WRITE, MAP_SHARED, made.fd.get(), 0);
    if (at == MAP_FAILED) return Error{errno, "fill the policy's image"};
    made.at = at;
    return made;
}

} // namespace

ImageMap::~ImageMap() {
    if (at != nullptr) munmap(at, value_size(large));
}

Result<ImageMap> make_image(const std::vector<std::uint64_t> &image) {
    auto made = make_map(image.size() * sizeof image[0]);
    if (!made) return made;
    std::memcpy(made->at, image.data(), image.size() * sizeof image[0]);
    static_cast<dp_image_head *>(made->at)->stamp = next_stamp();
    return made;
}

Result<void> fill_image(ImageMap &map, const compiler::Layout &layout) {
    const compiler::Image &image = layout.image();
    if (map.at == nullptr || map.large != (image.size() > DP_IMAGE_SMALL)) {
        auto made = make_map(image.size());
        if (!made) return made.error();
        map = std::move(*made);
    }
    const std::uint64_t has = map.layout == layout.number() ? map.version : 0;
    map.layout = 0; // half of it is nothing
    const auto &pages = image.pages();
    const auto *from = reinterpret_cast<const char *>(image.words().data());
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (pages[i] <= has) continue;
        const std::size_t begin = i * compiler::Image::page;
        std::memcpy(static_cast<char *>(map.at) + begin, from + begin,
                    std::min(compiler::Image::page, image.size() - begin));
    }
    static_cast<dp_image_head *>(map.at)->stamp = next_stamp();
    map.layout = layout.number();
    map.version = image.version();
    return {};
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
