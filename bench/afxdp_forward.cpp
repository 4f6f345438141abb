// SPDX-License-Identifier: Apache-2.0
// afxdp_forward PROGRAM.o IN OUT SOURCE TARGET: moves every frame that comes in by interface IN out by OUT, with these
// link addresses, through AF_XDP sockets in copy mode over one piece of memory; what raw AF_XDP costs without
// Sluice. PROGRAM.o: bpf/port_far.bpf.c, which gives everything to the sockets. Says "ready", runs until it is killed.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>

namespace {

constexpr __u32 frames = 4096, frame_bytes = 4096, at_once = 32;

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "afxdp_forward: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

struct Side {
    xsk_ring_prod fill{}, tx{};
    xsk_ring_cons completion{}, rx{};
    xsk_socket *socket = nullptr;

    void open(const char *interface, xsk_umem *memory) {
        xsk_socket_config config{};
        config.rx_size = config.tx_size = frames;
        config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
        config.xdp_flags = XDP_FLAGS_DRV_MODE;
        config.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP;
        if (xsk_socket__create_shared(&socket, interface, 0, memory, &rx, &tx, &fill, &completion, &config))
            fail(interface);
    }
    int fd() const { return xsk_socket__fd(socket); }
};

void give(Side &in, const __u64 *addresses, __u32 count) {
    __u32 index = 0;
    if (count == 0 || xsk_ring_prod__reserve(&in.fill, count, &index) != count) return;
    for (__u32 i = 0; i < count; ++i)
        *xsk_ring_prod__fill_addr(&in.fill, index + i) = addresses[i] & ~__u64{frame_bytes - 1};
    xsk_ring_prod__submit(&in.fill, count);
}

// What was sent can be received into again.
void collect(Side &in, Side &out) {
    std::array<__u64, at_once> sent{};
    __u32 index = 0;
    const __u32 count = xsk_ring_cons__peek(&out.completion, at_once, &index);
    for (__u32 i = 0; i < count; ++i)
        sent[i] = *xsk_ring_cons__comp_addr(&out.completion, index + i);
    xsk_ring_cons__release(&out.completion, count);
    give(in, sent.data(), count);
}

__u32 forward(Side &in, Side &out, std::byte *memory, const ether_header &header) {
    __u32 from = 0, to = 0;
    const __u32 count = xsk_ring_cons__peek(&in.rx, at_once, &from);
    if (count == 0) return 0;
    while (xsk_ring_prod__reserve(&out.tx, count, &to) != count) {
        sendto(out.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
        collect(in, out);
    }
    for (__u32 i = 0; i < count; ++i) {
        const xdp_desc frame = *xsk_ring_cons__rx_desc(&in.rx, from + i);
        std::memcpy(memory + frame.addr, &header, 2 * ETH_ALEN);
        *xsk_ring_prod__tx_desc(&out.tx, to + i) = {frame.addr, frame.len, 0};
    }
    xsk_ring_cons__release(&in.rx, count);
    xsk_ring_prod__submit(&out.tx, count);
    sendto(out.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    return count;
}

int give_all_to(const Side &in, const char *program, const char *interface) {
    bpf_object *object = bpf_object__open_file(program, nullptr);
    if (!object || bpf_object__load(object)) return -1;
    const int map = bpf_object__find_map_fd_by_name(object, "xsks");
    const int code = bpf_program__fd(bpf_object__find_program_by_name(object, "dp_port_up"));
    const __u32 queue = 0;
    const int socket = in.fd();
    if (bpf_map_update_elem(map, &queue, &socket, 0)) return -1;
    return bpf_xdp_attach(static_cast<int>(if_nametoindex(interface)), code, XDP_FLAGS_DRV_MODE, nullptr);
}

} // namespace

int main(int argc, char **arguments) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: afxdp_forward PROGRAM.o IN OUT SOURCE TARGET\n");
        return 2;
    }
    ether_header header{};
    ether_aton_r(arguments[4], reinterpret_cast<ether_addr *>(header.ether_shost));
    ether_aton_r(arguments[5], reinterpret_cast<ether_addr *>(header.ether_dhost));
    void *memory = mmap(nullptr, std::size_t{frames} * frame_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    Side in, out;
    xsk_umem_config config{};
    config.fill_size = config.comp_size = frames;
    config.frame_size = frame_bytes;
    xsk_umem *umem = nullptr;
    if (xsk_umem__create(&umem, memory, __u64{frames} * frame_bytes, &in.fill, &in.completion, &config))
        fail("memory");
    in.open(arguments[2], umem);
    out.open(arguments[3], umem);
    for (__u64 frame = 0; frame < frames; frame += at_once) {
        std::array<__u64, at_once> addresses{};
        for (__u32 i = 0; i < at_once; ++i)
            addresses[i] = (frame + i) * frame_bytes;
        give(in, addresses.data(), at_once);
    }
    if (give_all_to(in, arguments[1], arguments[2])) fail(arguments[1]);
    std::puts("ready");
    std::fflush(stdout);
    for (;;) {
        collect(in, out);
        if (forward(in, out, static_cast<std::byte *>(memory), header) > 0) continue;
        pollfd wait{in.fd(), POLLIN, 0};
        poll(&wait, 1, 1000);
    }
}
