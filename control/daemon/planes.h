// SPDX-License-Identifier: Apache-2.0
// The data planes by compartment, and which namespace is which compartment.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "compiler/environment.h"
#include "datapath/datapath.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;

class Planes {
public:
    explicit Planes(Core &core) : core_(core) {}

    [[nodiscard]] datapath::Datapath *of(std::uint32_t compartment) const;
    [[nodiscard]] datapath::Datapath *of_inode(std::uint64_t netns_inode) const;
    [[nodiscard]] const std::map<std::uint32_t, std::unique_ptr<datapath::Datapath>> &all() const {
        return planes_;
    }

    // The plane of this namespace, made if it has none. `made` tells which.
    Result<datapath::Datapath *> obtain(datapath::NetNs ns, const std::string &cgroup, bool &made);
    Result<void> remove(std::uint32_t compartment); // everything of ours in it goes

    // Stops at the first that fails.
    Result<void> publish(const std::map<std::uint32_t, compiler::Plan> &plans);
    [[nodiscard]] bool settled() const; // as a data plane's
    // Of a compartment's namespace, also while its plane is being made.
    [[nodiscard]] std::vector<compiler::Interface> interfaces(std::uint32_t compartment) const;

    void load(const store::State &state);
    void save(store::State &state) const;
    Result<void> adopt_pinned();

private:
    [[nodiscard]] std::uint32_t compartment_of(std::uint64_t netns_inode);
    [[nodiscard]] datapath::Datapath::Options options_for(std::uint32_t compartment) const;
    Result<void> adopt(datapath::NetNs ns);

    Core &core_;
    std::map<std::uint32_t, std::unique_ptr<datapath::Datapath>> planes_;
    std::map<std::uint64_t, std::uint32_t> numbers_; // compartment by inode
    std::uint32_t next_ = 2;
    const datapath::NetNs *being_made_ = nullptr;
};

} // namespace sluice::daemon
