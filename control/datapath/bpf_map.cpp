// SPDX-License-Identifier: Apache-2.0
#include "datapath/bpf_map.h"

namespace sluice::datapath {

Result<void> check_map(int fd, const std::string &name, std::size_t key_bytes,
                       std::size_t value_bytes) {
    bpf_map_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return Error{errno, "look at map", name};
    if (info.key_size != key_bytes || info.value_size != value_bytes)
        return Error{EPROTO, "use a map of another layout", name};
    return {};
}

Result<Fd> open_pinned(const std::string &path) {
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd) return Error{errno, "open pin", path};
    return fd;
}

std::uint32_t map_entries(int fd) {
    bpf_map_info info{};
    std::uint32_t length = sizeof info;
    return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.max_entries : 0;
}

std::size_t possible_cpus() {
    static const int cpus = libbpf_num_possible_cpus();
    return cpus > 0 ? std::size_t(cpus) : 1;
}

} // namespace sluice::datapath
