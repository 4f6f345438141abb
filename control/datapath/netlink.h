// SPDX-License-Identifier: Apache-2.0
// The few rtnetlink and ethtool requests that the data plane needs, in the namespace of the calling
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fd.h"
#include "core/result.h"
#include "shared/policy.h"

namespace sluice::datapath::netlink {

struct Link {
    std::uint32_t ifindex = 0;
    std::uint32_t peer = 0; // veth: ifindex of the other end, in its namespace
    std::uint32_t mtu = 0;
    std::uint32_t flags = 0; // IFF_*
    std::uint16_t type = 0;  // ARPHRD_*
    std::string name, alias; // alias: as `ip link set ... alias`
    std::optional<std::array<std::uint8_t, 6>> mac;
};

struct Veth {
    std::string near_name, far_name;
    int far_ns_fd = -1;
    std::uint32_t mtu = 0;
};

struct Address {
    std::uint32_t ifindex = 0;
    dp_addr address{};
};

Result<Link> link(std::uint32_t ifindex); // ENODEV
Result<Link> link(const std::string &name);
Result<std::vector<Link>> links(); // all of them
Result<std::vector<Address>> addresses();
// A socket that hears of addresses that come and go, and whether it has heard of any since it was
// asked last.
Result<Fd> watch_addresses();
bool take_notes(int fd);
Result<void> make_veth(const Veth &veth); // one queue each way, both ends down, NOARP
Result<void> set_up(std::uint32_t ifindex);
Result<void> set_down(std::uint32_t ifindex);
Result<void> delete_link(std::uint32_t ifindex);
// Filters of anybody behind a qdisc handle such as TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS).
Result<std::uint32_t> count_filters(std::uint32_t ifindex, std::uint32_t parent);
// Checksum and segmentation offload and receive aggregation off: a frame of a port is what was
// sent.
Result<void> plain_frames(const std::string &name);

} // namespace sluice::datapath::netlink
