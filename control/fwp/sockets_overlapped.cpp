// SPDX-License-Identifier: Apache-2.0
// Overlapped controls. One thread carries them out, in their order. Each ends once: by that thread,
// by closesocket or with the thread that began it. The last two do not wait for a call that is
// going on; what it brings finds its operation over and touches nothing of the caller's.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <list>
#include <set>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "fwp/sockets.h"
#include "runtime/threads.h"
#include "xsk/mutex.h"

namespace sluice::fwp {

namespace {

// Completion routines that wait for their thread.
struct Routines {
    struct One {
        LPWSAOVERLAPPED_COMPLETION_ROUTINE routine;
        DWORD error, bytes;
        WSAOVERLAPPED *overlapped;
    };
    Mutex mutex;
    std::deque<One> waiting GUARDED_BY(mutex);
    const Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    void push(const One &one) {
        Lock lock(mutex);
        waiting.push_back(one);
        ::eventfd_write(wake.get(), 1);
    }
};

struct Operation {
    int socket;
    Fd copy; // of the socket, which may be closed and its number another's meanwhile
    SocketControl control;
    WSAOVERLAPPED *overlapped;
    LPWSAOVERLAPPED_COMPLETION_ROUTINE routine;
    std::shared_ptr<Routines> issuer;
};

class Operations {
public:
    bool begin(std::shared_ptr<Operation> operation) {
        Lock lock(mutex_);
        if (!running_) {
            std::thread([this] { run(); }).detach();
            running_ = true;
        }
        open_.push_back(operation);
        queue_.push_back(std::move(operation));
        changed_.notify_all();
        return true;
    }
    template <typename Which>
    void abort(const Which &which) {
        Lock lock(mutex_);
        for (auto at = open_.begin(); at != open_.end();) {
            const auto operation = *at++;
            if (which(*operation)) end(operation, {WSA_OPERATION_ABORTED, 0, {}});
        }
    }
    bool goes_on(const WSAOVERLAPPED *overlapped, bool wait) {
        Lock lock(mutex_);
        while (is_open(overlapped)) {
            if (!wait) return true;
            changed_.wait(lock);
        }
        return false;
    }

    Mutex attributes_mutex;
    std::set<int> attributes GUARDED_BY(attributes_mutex);

private:
    bool is_open(const WSAOVERLAPPED *overlapped) REQUIRES(mutex_) {
        for (const auto &operation : open_)
            if (operation->overlapped == overlapped) return true;
        return false;
    }
    void run() {
        runtime::block_signals();
        Lock lock(mutex_);
        for (;;) {
            while (queue_.empty())
                changed_.wait(lock);
            const auto operation = std::move(queue_.front());
            queue_.pop_front();
            if (std::find(open_.begin(), open_.end(), operation) == open_.end()) continue;
            lock.unlock();
            ControlResult result = carry_out(operation->copy.get(), operation->control);
            lock.lock();
            end(operation, std::move(result));
        }
    }
    void end(const std::shared_ptr<Operation> &operation, ControlResult result) REQUIRES(mutex_) {
        const auto before = open_.size();
        open_.remove(operation);
        if (open_.size() == before) return; // it was over
        deliver(operation->control, result);
        WSAOVERLAPPED &told = *operation->overlapped;
        told.InternalHigh = result.bytes;
        std::atomic_ref(told.Internal)
            .store(static_cast<ULONG_PTR>(result.error), std::memory_order_release);
        if (operation->routine)
            operation->issuer->push({operation->routine, static_cast<DWORD>(result.error),
                                     result.bytes, operation->overlapped});
        else if (told.hEvent)
            (void)WSASetEvent(told.hEvent);
        changed_.notify_all();
    }

    Mutex mutex_;
    Condition changed_;
    bool running_ GUARDED_BY(mutex_) = false;
    std::list<std::shared_ptr<Operation>> open_ GUARDED_BY(mutex_);
    std::deque<std::shared_ptr<Operation>> queue_ GUARDED_BY(mutex_);
};

// Never destroyed: its thread runs on.
Operations &operations() {
    static auto *const all = new Operations;
    return *all;
}

struct ThisThread {
    std::shared_ptr<Routines> routines = std::make_shared<Routines>();
    bool inside = false;
    ~ThisThread() {
        operations().abort([this](const Operation &o) { return o.issuer == routines; });
    }
};
thread_local ThisThread this_thread;

bool run_routines() {
    bool ran = false;
    Routines &mine = *this_thread.routines;
    for (;;) {
        Routines::One one{};
        {
            Lock lock(mine.mutex);
            eventfd_t count = 0;
            (void)::eventfd_read(mine.wake.get(), &count);
            if (mine.waiting.empty()) return ran;
            one = mine.waiting.front();
            mine.waiting.pop_front();
        }
        const bool outer = std::exchange(this_thread.inside, true);
        one.routine(one.error, one.bytes, one.overlapped, 0);
        this_thread.inside = outer;
        ran = true;
    }
}

int descriptor_of(WSAEVENT event) {
    const auto number = reinterpret_cast<std::uintptr_t>(event);
    return number > 0 && number <= INT_MAX ? static_cast<int>(number) : -1;
}

BOOL event_result(bool good) {
    if (!good) WSASetLastError(WSA_INVALID_HANDLE);
    return good ? 1 : 0;
}

// Waits for one of them, or for all that are still there to be waited for.
DWORD wait_for(std::vector<pollfd> waited, bool all, DWORD timeout, bool alertable) {
    using Clock = std::chrono::steady_clock;
    const std::size_t events = waited.size();
    if (alertable) waited.push_back({this_thread.routines->wake.get(), POLLIN, 0});
    const auto end = Clock::now() + std::chrono::milliseconds(timeout);
    for (;;) {
        if (alertable && run_routines()) return WSA_WAIT_IO_COMPLETION;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
        const int limit = timeout == WSA_INFINITE ? -1 : static_cast<int>(std::max<long>(left, 0));
        const int ready = ::poll(waited.data(), waited.size(), limit);
        if (ready < 0 && errno != EINTR) return WSA_WAIT_FAILED;
        std::size_t set = 0;
        for (std::size_t i = 0; i < events; ++i) {
            if (waited[i].revents & POLLNVAL) return WSA_WAIT_FAILED;
            if ((waited[i].revents & POLLIN) == 0) continue;
            if (!all) return WSA_WAIT_EVENT_0 + static_cast<DWORD>(i);
            ++set;
        }
        if (all && events > 0 && set == events) return WSA_WAIT_EVENT_0;
        if (ready == 0) return WSA_WAIT_TIMEOUT;
        // Some of several are set, and stay so: look again a moment later.
        if (set > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (timeout != WSA_INFINITE && Clock::now() >= end) return WSA_WAIT_TIMEOUT;
    }
}

} // namespace

bool has_overlapped_attribute(int fd) {
    Lock lock(operations().attributes_mutex);
    return operations().attributes.count(fd) != 0;
}

bool in_completion_routine() {
    return this_thread.inside;
}

bool begin_overlapped(int fd, SocketControl control, WSAOVERLAPPED *overlapped,
                      LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
    auto made = std::make_shared<Operation>();
    made->socket = fd;
    made->copy = Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (made->copy.get() < 0) return false;
    made->control = std::move(control);
    made->overlapped = overlapped;
    made->routine = routine;
    made->issuer = this_thread.routines;
    if (!routine && overlapped->hEvent) (void)WSAResetEvent(overlapped->hEvent);
    return operations().begin(std::move(made));
}

} // namespace sluice::fwp

using namespace sluice::fwp;

INT SluiceSocketSetOverlapped0(SOCKET s, BOOL overlapped) {
    struct stat about {};
    if (s > INT_MAX || ::fstat(static_cast<int>(s), &about) != 0 || !S_ISSOCK(about.st_mode)) {
        WSASetLastError(WSAENOTSOCK);
        return SOCKET_ERROR;
    }
    const sluice::Lock lock(operations().attributes_mutex);
    if (overlapped)
        operations().attributes.insert(static_cast<int>(s));
    else
        operations().attributes.erase(static_cast<int>(s));
    return 0;
}

INT closesocket(SOCKET s) {
    if (SluiceSocketSetOverlapped0(s, 0) != 0) return SOCKET_ERROR;
    const int fd = static_cast<int>(s);
    operations().abort([fd](const Operation &o) { return o.socket == fd; });
    ::close(fd);
    return 0;
}

BOOL WSAGetOverlappedResult(SOCKET, LPWSAOVERLAPPED overlapped, DWORD *transfer, BOOL wait,
                            DWORD *flags) {
    const auto failed = [](int error) -> BOOL {
        WSASetLastError(error);
        return 0;
    };
    if (!overlapped || !transfer) return failed(WSAEFAULT);
    if (operations().goes_on(overlapped, wait != 0)) return failed(WSA_IO_INCOMPLETE);
    if (!is_callers(overlapped, sizeof *overlapped)) return failed(WSAEFAULT);
    const auto error =
        static_cast<int>(std::atomic_ref(overlapped->Internal).load(std::memory_order_acquire));
    const auto bytes = static_cast<DWORD>(overlapped->InternalHigh);
    const DWORD none = 0;
    if (!copy_to_caller(&bytes, transfer, sizeof bytes)) return failed(WSAEFAULT);
    if (flags && !copy_to_caller(&none, flags, sizeof none)) return failed(WSAEFAULT);
    return error == 0 ? 1 : failed(error);
}

// ---- events ----

// An event is never 0, which is the number of none.
WSAEVENT WSACreateEvent(VOID) {
    const sluice::Fd made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const int kept = made ? ::fcntl(made.get(), F_DUPFD_CLOEXEC, 3) : -1;
    if (kept < 0) {
        WSASetLastError(WSA_NOT_ENOUGH_MEMORY);
        return WSA_INVALID_EVENT;
    }
    return reinterpret_cast<WSAEVENT>(static_cast<std::uintptr_t>(kept));
}

BOOL WSACloseEvent(WSAEVENT event) {
    return event_result(::close(descriptor_of(event)) == 0);
}

BOOL WSASetEvent(WSAEVENT event) {
    return event_result(::eventfd_write(descriptor_of(event), 1) == 0);
}

BOOL WSAResetEvent(WSAEVENT event) {
    eventfd_t count = 0;
    return event_result(::eventfd_read(descriptor_of(event), &count) == 0 || errno == EAGAIN);
}

DWORD WSAWaitForMultipleEvents(DWORD count, const WSAEVENT *events, BOOL all, DWORD timeout,
                               BOOL alertable) {
    if (count == 0 || count > WSA_MAXIMUM_WAIT_EVENTS || !events) {
        WSASetLastError(WSA_INVALID_PARAMETER);
        return WSA_WAIT_FAILED;
    }
    std::vector<pollfd> waited;
    for (DWORD i = 0; i < count; ++i)
        waited.push_back({descriptor_of(events[i]), POLLIN, 0});
    const bool none = std::any_of(waited.begin(), waited.end(), [](auto &p) { return p.fd < 0; });
    const DWORD result =
        none ? WSA_WAIT_FAILED : wait_for(std::move(waited), all != 0, timeout, alertable != 0);
    if (result == WSA_WAIT_FAILED) WSASetLastError(WSA_INVALID_HANDLE);
    return result;
}

DWORD SleepEx(DWORD milliseconds, BOOL alertable) {
    return wait_for({}, false, milliseconds, alertable != 0) == WSA_WAIT_IO_COMPLETION
               ? WSA_WAIT_IO_COMPLETION
               : 0;
}
