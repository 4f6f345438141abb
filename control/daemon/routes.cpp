// SPDX-License-Identifier: Apache-2.0
#include "daemon/routes.h"

#include <sstream>
#include <vector>

#include "core/files.h"

namespace sluice::daemon {

namespace {

bool is_own_port(const std::string &name) {
    return name.starts_with("slc") && name.size() > 3 &&
           name.find_first_not_of("0123456789", 3) == std::string::npos;
}

} // namespace

std::set<std::string> devices_in_routes(const std::string &text, bool v6) {
    std::set<std::string> names;
    std::istringstream lines(text);
    bool first = true;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
        const bool heading = !v6 && std::exchange(first, false);
        if (heading || fields.size() < 8) continue;
        const std::string &name = v6 ? fields.back() : fields.front();
        // ff00::/8 and fe80::/64 stand for every device that is up; they are no way out.
        const bool local_only =
            v6 && (fields[0].starts_with("ff00") || fields[0].starts_with("fe80"));
        if (!local_only && name != "lo" && !is_own_port(name)) names.insert(name);
    }
    return names;
}

std::set<std::string> routed_without(const datapath::Datapath &plane) {
    std::set<std::string> names;
    (void)plane.ns().enter([&]() -> Result<void> {
        names = devices_in_routes(text_of_file("/proc/thread-self/net/route"), false);
        names.merge(devices_in_routes(text_of_file("/proc/thread-self/net/ipv6_route"), true));
        return {};
    });
    for (const auto &nic : plane.nics())
        names.erase(nic.name);
    return names;
}

} // namespace sluice::daemon
