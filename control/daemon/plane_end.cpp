// SPDX-License-Identifier: Apache-2.0
#include "daemon/plane_end.h"

#include <cerrno>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"

namespace sluice::daemon {

namespace {

constexpr int misses = 2; // a container that is being made, or moved, may show nothing for a moment
constexpr std::uint32_t own_compartment = 1;
// For what was decided to go through the ports, before they go.
constexpr Milliseconds grace{50};

} // namespace

void remove_plane(Core &core, std::uint32_t compartment, bool silent,
                  const std::function<void(Result<void>)> &then) {
    // While the NIC still carries us, so that the answers have a way out.
    core.hosts->plane_ending(compartment);
    core.loop.after(grace, [&core, compartment, silent, then] {
        auto *plane = core.planes->of(compartment);
        if (silent && plane != nullptr) plane->set_nics_down();
        core.hosts->forget_ports(compartment);
        auto r = core.planes->remove(compartment);
        core.save_or_warn();
        core.note_boot_nics();
        then(std::move(r));
    });
}

void LostNamespaces::look() {
    std::map<std::uint32_t, int> missed;
    for (const auto &[compartment, plane] : core_.planes->all()) {
        if (compartment == own_compartment) continue;
        const auto found = datapath::NetNs::find(plane->ns().inode());
        if (found || found.error().code != ENOENT) continue;
        missed[compartment] = missed_[compartment] + 1;
    }
    missed_ = std::move(missed);
    for (const auto &[compartment, times] : missed_) {
        if (times != misses) continue; // more: it is on its way out
        spdlog::info("the namespace of compartment {} is gone: its data plane goes too",
                     compartment);
        remove_plane(core_, compartment, true, [compartment = compartment](const Result<void> &r) {
            if (!r) spdlog::warn("compartment {}: {}", compartment, r.error().text());
        });
    }
}

} // namespace sluice::daemon
