// SPDX-License-Identifier: Apache-2.0
#include "datapath/netlink.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <memory>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/fd.h"

namespace sluice::datapath::netlink {
namespace {

using Visit = std::function<void(const nlmsghdr *)>;
constexpr std::size_t buffer_bytes = 32768;

struct CloseSocket {
    void operator()(mnl_socket *s) const { mnl_socket_close(s); }
};

class Request {
public:
    Request(std::uint16_t type, std::uint16_t flags)
        : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = type;
        header_->nlmsg_flags = std::uint16_t(NLM_F_REQUEST | NLM_F_ACK | flags);
        header_->nlmsg_seq = 1;
    }
    template <typename T>
    T *extra() {
        return static_cast<T *>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
    }
    nlmsghdr *header() { return header_; }

    // 0 or an errno. `visit` sees each message of the answer.
    int send(const Visit &visit = {}) {
        const std::unique_ptr<mnl_socket, CloseSocket> sock(
            mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
        if (!sock || mnl_socket_bind(sock.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
        const unsigned port = mnl_socket_get_portid(sock.get());
        if (mnl_socket_sendto(sock.get(), header_, header_->nlmsg_len) < 0) return errno;
        std::array<char, buffer_bytes> answer;
        for (;;) {
            const ssize_t n = mnl_socket_recvfrom(sock.get(), answer.data(), answer.size());
            if (n < 0) return errno;
            const int more = mnl_cb_run(answer.data(), std::size_t(n), 1, port, on_message,
                                        const_cast<Visit *>(&visit));
            if (more < 0) return errno;
            if (more == MNL_CB_STOP) return 0;
        }
    }

private:
    static int on_message(const nlmsghdr *message, void *visit) {
        const auto &call = *static_cast<Visit *>(visit);
        if (call) call(message);
        return MNL_CB_OK;
    }
    alignas(nlmsghdr) std::array<char, 2048> buffer_{};
    nlmsghdr *header_;
};

int parse_attribute(const nlattr *attr, void *data) {
    auto &link = *static_cast<Link *>(data);
    switch (mnl_attr_get_type(attr)) {
    case IFLA_IFNAME:
        link.name = mnl_attr_get_str(attr);
        break;
    case IFLA_MTU:
        link.mtu = mnl_attr_get_u32(attr);
        break;
    case IFLA_LINK:
        link.peer = mnl_attr_get_u32(attr);
        break;
    case IFLA_IFALIAS:
        link.alias = mnl_attr_get_str(attr);
        break;
    case IFLA_ADDRESS:
        if (mnl_attr_get_payload_len(attr) == 6)
            std::memcpy(link.mac.emplace().data(), mnl_attr_get_payload(attr), 6);
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

Link parse_link(const nlmsghdr *message) {
    Link link;
    const auto *info = static_cast<const ifinfomsg *>(mnl_nlmsg_get_payload(message));
    link.ifindex = std::uint32_t(info->ifi_index);
    link.flags = info->ifi_flags;
    link.type = info->ifi_type;
    mnl_attr_parse(message, sizeof(ifinfomsg), parse_attribute, &link);
    return link;
}

std::uint64_t half(const std::uint8_t *bytes) {
    std::uint64_t out = 0;
    for (int i = 0; i < 8; ++i)
        out = out << 8 | bytes[i];
    return out;
}

// IFA_LOCAL where there is one: with a peer IFA_ADDRESS is the peer's.
int parse_address_attribute(const nlattr *attr, void *data) {
    auto &found = *static_cast<std::array<const nlattr *, 2> *>(data);
    if (mnl_attr_get_type(attr) == IFA_LOCAL) found[0] = attr;
    if (mnl_attr_get_type(attr) == IFA_ADDRESS) found[1] = attr;
    return MNL_CB_OK;
}

std::optional<Address> parse_address(const nlmsghdr *message) {
    const auto *info = static_cast<const ifaddrmsg *>(mnl_nlmsg_get_payload(message));
    std::array<const nlattr *, 2> found{};
    mnl_attr_parse(message, sizeof(ifaddrmsg), parse_address_attribute, &found);
    const nlattr *attr = found[0] != nullptr ? found[0] : found[1];
    const std::size_t bytes = info->ifa_family == AF_INET ? 4 : 16;
    if (attr == nullptr || mnl_attr_get_payload_len(attr) != bytes) return std::nullopt;
    std::uint8_t raw[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    std::memcpy(raw + sizeof raw - bytes, mnl_attr_get_payload(attr), bytes);
    return Address{info->ifa_index, {half(raw), half(raw + 8)}};
}

Result<Link> ask_link(std::uint32_t ifindex, const std::string &name) {
    Request request(RTM_GETLINK, 0);
    request.extra<ifinfomsg>()->ifi_index = int(ifindex);
    if (ifindex == 0) mnl_attr_put_strz(request.header(), IFLA_IFNAME, name.c_str());
    Link link;
    const int error = request.send([&](const nlmsghdr *m) { link = parse_link(m); });
    if (error != 0)
        return Error{error, "find interface", name.empty() ? std::to_string(ifindex) : name};
    return link;
}

void put_end(nlmsghdr *header, const std::string &name, std::uint32_t mtu) {
    mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
    mnl_attr_put_u32(header, IFLA_MTU, mtu);
    mnl_attr_put_u32(header, IFLA_NUM_TX_QUEUES, 1);
    mnl_attr_put_u32(header, IFLA_NUM_RX_QUEUES, 1);
}

} // namespace

Result<Link> link(std::uint32_t ifindex) {
    return ask_link(ifindex, {});
}

Result<Link> link(const std::string &name) {
    if (name.empty() || name.size() >= IFNAMSIZ) return Error{ENODEV, "find interface", name};
    return ask_link(0, name);
}

Result<std::vector<Link>> links() {
    Request request(RTM_GETLINK, NLM_F_DUMP);
    request.extra<ifinfomsg>();
    std::vector<Link> all;
    const int error = request.send([&](const nlmsghdr *m) { all.push_back(parse_link(m)); });
    if (error != 0) return Error{error, "list interfaces"};
    return all;
}

Result<std::vector<Address>> addresses() {
    Request request(RTM_GETADDR, NLM_F_DUMP);
    request.extra<ifaddrmsg>();
    std::vector<Address> all;
    const int error = request.send([&](const nlmsghdr *m) {
        if (const auto address = parse_address(m)) all.push_back(*address);
    });
    if (error != 0) return Error{error, "list addresses"};
    return all;
}

Result<Fd> watch_addresses() {
    Fd sock(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl groups{};
    groups.nl_family = AF_NETLINK;
    groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (!sock || bind(sock.get(), reinterpret_cast<const sockaddr *>(&groups), sizeof groups) != 0)
        return Error{errno, "watch addresses"};
    return sock;
}

bool take_notes(int fd) {
    bool any = false;
    std::array<char, 4096> note;
    // ENOBUFS: there were more than found room.
    while (recv(fd, note.data(), note.size(), MSG_TRUNC) >= 0 || errno == ENOBUFS)
        any = true;
    return any;
}

Result<void> make_veth(const Veth &veth) {
    Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    auto *near = request.extra<ifinfomsg>();
    near->ifi_flags = IFF_NOARP;
    near->ifi_change = IFF_NOARP;
    nlmsghdr *header = request.header();
    put_end(header, veth.near_name, veth.mtu);
    nlattr *info = mnl_attr_nest_start(header, IFLA_LINKINFO);
    mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
    nlattr *data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
    nlattr *peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
    auto *far = request.extra<ifinfomsg>();
    far->ifi_flags = IFF_NOARP;
    far->ifi_change = IFF_NOARP;
    put_end(header, veth.far_name, veth.mtu);
    mnl_attr_put_u32(header, IFLA_NET_NS_FD, std::uint32_t(veth.far_ns_fd));
    mnl_attr_nest_end(header, peer);
    mnl_attr_nest_end(header, data);
    mnl_attr_nest_end(header, info);
    const int error = request.send();
    if (error != 0) return Error{error, "create port device", veth.near_name};
    return {};
}

Result<void> set_up(std::uint32_t ifindex) {
    Request request(RTM_NEWLINK, 0);
    auto *info = request.extra<ifinfomsg>();
    info->ifi_index = int(ifindex);
    info->ifi_flags = info->ifi_change = IFF_UP | IFF_NOARP;
    const int error = request.send();
    if (error != 0) return Error{error, "set interface up", std::to_string(ifindex)};
    return {};
}

Result<void> set_down(std::uint32_t ifindex) {
    Request request(RTM_NEWLINK, 0);
    auto *info = request.extra<ifinfomsg>();
    info->ifi_index = int(ifindex);
    info->ifi_change = IFF_UP;
    const int error = request.send();
    if (error != 0) return Error{error, "set interface down", std::to_string(ifindex)};
    return {};
}

Result<void> delete_link(std::uint32_t ifindex) {
    Request request(RTM_DELLINK, 0);
    request.extra<ifinfomsg>()->ifi_index = int(ifindex);
    const int error = request.send();
    if (error != 0) return Error{error, "delete interface", std::to_string(ifindex)};
    return {};
}

Result<std::uint32_t> count_filters(std::uint32_t ifindex, std::uint32_t parent) {
    Request request(RTM_GETTFILTER, NLM_F_DUMP);
    auto *tc = request.extra<tcmsg>();
    tc->tcm_ifindex = int(ifindex);
    tc->tcm_parent = parent;
    std::uint32_t count = 0;
    const int error = request.send([&](const nlmsghdr *) { count++; });
    if (error != 0) return Error{error, "list filters of interface", std::to_string(ifindex)};
    return count;
}

Result<void> plain_frames(const std::string &name) {
    const Fd sock(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!sock) return Error{errno, "open a socket for ethtool requests"};
    for (const std::uint32_t what : {ETHTOOL_STXCSUM, ETHTOOL_SGSO, ETHTOOL_STSO, ETHTOOL_SGRO}) {
        ethtool_value value{what, 0};
        ifreq request{};
        std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
        request.ifr_data = reinterpret_cast<char *>(&value);
        if (ioctl(sock.get(), SIOCETHTOOL, &request) != 0 && errno != EOPNOTSUPP)
            return Error{errno, "switch offloads off", name};
    }
    return {};
}

} // namespace sluice::datapath::netlink
