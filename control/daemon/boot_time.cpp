// SPDX-License-Identifier: Apache-2.0
#include "daemon/boot_time.h"

#include <cstdio>

#include "boot/report.h"
#include "daemon/environment_watch.h"
#include "daemon/instance.h"
#include "daemon/look_up.h"

namespace sluice::daemon {

namespace {

std::vector<compiler::Interface> interfaces_here(std::uint32_t) {
    std::vector<compiler::Interface> out;
    if (const auto links = datapath::netlink::links())
        for (const auto &link : *links)
            out.push_back(interface_of(link));
    return out;
}

Result<boot::Outcome> pin(const Options &options, std::vector<std::string> nics) {
    const auto lock = take_lock(options.socket);
    if (!lock) return lock.error();
    boot::Options what;
    what.store = {.database = options.database, .state = options.state};
    what.plane.pin_root = options.pin_root;
    what.nics = std::move(nics);
    EnvironmentWatch watch(EnvironmentWatch::of_system(options.cgroup_root, interfaces_here));
    return boot::pin(what, [&](const compiler::Names &names) { return watch.look(names, 1); });
}

} // namespace

int pin_boot_time(const Options &options, std::vector<std::string> nics) {
    const auto outcome = pin(options, std::move(nics));
    const std::string report = outcome ? boot::report(*outcome) : boot::report(outcome.error());
    std::fputs(report.c_str(), stdout);
    return outcome && outcome->lost.empty() ? 0 : 1;
}

} // namespace sluice::daemon
