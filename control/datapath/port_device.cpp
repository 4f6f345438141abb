// SPDX-License-Identifier: Apache-2.0
#include "datapath/port_device.h"

#include <algorithm>
#include <array>
#include <bit>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include "datapath/attach_tc.h"
#include "datapath/bpf_map.h"
#include "datapath/loader.h"
#include "datapath/netlink.h"
#include "datapath/sysctl.h"

#include "port_far.skel.h"

namespace sluice::datapath {
namespace {

constexpr const char *far_name = "far0";

struct DestroyFar {
    void operator()(port_far_bpf *skel) const { port_far_bpf::destroy(skel); }
};

// A fresh pair sends router solicitations and the like by itself once it is up; a port carries only
// our frames.
Result<void> silence(const std::string &name) {
    auto set = sysctl::write("net/ipv6/conf/" + name + "/disable_ipv6", 1);
    if (!set && set.error().code != ENOENT) return set; // a kernel without IPv6
    return {};
}

Result<void> attach_native(int program, std::uint32_t ifindex, const char *what) {
    const int error = -bpf_xdp_attach(int(ifindex), program, XDP_FLAGS_DRV_MODE, nullptr);
    if (error != 0) return Error{error, "attach XDP to a port", what};
    return {};
}

Result<void> attach_near_tc(std::uint32_t ifindex, const PortDevice::Programs &programs) {
    if (tcx_works()) {
        auto done = tcx_attach(programs.apply_fd, ifindex, TcSide::ingress);
        if (done) done = tcx_attach(programs.forward_fd, ifindex, TcSide::ingress);
        return done ? tcx_attach(programs.guard_fd, ifindex, TcSide::egress) : done;
    }
    if (auto made = clsact_make(ifindex); !made) return made.error();
    auto done = clsact_attach(programs.forward_fd, ifindex, TcSide::ingress);
    if (done) done = clsact_attach(programs.apply_fd, ifindex, TcSide::ingress, 1);
    return done ? clsact_attach(programs.guard_fd, ifindex, TcSide::egress) : done;
}

// So that the routing tables can be asked for what a host injects. Nothing is forwarded: all that
// comes by the port is redirected or dropped before the stack sees it.
Result<void> see_routes(const std::string &name) {
    auto set = sysctl::write("net/ipv4/conf/" + name + "/forwarding", 1);
    if (!set) return set;
    set = sysctl::write("net/ipv6/conf/" + name + "/forwarding", 1);
    if (!set && set.error().code != ENOENT) return set; // a kernel without IPv6
    return {};
}

// The pair's programs go with the devices: nothing of a port is pinned.
Result<void> prepare_near(const netlink::Link &near, const PortDevice::Programs &programs) {
    auto done = silence(near.name);
    if (done) done = see_routes(near.name);
    if (done) done = attach_native(programs.down_fd, near.ifindex, near.name.c_str());
    if (done) done = netlink::plain_frames(near.name); // after XDP: attaching switches GRO on
    if (done) done = attach_near_tc(near.ifindex, programs);
    if (done) done = netlink::set_up(near.ifindex);
    return done;
}

template <typename Value>
Result<void> set_xdp_option(int xsk, int option, const Value &value, const char *what) {
    if (setsockopt(xsk, SOL_XDP, option, &value, sizeof value) != 0)
        return Error{errno, "prepare AF_XDP socket", what};
    return {};
}

Result<Fd> make_xsk(const Umem &umem, std::uint32_t ring) {
    Fd xsk(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!xsk) return Error{errno, "open an AF_XDP socket"};
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uintptr_t>(umem.bytes().data());
    memory.len = umem.bytes().size();
    memory.chunk_size = DP_FRAME_BYTES;
    memory.headroom = DP_FRAME_HEADROOM;
    auto done = set_xdp_option(xsk.get(), XDP_UMEM_REG, memory, "memory");
    if (done) done = set_xdp_option(xsk.get(), XDP_UMEM_FILL_RING, ring, "fill ring");
    if (done) done = set_xdp_option(xsk.get(), XDP_UMEM_COMPLETION_RING, ring, "completion ring");
    if (done) done = set_xdp_option(xsk.get(), XDP_RX_RING, ring, "receive ring");
    if (done) done = set_xdp_option(xsk.get(), XDP_TX_RING, ring, "transmit ring");
    if (!done) return done.error();
    return xsk;
}

Result<void> attach_far(std::uint32_t ifindex, int xsk) {
    const std::unique_ptr<port_far_bpf, DestroyFar> skel(port_far_bpf::open());
    if (!skel) return Error{errno, "open the port object"};
    if (const int error = port_far_bpf::load(skel.get()); error != 0)
        return Error{-error, "load the port program (" + take_library_warning() + ")"};
    const std::uint32_t queue = 0;
    if (bpf_map_update_elem(bpf_map__fd(skel->maps.xsks), &queue, &xsk, BPF_ANY) != 0)
        return Error{errno, "enter AF_XDP socket into map", "xsks"};
    return attach_native(bpf_program__fd(skel->progs.dp_port_up), ifindex, far_name);
}

// Protocol 0: it sends and never receives.
Result<Fd> make_way_down(std::uint32_t ifindex) {
    Fd sock(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!sock) return Error{errno, "open a packet socket"};
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = int(ifindex);
    const int on = 1;
    if (setsockopt(sock.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0 ||
        bind(sock.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
        return Error{errno, "bind a packet socket to a port", far_name};
    return sock;
}

std::string near_name(std::uint32_t host) {
    return "slc" + std::to_string(host);
}

} // namespace

struct PortDevice::State {
    NetNs ns, far;
    std::uint32_t host = 0, near_ifindex = 0;
    Umem umem;
    Fd way_down;
    bool keep = false;
};

namespace {

Result<NetNs> same(const NetNs &ns) {
    auto fd = ns.dup();
    if (!fd) return fd.error();
    return NetNs::from_fd(std::move(*fd));
}

Result<netlink::Link> find_in(const NetNs &ns, const std::string &name) {
    netlink::Link link;
    auto found = ns.enter([&]() -> Result<void> {
        auto asked = netlink::link(name);
        if (!asked) return asked.error();
        link = std::move(*asked);
        return {};
    });
    if (!found) return found.error();
    return link;
}

Result<netlink::Link> make_pair(const NetNs &ns, const NetNs &far, std::uint32_t host) {
    const netlink::Veth veth{near_name(host), far_name, far.fd(), DP_PORT_MTU};
    if (auto made = ns.enter([&] { return netlink::make_veth(veth); }); !made) return made.error();
    return find_in(ns, veth.near_name);
}

// Inside the far end's namespace.
Result<Fd> prepare_far(const Umem &umem, PortHandover &handed) {
    auto link = netlink::link(far_name);
    if (!link) return link.error();
    auto done = silence(far_name);
    if (!done) return done.error();
    auto xsk = make_xsk(umem, handed.ring);
    if (!xsk) return xsk.error();
    handed.far_ifindex = link->ifindex;
    handed.xsk = std::move(*xsk);
    done = attach_far(link->ifindex, handed.xsk.get());
    if (done) done = netlink::plain_frames(far_name);
    if (done) done = netlink::set_up(link->ifindex);
    if (!done) return done.error();
    return make_way_down(link->ifindex);
}

} // namespace

PortDevice::PortDevice(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<PortDevice>> PortDevice::make(const NetNs &ns, std::uint32_t host,
                                                     std::uint32_t frames, const Programs &programs,
                                                     PortHandover &handover) {
    auto umem = Umem::make(frames);
    if (!umem) return umem.error();
    auto own_ns = same(ns);
    if (!own_ns) return own_ns.error();
    auto far = NetNs::make();
    if (!far) return far.error();
    auto near = make_pair(ns, *far, host);
    if (!near) return near.error();
    std::unique_ptr<PortDevice> port(new PortDevice(std::make_unique<State>(State{
        std::move(*own_ns), std::move(*far), host, near->ifindex, std::move(*umem), Fd(), false})));
    State &state = *port->state_; // from here on a failure deletes the pair
    PortHandover handed;
    handed.frames = frames;
    handed.ring = std::bit_ceil(frames); // every frame can be free, or in flight, at once
    auto done = state.far.enter([&]() -> Result<void> {
        auto down = prepare_far(state.umem, handed);
        if (!down) return down.error();
        state.way_down = std::move(*down);
        return {};
    });
    if (done) done = ns.enter([&] { return prepare_near(*near, programs); });
    if (!done) return done.error();
    handover = std::move(handed);
    return port;
}

Result<std::unique_ptr<PortDevice>> PortDevice::adopt(const NetNs &ns, std::uint32_t host, Fd memfd,
                                                      NetNs far) {
    auto umem = Umem::adopt(std::move(memfd));
    if (!umem) return umem.error();
    auto own_ns = same(ns);
    if (!own_ns) return own_ns.error();
    auto near = find_in(ns, near_name(host));
    if (!near) return near.error();
    auto end = find_in(far, far_name);
    if (!end) return end.error();
    if (near->peer != end->ifindex || end->peer != near->ifindex)
        return Error{EINVAL, "take over a port: the namespace is not its far end", near->name};
    Fd down;
    auto opened = far.enter([&]() -> Result<void> {
        auto sock = make_way_down(end->ifindex);
        if (!sock) return sock.error();
        down = std::move(*sock);
        return {};
    });
    if (!opened) return opened.error();
    return std::unique_ptr<PortDevice>(new PortDevice(
        std::make_unique<State>(State{std::move(*own_ns), std::move(far), host, near->ifindex,
                                      std::move(*umem), std::move(down), false})));
}

PortDevice::~PortDevice() {
    if (!state_ || state_->keep) return;
    (void)state_->ns.enter([&] { return netlink::delete_link(state_->near_ifindex); });
}

std::uint32_t PortDevice::host() const {
    return state_->host;
}
std::uint32_t PortDevice::near_ifindex() const {
    return state_->near_ifindex;
}
const Umem &PortDevice::umem() const {
    return state_->umem;
}
const NetNs &PortDevice::far() const {
    return state_->far;
}
void PortDevice::release() {
    state_->keep = true;
}

Result<void> PortDevice::send_down(std::span<const std::byte> frame) {
    if (send(state_->way_down.get(), frame.data(), frame.size(), 0) != ssize_t(frame.size()))
        return Error{errno, "send a frame down port", near_name(state_->host)};
    return {};
}

} // namespace sluice::datapath
