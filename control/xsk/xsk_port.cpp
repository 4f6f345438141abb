// SPDX-License-Identifier: Apache-2.0
#include "xsk/xsk_port.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/if_xdp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace sluice::xsk {

namespace {

// Frames that never go to the fill ring, so that an answer without a packet finds one under any
// load.
constexpr std::size_t reserve_frames = 32;
constexpr int send_attempts = 1000;

Result<void> bind_far(int socket, std::uint32_t ifindex) {
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP;
    address.sxdp_ifindex = ifindex;
    if (::bind(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
        return Error(errno, "bind the port's socket to interface", std::to_string(ifindex));
    return {};
}

} // namespace

FrameStore::FrameStore(std::uint32_t frames) {
    free_.reserve(frames);
    for (std::uint64_t i = frames; i > 0; --i)
        free_.push_back((i - 1) * DP_FRAME_BYTES);
}

std::size_t FrameStore::take(std::span<std::uint64_t> out, std::size_t leave) {
    Lock lock(mutex_);
    const std::size_t n = free_.size() > leave ? std::min(out.size(), free_.size() - leave) : 0;
    std::copy_n(free_.rbegin(), n, out.begin());
    free_.resize(free_.size() - n);
    return n;
}

void FrameStore::put(std::span<const std::uint64_t> addresses) {
    Lock lock(mutex_);
    free_.insert(free_.end(), addresses.begin(), addresses.end());
}

std::size_t FrameStore::size() const {
    Lock lock(mutex_);
    return free_.size();
}

Result<std::shared_ptr<XskPort>> XskPort::open(Handover handover) {
    const std::size_t bytes = std::size_t(handover.frames) * DP_FRAME_BYTES;
    struct stat status {};
    if (::fstat(handover.memory.get(), &status) != 0)
        return Error(errno, "look at the port's memory");
    if (handover.frames == 0 || std::size_t(status.st_size) < bytes)
        return Error(EINVAL, "use port memory of", std::to_string(status.st_size) + " bytes");
    auto memory = Mapping::make(handover.memory.get(), bytes, 0, "port memory");
    if (!memory) return memory.error();
    auto rings = Rings::map(handover.socket.get(), handover.ring);
    if (!rings) return rings.error();
    auto notices = NoticeRing::open(std::move(handover.notices), handover.notice_bytes);
    if (!notices) return notices.error();
    Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop) return Error(errno, "make event descriptor");
    const int socket = handover.socket.get();
    const std::uint32_t ifindex = handover.ifindex;
    std::shared_ptr<XskPort> port(new XskPort(std::move(handover), *std::move(rings),
                                              *std::move(memory), *std::move(notices),
                                              std::move(stop)));
    port->refill();
    if (auto bound = bind_far(socket, ifindex); !bound) return bound.error();
    return port;
}

XskPort::XskPort(Handover handover, Rings rings, Mapping memory, NoticeRing notices, Fd stop)
    : socket_(std::move(handover.socket)), memory_fd_(std::move(handover.memory)),
      far_(std::move(handover.far)), stop_(std::move(stop)), frames_(handover.frames),
      memory_(std::move(memory)), store_(handover.frames), rings_(std::move(rings)),
      notices_(std::move(notices)), notices_fd_(notices_.fd()) {}

XskPort::~XskPort() = default;

PortIo::Wait XskPort::wait(std::chrono::milliseconds limit) {
    if (closed()) return Wait::closed;
    pollfd fds[3] = {
        {socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}, {notices_fd_, POLLIN, 0}};
    const int n = ::poll(fds, 3, static_cast<int>(limit.count()));
    if (closed() || (fds[1].revents & POLLIN)) return Wait::closed;
    if (n <= 0) return Wait::timeout;
    // The device went away under us: sluiced ends the port, we must not spin until its notice
    // comes.
    if ((fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) && !(fds[0].revents & POLLIN)) {
        close();
        return Wait::closed;
    }
    return Wait::ready;
}

std::optional<Frame> XskPort::receive() {
    Lock lock(rx_mutex_);
    if (received_.empty() && !receive_more()) return std::nullopt;
    const xdp_desc desc = received_.back();
    received_.pop_back();
    lock.unlock();
    const std::uint64_t chunk = desc.addr & ~std::uint64_t(DP_FRAME_BYTES - 1);
    const auto offset = static_cast<std::uint32_t>(desc.addr - chunk);
    if (chunk / DP_FRAME_BYTES >= frames_ || desc.len > DP_FRAME_BYTES - offset)
        return std::nullopt;
    return Frame(shared_from_this(), memory_.bytes().data() + chunk, offset, desc.len);
}

bool XskPort::receive_more() {
    __u32 index = 0;
    const __u32 n = xsk_ring_cons__peek(&rings_.rx, receive_batch, &index);
    for (__u32 i = n; i > 0; --i)
        received_.push_back(*xsk_ring_cons__rx_desc(&rings_.rx, index + i - 1));
    if (n > 0) xsk_ring_cons__release(&rings_.rx, n);
    refill_locked();
    return n > 0;
}

std::optional<Frame> XskPort::allocate() {
    std::uint64_t address = 0;
    if (store_.take({&address, 1}, 0) == 0) {
        Lock lock(tx_mutex_);
        if (unsent_ > 0) kick();
        collect_sent();
        lock.unlock();
        if (store_.take({&address, 1}, 0) == 0) return std::nullopt;
    }
    return Frame(shared_from_this(), memory_.bytes().data() + address, 0, 0);
}

bool XskPort::transmit(Frame frame) {
    if (!frame || closed() || frame.bytes().empty()) return false;
    {
        Lock lock(tx_mutex_);
        __u32 index = 0;
        for (int attempt = 0; xsk_ring_prod__reserve(&rings_.tx, 1, &index) == 0; ++attempt) {
            if (attempt == send_attempts || closed())
                return false; // frame goes back after the lock, being older
            kick();
            collect_sent();
        }
        const auto length = static_cast<__u32>(frame.bytes().size());
        const auto offset =
            static_cast<std::uint64_t>(frame.bytes().data() - memory_.bytes().data());
        *xsk_ring_prod__tx_desc(&rings_.tx, index) = xdp_desc{offset, length, 0};
        frame.detach();
        xsk_ring_prod__submit(&rings_.tx, 1);
        if (++unsent_ < send_batch && batches()) return true;
        kick();
        collect_sent();
    }
    feed();
    return true;
}

void XskPort::transmit_now() {
    {
        Lock lock(tx_mutex_);
        if (unsent_ == 0) return;
        kick();
        collect_sent();
    }
    feed();
}

std::size_t XskPort::receive_notice(std::span<std::byte> room) {
    Lock lock(notices_mutex_);
    return notices_.receive(room);
}

void XskPort::close() {
    closed_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(stop_.get(), &one, sizeof one);
}

void XskPort::give_back(std::byte *chunk) {
    const auto address = static_cast<std::uint64_t>(chunk - memory_.bytes().data());
    store_.put({&address, 1});
    feed();
}

// A fill ring that ran dry is never polled ready again, so whoever frees must feed it. Else the
// thread that receives does so, a batch at a time.
void XskPort::feed() {
    if (hungry_.load()) refill();
}

void XskPort::refill() {
    Lock lock(rx_mutex_);
    refill_locked();
}

void XskPort::refill_locked() {
    hungry_.store(true); // until it has enough: who puts a chunk back behind the last look sees it
    std::array<std::uint64_t, 64> addresses;
    __u32 room = xsk_prod_nb_free(&rings_.fill, rings_.fill.size), added = 0;
    while (room > 0) {
        const auto wanted = std::min<std::size_t>(room, addresses.size());
        const std::size_t n = store_.take(std::span(addresses).first(wanted), reserve_frames);
        __u32 index = 0;
        if (n > 0 && xsk_ring_prod__reserve(&rings_.fill, static_cast<__u32>(n), &index) == n) {
            for (std::size_t i = 0; i < n; ++i)
                *xsk_ring_prod__fill_addr(&rings_.fill, index + static_cast<__u32>(i)) =
                    addresses[i];
            added += static_cast<__u32>(n);
            room -= static_cast<__u32>(n);
        } else if (n > 0) {
            store_.put(std::span(addresses).first(n));
            break;
        }
        if (n < wanted) break;
    }
    if (rings_.fill.size - room >= rings_.fill.size / 2) hungry_.store(false);
    if (added == 0) return;
    xsk_ring_prod__submit(&rings_.fill, added);
    // Copy mode reads the fill ring at each packet; the flag is there for kernels that sleep on an
    // empty one.
    if (xsk_ring_prod__needs_wakeup(&rings_.fill))
        ::recvfrom(socket_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

void XskPort::collect_sent() {
    __u32 index = 0;
    std::array<std::uint64_t, 64> addresses;
    while (const __u32 n = xsk_ring_cons__peek(&rings_.completion, addresses.size(), &index)) {
        for (__u32 i = 0; i < n; ++i)
            addresses[i] = *xsk_ring_cons__comp_addr(&rings_.completion, index + i) &
                           ~std::uint64_t(DP_FRAME_BYTES - 1);
        xsk_ring_cons__release(&rings_.completion, n);
        store_.put(std::span(addresses).first(n));
    }
}

void XskPort::kick() {
    unsent_ = 0;
    // Copy mode sends inside this call, a batch at a time: EAGAIN says that there is more.
    for (int attempt = 0; attempt < send_attempts; ++attempt) {
        if (::sendto(socket_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0) return;
        if (errno != EAGAIN && errno != EBUSY && errno != EINTR) return;
    }
}

} // namespace sluice::xsk
