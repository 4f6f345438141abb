// SPDX-License-Identifier: Apache-2.0
#include "fwp/sockets.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <new>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "shared/redirect.h"
#include "xsk/mutex.h"

namespace sluice::fwp {

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t looked_at = std::size_t{1} << 20; // of a buffer; then its end

thread_local int last_error = 0;

struct Pipe {
    Fd read, write;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
        read = Fd(ends[0]);
        write = Fd(ends[1]);
    }
};

int error_of(int code) {
    switch (code) {
    case ENOENT:
    case ENODATA: // no context
        return WSAENOTCONN;
    case ERANGE:
        return ERROR_INSUFFICIENT_BUFFER;
    case EACCES:
    case EPERM:
        return WSAEACCES;
    case EPROTONOSUPPORT:
        return WSAEOPNOTSUPP;
    case EOPNOTSUPP: // Linux' own, of an IPv4 socket: the protocol has been looked at
    case ENOPROTOOPT:
        return WSAENETDOWN;
    case ENOTSOCK:
    case EBADF:
        return WSAENOTSOCK;
    case EFAULT:
        return WSAEFAULT;
    case EINTR:
        return WSAEINTR;
    case ENOMEM:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
        return WSA_NOT_ENOUGH_MEMORY;
    default: // EINVAL: forged; ESTALE: too old
        return WSAEINVAL;
    }
}

// The synchronous calls that are going on.
struct Blocking {
    std::atomic<bool> cancelled{false};
    Blocking();
    ~Blocking();
};
Mutex blocking_mutex;
std::set<Blocking *> &blocking() REQUIRES(blocking_mutex) {
    static auto *const all = new std::set<Blocking *>;
    return *all;
}
Blocking::Blocking() {
    Lock lock(blocking_mutex);
    blocking().insert(this);
}
Blocking::~Blocking() {
    Lock lock(blocking_mutex);
    blocking().erase(this);
}

struct Call {
    SOCKET socket;
    DWORD code;
    const void *in;
    DWORD in_bytes;
    void *out;
    DWORD out_bytes;
    DWORD *returned;
    WSAOVERLAPPED *overlapped;
    LPWSAOVERLAPPED_COMPLETION_ROUTINE routine;
};

bool is_socket(SOCKET s) {
    struct stat about {};
    return s <= INT_MAX && ::fstat(static_cast<int>(s), &about) == 0 && S_ISSOCK(about.st_mode);
}

int option_of(SOCKET s, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    return ::getsockopt(static_cast<int>(s), SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

int check_protocol(SOCKET s) {
    const int family = option_of(s, SO_DOMAIN), protocol = option_of(s, SO_PROTOCOL);
    if (family != AF_INET && family != AF_INET6) return WSAEINVAL;
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ? 0 : WSAEOPNOTSUPP;
}

int read_control(const Call &call, SocketControl &control) {
    const bool set = call.code == SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
    if (set) {
        control.option = DP_SO_REDIRECT_RECORDS;
        if (call.out_bytes != 0) return WSAEINVAL;
        if (!is_callers(call.in, call.in_bytes)) return WSAEFAULT;
        if (call.in_bytes == 0 || call.in_bytes > page) return WSAEINVAL;
        control.input.resize(call.in_bytes);
        return copy_from_caller(call.in, control.input.data(), call.in_bytes) ? 0 : WSAEFAULT;
    }
    if (call.code == SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS)
        control.option = DP_SO_REDIRECT_RECORDS;
    else if (call.code == SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT)
        control.option = DP_SO_REDIRECT_CONTEXT;
    else
        return WSAEINVAL;
    control.out = call.out;
    control.out_bytes = call.out_bytes;
    return is_callers(call.out, call.out_bytes) ? 0 : WSAEFAULT;
}

int synchronous(const Call &call, const SocketControl &control) {
    ControlResult result;
    {
        const Blocking here;
        result = carry_out(static_cast<int>(call.socket), control);
        if (here.cancelled) return WSAEINTR;
    }
    deliver(control, result);
    const bool tells = result.error == 0 || result.error == ERROR_INSUFFICIENT_BUFFER;
    if (tells && !copy_to_caller(&result.bytes, call.returned, sizeof result.bytes))
        return WSAEFAULT;
    return result.error;
}

int control(const Call &call) {
    if (in_completion_routine()) return WSAEINPROGRESS;
    if (!is_socket(call.socket)) return WSAENOTSOCK;
    const int fd = static_cast<int>(call.socket);
    const bool overlapped = call.overlapped && has_overlapped_attribute(fd);
    const DWORD none = 0;
    if ((call.returned || !overlapped) && !copy_to_caller(&none, call.returned, sizeof none))
        return WSAEFAULT;
    SocketControl work;
    if (const int error = read_control(call, work)) return error;
    if (const int error = check_protocol(call.socket)) return error;
    if (!overlapped) return synchronous(call, work);
    WSAOVERLAPPED begun;
    if (!copy_from_caller(call.overlapped, &begun, sizeof begun)) return WSAEFAULT;
    begun.Internal = WSA_IO_PENDING;
    begun.InternalHigh = 0;
    if (!copy_to_caller(&begun, call.overlapped, sizeof begun)) return WSAEFAULT;
    if (call.routine && !is_callers(reinterpret_cast<const void *>(call.routine), 1))
        return WSAEFAULT;
    return begin_overlapped(fd, std::move(work), call.overlapped, call.routine)
               ? WSA_IO_PENDING
               : WSA_NOT_ENOUGH_MEMORY;
}

int guarded_control(const Call &call) noexcept {
    try {
        return control(call);
    } catch (...) { // out of memory
        return WSA_NOT_ENOUGH_MEMORY;
    }
}

} // namespace

SocketCalls &socket_calls() {
    static SocketCalls calls;
    return calls;
}

// A page at a time: a pipe holds at least that, and it is empty whenever this begins.
bool copy_from_caller(const void *from, void *to, std::size_t bytes) {
    const Pipe pipe;
    for (std::size_t done = 0; done < bytes;) {
        const std::size_t step = std::min(bytes - done, page);
        const auto *at = static_cast<const std::byte *>(from) + done;
        if (::write(pipe.write.get(), at, step) != static_cast<ssize_t>(step)) return false;
        std::byte room[page];
        if (::read(pipe.read.get(), room, step) != static_cast<ssize_t>(step)) return false;
        if (to) std::memcpy(static_cast<std::byte *>(to) + done, room, step);
        done += step;
    }
    return true;
}

bool copy_to_caller(const void *from, void *to, std::size_t bytes) {
    const Pipe pipe;
    for (std::size_t done = 0; done < bytes;) {
        const std::size_t step = std::min(bytes - done, page);
        const auto *at = static_cast<const std::byte *>(from) + done;
        if (::write(pipe.write.get(), at, step) != static_cast<ssize_t>(step)) return false;
        if (::read(pipe.read.get(), static_cast<std::byte *>(to) + done, step) !=
            static_cast<ssize_t>(step))
            return false;
        done += step;
    }
    return true;
}

bool is_callers(const void *memory, std::size_t bytes) {
    if (bytes == 0) return true;
    const auto first = reinterpret_cast<std::uintptr_t>(memory);
    if (!memory || first + bytes < first) return false;
    const std::size_t near = std::min(bytes, looked_at);
    return copy_from_caller(memory, nullptr, near) &&
           copy_from_caller(static_cast<const std::byte *>(memory) + bytes - 1, nullptr, 1);
}

// The kernel is given all the room that there can be, so that what is needed is known too.
ControlResult carry_out(int fd, const SocketControl &control) {
    ControlResult result;
    if (!control.input.empty()) {
        const auto length = static_cast<socklen_t>(control.input.size());
        if (socket_calls().set(fd, DP_SOL_SLUICE, control.option, control.input.data(), length) !=
            0)
            result.error = error_of(errno);
        else
            result.bytes = length;
        return result;
    }
    result.output.resize(DP_REDIRECT_CONTEXT_MAX);
    auto length = static_cast<socklen_t>(result.output.size());
    if (socket_calls().get(fd, DP_SOL_SLUICE, control.option, result.output.data(), &length) != 0) {
        result.error = error_of(errno);
        return result;
    }
    result.bytes = length;
    result.output.resize(length);
    if (length > control.out_bytes) result.error = ERROR_INSUFFICIENT_BUFFER;
    return result;
}

void deliver(const SocketControl &control, ControlResult &result) {
    if (result.error != 0 || !control.input.empty()) return;
    if (copy_to_caller(result.output.data(), control.out, result.output.size())) return;
    result.error = WSAEFAULT;
    result.bytes = 0;
}

} // namespace sluice::fwp

using namespace sluice::fwp;

INT WSAIoctl(SOCKET s, DWORD code, VOID *in, DWORD in_bytes, VOID *out, DWORD out_bytes,
             DWORD *returned, LPWSAOVERLAPPED overlapped,
             LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
    const int error =
        guarded_control({s, code, in, in_bytes, out, out_bytes, returned, overlapped, routine});
    if (error == 0) return 0;
    last_error = error;
    return SOCKET_ERROR;
}

INT WSPIoctl(SOCKET s, DWORD code, VOID *in, DWORD in_bytes, VOID *out, DWORD out_bytes,
             DWORD *returned, LPWSAOVERLAPPED overlapped,
             LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID, INT *out_error) {
    const int error =
        guarded_control({s, code, in, in_bytes, out, out_bytes, returned, overlapped, routine});
    if (error == 0) return 0;
    (void)copy_to_caller(&error, out_error, sizeof error);
    return SOCKET_ERROR;
}

INT WSAGetLastError(VOID) {
    return last_error;
}

VOID WSASetLastError(INT error) {
    last_error = error;
}

SOCKET WSASocketW(INT family, INT type, INT protocol, VOID *info, UINT32 group, DWORD flags) {
    constexpr int windows_inet6 = 23;
    if (info || group || (flags & ~WSA_FLAG_OVERLAPPED)) {
        last_error = WSAEINVAL;
        return INVALID_SOCKET;
    }
    const int fd =
        ::socket(family == windows_inet6 ? AF_INET6 : family, type | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        last_error = error_of(errno);
        return INVALID_SOCKET;
    }
    const auto made = static_cast<SOCKET>(fd);
    (void)SluiceSocketSetOverlapped0(made, (flags & WSA_FLAG_OVERLAPPED) != 0);
    return made;
}

INT WSACancelBlockingCall(VOID) {
    const sluice::Lock lock(blocking_mutex);
    for (Blocking *call : blocking())
        call->cancelled = true;
    if (!blocking().empty()) return 0;
    last_error = WSAEINVAL;
    return SOCKET_ERROR;
}
