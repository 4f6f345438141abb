// SPDX-License-Identifier: Apache-2.0
#include "datapath/pin_dir.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <filesystem>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/fd.h"

namespace sluice::datapath {
namespace {

namespace fs = std::filesystem;
constexpr const char *usual_mount = "/sys/fs/bpf";

bool on_bpffs(const std::string &path) {
    struct statfs st {};
    return statfs(path.c_str(), &st) == 0 && st.f_type == BPF_FS_MAGIC;
}

Result<void> make_directory(const std::string &path) {
    if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
    if (errno == EPERM || errno == EACCES) return Error{EPERM, "pin: needs root", path};
    return Error{errno, "create directory", path};
}

Result<void> make_root(const std::string &root) {
    const std::string parent = fs::path(root).parent_path();
    if (!on_bpffs(parent)) {
        if (parent != usual_mount) return Error{EINVAL, "pin outside of a BPF file system", root};
        if (mount("bpf", usual_mount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
            return Error{errno, "mount the BPF file system", usual_mount};
    }
    return make_directory(root);
}

std::vector<std::string> names_in(const std::string &directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(directory, error))
        names.push_back(entry.path().filename());
    return names;
}

void remove_tree(const std::string &directory) {
    std::vector<std::string> names = names_in(directory);
    for (const std::string &name : names)
        if (name.starts_with("l_")) detach_pinned_link(directory + "/" + name);
    for (const std::string &name : names_in(directory))
        unlink((directory + "/" + name).c_str());
    rmdir(directory.c_str());
}

} // namespace

void detach_pinned_link(const std::string &path) {
    const Fd link(bpf_obj_get(path.c_str()));
    if (link) bpf_link_detach(link.get());
    unlink(path.c_str());
}

PinDir::PinDir(std::string root, std::uint64_t inode)
    : root_(std::move(root)), path_(root_ + "/" + std::to_string(inode)),
      building_(root_ + "/tmp-" + std::to_string(inode)) {}

bool PinDir::exists() const {
    struct stat st {};
    return stat(path_.c_str(), &st) == 0;
}

Result<void> PinDir::begin() const {
    if (auto made = make_root(root_); !made) return made;
    remove_tree(building_); // left by a daemon that was killed at this
    return make_directory(building_);
}

Result<void> PinDir::publish() const {
    if (rename(building_.c_str(), path_.c_str()) != 0) return Error{errno, "publish pins", path_};
    return {};
}

void PinDir::abandon() const {
    remove_tree(building_);
    rmdir(root_.c_str()); // only if nothing else is there
}

void PinDir::remove() const {
    remove_tree(path_);
    rmdir(root_.c_str());
}

void PinDir::drop_link(const std::string &name) const {
    detach_pinned_link(at(name));
}

std::vector<std::uint64_t> PinDir::all(const std::string &root) {
    std::vector<std::uint64_t> inodes;
    for (const std::string &name : names_in(root))
        if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
            inodes.push_back(std::stoull(name));
    return inodes;
}

} // namespace sluice::datapath
