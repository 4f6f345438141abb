// SPDX-License-Identifier: Apache-2.0
// The bpffs directory of one data plane. It is built under a temporary name and renamed when
// complete, so that a directory that bears a namespace's number is whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace sluice::datapath {

class PinDir {
public:
    PinDir() = default;
    PinDir(std::string root, std::uint64_t inode);

    [[nodiscard]] const std::string &path() const { return path_; }
    // bpffs refuses names with a dot: hence no hidden directory.
    [[nodiscard]] const std::string &building() const { return building_; }
    [[nodiscard]] std::string at(const std::string &name) const { return path_ + "/" + name; }
    [[nodiscard]] bool exists() const;

    Result<void> begin() const;   // mounts bpffs where it is missing; an empty directory building()
    Result<void> publish() const; // building() becomes path()
    void abandon() const;         // building() goes
    void remove() const;          // links are detached at once, then every pin and the directory go
    void drop_link(const std::string &name) const;

    static std::vector<std::uint64_t> all(const std::string &root);

private:
    std::string root_, path_, building_;
};

// Detaches what the pin holds, then deletes it. (Deleting alone would detach some time later.)
void detach_pinned_link(const std::string &path);

} // namespace sluice::datapath
