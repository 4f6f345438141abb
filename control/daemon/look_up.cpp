// SPDX-License-Identifier: Apache-2.0
#include "daemon/look_up.h"

#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <vector>

#include "core/files.h"

namespace sluice::daemon {

namespace {

namespace fs = std::filesystem;

constexpr unsigned minor_bits = 20; // of the kernel's own dev_t

std::uint32_t kernel_device(std::uint32_t major, std::uint32_t minor) {
    return major << minor_bits | minor;
}

std::vector<std::string_view> words_of(std::string_view line, std::size_t most) {
    std::vector<std::string_view> words;
    while (!line.empty() && words.size() < most) {
        const std::size_t end = std::min(line.find(' '), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

std::optional<std::uint64_t> number_of(std::string_view word) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return number;
}

std::optional<std::uint32_t> device_of_word(std::string_view word) {
    const std::size_t colon = word.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto major = number_of(word.substr(0, colon)), minor = number_of(word.substr(colon + 1));
    if (!major || !minor) return std::nullopt;
    return kernel_device(static_cast<std::uint32_t>(*major), static_cast<std::uint32_t>(*minor));
}

} // namespace

// A line: mount id, parent, major:minor, root, mount point, ...
std::optional<std::uint32_t> device_of_mount(std::string_view mountinfo, std::uint64_t mount_id) {
    while (!mountinfo.empty()) {
        const std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
        const auto words = words_of(mountinfo.substr(0, end), 3);
        mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
        if (words.size() == 3 && number_of(words[0]) == mount_id) return device_of_word(words[2]);
    }
    return std::nullopt;
}

std::optional<compiler::FileId> file_identity(const std::string &path) {
    struct ::statx s {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_TYPE | STATX_MNT_ID, &s) != 0 ||
        !S_ISREG(s.stx_mode))
        return std::nullopt;
    std::optional<std::uint32_t> device;
    if (s.stx_mask & STATX_MNT_ID)
        device = device_of_mount(text_of_file("/proc/self/mountinfo"), s.stx_mnt_id);
    return compiler::FileId{device.value_or(kernel_device(s.stx_dev_major, s.stx_dev_minor)),
                            s.stx_ino};
}

std::optional<std::uint64_t> cgroup_id(const std::string &root, const std::string &path) {
    if (root.empty()) return std::nullopt; // no cgroup2 here
    const fs::path below = fs::path(path).relative_path().lexically_normal();
    if (!below.empty() && *below.begin() == "..") return std::nullopt;
    struct ::stat s {};
    if (::stat((fs::path(root) / below).c_str(), &s) != 0 || !S_ISDIR(s.st_mode))
        return std::nullopt;
    return s.st_ino;
}

bool is_container(std::string_view component, std::string_view name) {
    if (name.empty()) return false;
    if (component == name) return true;
    constexpr std::string_view scope = ".scope";
    if (component.ends_with(scope)) component.remove_suffix(scope.size());
    for (const std::string_view prefix :
         {"docker-", "libpod-", "cri-containerd-", "crio-", "lxc.payload."})
        if (component.starts_with(prefix) && component.substr(prefix.size()) == name) return true;
    return false;
}

std::map<std::string, std::set<std::uint64_t>> containers_in(const std::string &root,
                                                             const std::set<std::string> &names) {
    std::map<std::string, std::set<std::uint64_t>> found;
    if (root.empty()) return found;
    std::error_code ignored; // cgroups come and go while we walk
    const auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator at(root, options, ignored), end; at != end;
         at.increment(ignored)) {
        if (!at->is_directory(ignored)) continue;
        const std::string component = at->path().filename();
        for (const auto &name : names)
            if (struct ::stat s{};
                is_container(component, name) && ::stat(at->path().c_str(), &s) == 0)
                found[name].insert(s.st_ino);
    }
    return found;
}

compiler::Interface interface_of(const datapath::netlink::Link &link) {
    compiler::Interface out;
    out.index = link.ifindex;
    out.name = link.name;
    out.alias = link.alias;
    out.type = datapath::if_type_of(link.type);
    out.tunnel = datapath::tunnel_type_of(link.type);
    out.has_mac = link.mac.has_value();
    if (link.mac) out.mac = *link.mac;
    return out;
}

} // namespace sluice::daemon
