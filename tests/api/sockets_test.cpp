// SPDX-License-Identifier: Apache-2.0
// The socket controls of redirection: each error, over real sockets and, where a data plane would
// have to answer, over functions in the place of getsockopt and setsockopt.
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fwp/sockets.h"
#include "shared/redirect.h"
#include "status_world.h"

namespace sluice::test {

namespace {

// What the kernel would say.
struct Kernel {
    std::atomic<int> error{0};
    std::atomic<int> calls{0};
    std::string answer;
    std::string taken;
    int option = 0;
    // While it is closed calls wait inside.
    std::mutex mutex;
    std::condition_variable changed;
    bool open = true;
    void gate(bool now_open) {
        const std::lock_guard lock(mutex);
        open = now_open;
        changed.notify_all();
    }
    void enter() {
        ++calls;
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return open; });
    }
};
Kernel *kernel = nullptr;

int fake_get(int, int level, int option, void *out, socklen_t *length) {
    kernel->enter();
    EXPECT_EQ(level, DP_SOL_SLUICE);
    kernel->option = option;
    if (kernel->error) return errno = kernel->error, -1;
    EXPECT_GE(*length, kernel->answer.size());
    *length = static_cast<socklen_t>(kernel->answer.size());
    std::memcpy(out, kernel->answer.data(), kernel->answer.size());
    return 0;
}

int fake_set(int, int level, int option, const void *in, socklen_t length) {
    kernel->enter();
    EXPECT_EQ(level, DP_SOL_SLUICE);
    kernel->option = option;
    if (kernel->error) return errno = kernel->error, -1;
    kernel->taken.assign(static_cast<const char *>(in), length);
    return 0;
}

constexpr DWORD query = SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
                set = SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;

class Sockets : public ::testing::Test {
public: // a completion routine has no more than a pointer
    void SetUp() override {
        kernel = &own;
        fwp::socket_calls() = {fake_get, fake_set};
        WSASetLastError(0);
    }
    void TearDown() override {
        own.gate(true);
        fwp::socket_calls() = {fake_get, fake_set};
        drain();
        closesocket(tcp);
        closesocket(overlapped);
        fwp::socket_calls() = {};
    }
    // The thread that carries them out has done with all that was begun, in its order.
    void drain() {
        const SOCKET last = WSASocketW(AF_INET, SOCK_DGRAM, 0, nullptr, 0, WSA_FLAG_OVERLAPPED);
        WSAOVERLAPPED how{};
        EXPECT_EQ(WSAIoctl(last, query, nullptr, 0, room, sizeof room, nullptr, &how, nullptr),
                  SOCKET_ERROR);
        DWORD moved = 0;
        (void)WSAGetOverlappedResult(last, &how, &moved, 1, nullptr);
        closesocket(last);
    }
    int ask(SOCKET s, DWORD code = query) {
        return WSAIoctl(s, code, nullptr, 0, room, sizeof room, &bytes, nullptr, nullptr);
    }
    int give(SOCKET s, const std::string &record) {
        return WSAIoctl(s, set, const_cast<char *>(record.data()),
                        static_cast<DWORD>(record.size()), nullptr, 0, &bytes, nullptr, nullptr);
    }
    // Error of a call that must fail and leave the count at 0.
    int error_of(int result) {
        EXPECT_EQ(result, SOCKET_ERROR);
        EXPECT_EQ(bytes, 0u);
        return std::exchange(bytes, 99), WSAGetLastError();
    }
    int begin(WSAOVERLAPPED &how, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine = nullptr) {
        const int result =
            WSAIoctl(overlapped, query, nullptr, 0, room, sizeof room, &bytes, &how, routine);
        EXPECT_EQ(result, SOCKET_ERROR);
        return WSAGetLastError();
    }

    Kernel own;
    const SOCKET tcp = WSASocketW(AF_INET, SOCK_STREAM, 0, nullptr, 0, 0);
    const SOCKET overlapped =
        WSASocketW(23, SOCK_STREAM, 0, nullptr, 0, WSA_FLAG_OVERLAPPED); // Windows' AF_INET6
    char room[64] = {};
    DWORD bytes = 99;
};

// The last page of what is mapped: what is asked of it and one byte more is half outside.
struct Edge {
    Edge() {
        void *at =
            ::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory = static_cast<char *>(at);
        EXPECT_EQ(::munmap(memory + size, size), 0);
    }
    ~Edge() { ::munmap(memory, size); }
    template <typename T>
    T *half() const {
        return reinterpret_cast<T *>(memory + size - sizeof(T) / 2);
    }
    static constexpr std::size_t size = 4096;
    char *memory;
};

} // namespace

TEST_F(Sockets, AQueryAndASet) {
    own.answer = "records";
    EXPECT_EQ(ask(tcp), 0);
    EXPECT_EQ(own.option, DP_SO_REDIRECT_RECORDS);
    EXPECT_EQ(std::string(room, bytes), "records");
    EXPECT_EQ(ask(tcp, SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT), 0);
    EXPECT_EQ(own.option, DP_SO_REDIRECT_CONTEXT);
    EXPECT_EQ(give(tcp, "0123456789"), 0);
    EXPECT_EQ(own.option, DP_SO_REDIRECT_RECORDS);
    EXPECT_EQ(own.taken, "0123456789");
    EXPECT_EQ(bytes, 10u);
    EXPECT_EQ(WSAGetLastError(), 0);
}

TEST_F(Sockets, AShortBufferHearsTheSizeNeeded) {
    own.answer = std::string(65, 'r');
    EXPECT_EQ(ask(tcp), SOCKET_ERROR);
    EXPECT_EQ(WSAGetLastError(), ERROR_INSUFFICIENT_BUFFER);
    EXPECT_EQ(bytes, 65u);
    bytes = 0;
    EXPECT_EQ(WSAIoctl(tcp, query, nullptr, 0, nullptr, 0, &bytes, nullptr, nullptr), SOCKET_ERROR);
    EXPECT_EQ(WSAGetLastError(), ERROR_INSUFFICIENT_BUFFER);
    EXPECT_EQ(bytes, 65u);
    EXPECT_EQ(room[0], 0); // nothing was written
}

TEST_F(Sockets, WhatTheKernelSays) {
    const std::pair<int, int> errors[] = {
        {ENOENT, WSAENOTCONN},      {EACCES, WSAEACCES},
        {EPERM, WSAEACCES},         {EINVAL, WSAEINVAL},
        {ESTALE, WSAEINVAL},        {EOPNOTSUPP, WSAENETDOWN},
        {ENOPROTOOPT, WSAENETDOWN}, {ERANGE, ERROR_INSUFFICIENT_BUFFER},
        {EINTR, WSAEINTR},          {ENODATA, WSAENOTCONN},
    };
    for (const auto &[code, wanted] : errors) {
        own.error = code;
        EXPECT_EQ(error_of(ask(tcp)), wanted) << code;
        EXPECT_EQ(error_of(give(tcp, "x")), wanted) << code;
    }
}

TEST_F(Sockets, WithoutADataPlaneTheNetworkIsDown) {
    fwp::socket_calls() = {};
    for (const int family : {AF_INET, AF_INET6})
        for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
            const SOCKET s = WSASocketW(family, type, 0, nullptr, 0, 0);
            EXPECT_EQ(error_of(ask(s)), WSAENETDOWN);
            EXPECT_EQ(error_of(give(s, "x")), WSAENETDOWN);
            closesocket(s);
        }
}

TEST_F(Sockets, ArgumentsThatAreNotAcceptable) {
    EXPECT_EQ(error_of(ask(tcp, query + 16)), WSAEINVAL);
    EXPECT_EQ(error_of(WSAIoctl(tcp, set, room, 1, room, 1, &bytes, nullptr, nullptr)), WSAEINVAL);
    EXPECT_EQ(error_of(give(tcp, "")), WSAEINVAL);
    EXPECT_EQ(error_of(give(tcp, std::string(5000, 'x'))), WSAEINVAL);
    const auto local = static_cast<SOCKET>(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(error_of(ask(local)), WSAEINVAL);
    closesocket(local);
    const auto other =
        static_cast<SOCKET>(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
    if (other != INVALID_SOCKET) { // a test without the right to has none
        EXPECT_EQ(error_of(ask(other)), WSAEOPNOTSUPP);
        closesocket(other);
    }
    EXPECT_EQ(own.calls, 0);
}

TEST_F(Sockets, WhatIsNoSocket) {
    for (const SOCKET s : {SOCKET{0x7FFFFFF0}, INVALID_SOCKET, SOCKET{1} << 32}) {
        EXPECT_EQ(ask(s), SOCKET_ERROR);
        EXPECT_EQ(WSAGetLastError(), WSAENOTSOCK);
        EXPECT_EQ(closesocket(s), SOCKET_ERROR);
        EXPECT_EQ(SluiceSocketSetOverlapped0(s, 1), SOCKET_ERROR);
    }
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    EXPECT_EQ(ask(static_cast<SOCKET>(ends[0])), SOCKET_ERROR);
    EXPECT_EQ(WSAGetLastError(), WSAENOTSOCK);
    ::close(ends[0]);
    ::close(ends[1]);
    EXPECT_EQ(WSASocketW(AF_INET, SOCK_STREAM, 0, room, 0, 0), INVALID_SOCKET);
    EXPECT_EQ(WSASocketW(AF_INET, SOCK_STREAM, 0, nullptr, 0, 2), INVALID_SOCKET);
    EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
}

TEST_F(Sockets, EachPointerIsLookedAt) {
    const Edge edge;
    own.answer = "r";
    const auto call = [&](SOCKET s, DWORD code, void *in, void *out, DWORD *count,
                          WSAOVERLAPPED *how, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
        const DWORD size = sizeof(WSAOVERLAPPED);
        EXPECT_EQ(WSAIoctl(s, code, in, in ? size : 0, out, out ? size : 0, count, how, routine),
                  SOCKET_ERROR);
        return WSAGetLastError();
    };
    WSAOVERLAPPED how{};
    auto *const half = edge.half<WSAOVERLAPPED>();
    const auto nowhere = reinterpret_cast<LPWSAOVERLAPPED_COMPLETION_ROUTINE>(edge.memory + 4096);
    auto *const beyond = reinterpret_cast<void *>(~std::uintptr_t{7}); // wraps around
    for (void *bad : {static_cast<void *>(half), beyond}) {
        EXPECT_EQ(call(tcp, set, bad, nullptr, &bytes, nullptr, nullptr), WSAEFAULT);
        EXPECT_EQ(call(tcp, query, nullptr, bad, &bytes, nullptr, nullptr), WSAEFAULT);
    }
    EXPECT_EQ(call(tcp, query, nullptr, room, edge.half<DWORD>(), nullptr, nullptr), WSAEFAULT);
    EXPECT_EQ(call(tcp, query, nullptr, room, nullptr, nullptr, nullptr), WSAEFAULT);
    EXPECT_EQ(call(overlapped, query, nullptr, room, &bytes, half, nullptr), WSAEFAULT);
    EXPECT_EQ(call(overlapped, query, nullptr, room, &bytes, &how, nowhere), WSAEFAULT);
    EXPECT_EQ(own.calls, 0);
    ASSERT_EQ(::mprotect(edge.memory, 4096, PROT_READ), 0); // to read, not to write
    EXPECT_EQ(call(tcp, query, nullptr, edge.memory, &bytes, nullptr, nullptr), WSAEFAULT);
    // Without the attribute both are ignored.
    EXPECT_EQ(WSAIoctl(tcp, query, nullptr, 0, room, sizeof room, &bytes, half, nowhere), 0);
    EXPECT_EQ(bytes, 1u);
}

TEST_F(Sockets, TheProviderTellsItsErrorElsewhere) {
    int error = 0;
    own.error = EACCES;
    EXPECT_EQ(WSPIoctl(tcp, set, room, 1, nullptr, 0, &bytes, nullptr, nullptr, nullptr, &error),
              SOCKET_ERROR);
    EXPECT_EQ(error, WSAEACCES);
    EXPECT_EQ(WSAGetLastError(), 0);
    EXPECT_EQ(WSPIoctl(tcp, set, room, 1, nullptr, 0, &bytes, nullptr, nullptr, nullptr, nullptr),
              SOCKET_ERROR);
    own.error = 0;
    EXPECT_EQ(WSPIoctl(tcp, set, room, 1, nullptr, 0, &bytes, nullptr, nullptr, nullptr, &error),
              0);
    EXPECT_EQ(bytes, 1u);
}

TEST_F(Sockets, ErrorsArePerThread) {
    WSASetLastError(WSAEACCES);
    std::thread([] {
        EXPECT_EQ(WSAGetLastError(), 0);
        WSASetLastError(WSAEINVAL);
    }).join();
    EXPECT_EQ(WSAGetLastError(), WSAEACCES);
}

TEST_F(Sockets, ABlockingCallIsCancelled) {
    EXPECT_EQ(WSACancelBlockingCall(), SOCKET_ERROR);
    EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
    own.gate(false);
    own.answer = "r";
    std::thread caller([this] {
        EXPECT_EQ(ask(tcp), SOCKET_ERROR);
        EXPECT_EQ(WSAGetLastError(), WSAEINTR);
        EXPECT_EQ(bytes, 0u);
    });
    while (own.calls == 0)
        std::this_thread::yield();
    EXPECT_EQ(WSACancelBlockingCall(), 0);
    own.gate(true);
    caller.join();
    EXPECT_EQ(room[0], 0);
}

// ---- overlapped ----

TEST_F(Sockets, AnOverlappedCallSetsItsEvent) {
    own.answer = "records";
    own.gate(false);
    WSAOVERLAPPED how{};
    how.hEvent = WSACreateEvent();
    WSASetEvent(how.hEvent); // of an earlier use
    EXPECT_EQ(begin(how), WSA_IO_PENDING);
    EXPECT_EQ(WSAWaitForMultipleEvents(1, &how.hEvent, 0, 0, 0), WSA_WAIT_TIMEOUT);
    DWORD moved = 0, flags = 7;
    EXPECT_FALSE(WSAGetOverlappedResult(overlapped, &how, &moved, 0, &flags));
    EXPECT_EQ(WSAGetLastError(), WSA_IO_INCOMPLETE);
    own.gate(true);
    EXPECT_EQ(WSAWaitForMultipleEvents(1, &how.hEvent, 0, WSA_INFINITE, 0), WSA_WAIT_EVENT_0);
    EXPECT_TRUE(WSAGetOverlappedResult(overlapped, &how, &moved, 0, &flags));
    EXPECT_EQ(std::string(room, moved), "records");
    EXPECT_EQ(flags, 0u);
    EXPECT_FALSE(WSAGetOverlappedResult(overlapped, nullptr, &moved, 0, nullptr));
    EXPECT_EQ(WSAGetLastError(), WSAEFAULT);
    EXPECT_TRUE(WSACloseEvent(how.hEvent));
}

TEST_F(Sockets, TheErrorOfAnOverlappedCallComesWithItsEnd) {
    own.error = ENOENT;
    WSAOVERLAPPED how{};
    EXPECT_EQ(begin(how), WSA_IO_PENDING);
    DWORD moved = 0;
    EXPECT_FALSE(WSAGetOverlappedResult(overlapped, &how, &moved, 1, nullptr));
    EXPECT_EQ(WSAGetLastError(), WSAENOTCONN);
}

TEST_F(Sockets, ARoutineRunsInItsThreadAndMayNotBlock) {
    static std::thread::id where;
    static Sockets *test;
    static int calls;
    test = this;
    calls = 0;
    const auto routine = [](DWORD error, DWORD moved, LPWSAOVERLAPPED how, DWORD) {
        ++calls;
        where = std::this_thread::get_id();
        EXPECT_EQ(error, 0u);
        EXPECT_EQ(moved, 7u);
        EXPECT_EQ(how->InternalHigh, 7u);
        EXPECT_EQ(test->ask(test->tcp), SOCKET_ERROR);
        EXPECT_EQ(WSAGetLastError(), WSAEINPROGRESS);
    };
    own.answer = "records";
    for (const bool by_event : {false, true}) {
        WSAOVERLAPPED how{};
        how.hEvent = WSACreateEvent();
        EXPECT_EQ(begin(how, routine), WSA_IO_PENDING);
        DWORD moved = 0;
        EXPECT_TRUE(WSAGetOverlappedResult(overlapped, &how, &moved, 1, nullptr));
        EXPECT_EQ(SleepEx(0, 0), 0u); // not alertable
        EXPECT_EQ(calls, by_event ? 1 : 0);
        if (by_event)
            EXPECT_EQ(WSAWaitForMultipleEvents(1, &how.hEvent, 0, WSA_INFINITE, 1),
                      WSA_WAIT_IO_COMPLETION);
        else
            EXPECT_EQ(SleepEx(WSA_INFINITE, 1), WSA_WAIT_IO_COMPLETION);
        EXPECT_EQ(calls, by_event ? 2 : 1);
        EXPECT_EQ(WSAWaitForMultipleEvents(1, &how.hEvent, 0, 0, 0), WSA_WAIT_TIMEOUT);
        WSACloseEvent(how.hEvent);
    }
    EXPECT_EQ(where, std::this_thread::get_id());
    EXPECT_EQ(SleepEx(0, 1), 0u);
    EXPECT_EQ(ask(tcp), 0); // outside it is allowed
}

TEST_F(Sockets, ClosingTheSocketAbortsWhatGoesOnAndWhatWaits) {
    own.answer = "records";
    own.gate(false);
    WSAOVERLAPPED first{}, second{};
    second.hEvent = WSACreateEvent();
    EXPECT_EQ(begin(first), WSA_IO_PENDING);
    EXPECT_EQ(begin(second), WSA_IO_PENDING);
    while (own.calls == 0)
        std::this_thread::yield();
    EXPECT_EQ(closesocket(overlapped), 0);
    for (WSAOVERLAPPED *how : {&first, &second}) {
        DWORD moved = 0;
        EXPECT_FALSE(WSAGetOverlappedResult(overlapped, how, &moved, 1, nullptr));
        EXPECT_EQ(WSAGetLastError(), WSA_OPERATION_ABORTED);
    }
    EXPECT_EQ(WSAWaitForMultipleEvents(1, &second.hEvent, 1, 0, 0), WSA_WAIT_EVENT_0);
    own.gate(true);
    own.error = ENOENT;
    drain();
    EXPECT_EQ(own.calls, 2); // the second was never asked, but for the drain
    EXPECT_EQ(room[0], 0);   // what the first brought came too late
    WSACloseEvent(second.hEvent);
}

TEST_F(Sockets, TheEndOfItsThreadAbortsIt) {
    own.gate(false);
    WSAOVERLAPPED how{};
    std::thread([&] {
        EXPECT_EQ(begin(how, [](DWORD, DWORD, LPWSAOVERLAPPED, DWORD) { ADD_FAILURE(); }),
                  WSA_IO_PENDING);
    }).join();
    DWORD moved = 0;
    EXPECT_FALSE(WSAGetOverlappedResult(overlapped, &how, &moved, 1, nullptr));
    EXPECT_EQ(WSAGetLastError(), WSA_OPERATION_ABORTED);
}

TEST_F(Sockets, AnAcceptedSocketMayGetTheAttribute) {
    const auto plain = static_cast<SOCKET>(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    own.answer = "r";
    WSAOVERLAPPED how{};
    EXPECT_EQ(WSAIoctl(plain, query, nullptr, 0, room, sizeof room, &bytes, &how, nullptr), 0);
    EXPECT_EQ(SluiceSocketSetOverlapped0(plain, 1), 0);
    EXPECT_EQ(WSAIoctl(plain, query, nullptr, 0, room, sizeof room, &bytes, &how, nullptr),
              SOCKET_ERROR);
    EXPECT_EQ(WSAGetLastError(), WSA_IO_PENDING);
    DWORD moved = 0;
    EXPECT_TRUE(WSAGetOverlappedResult(plain, &how, &moved, 1, nullptr));
    closesocket(plain);
}

TEST_F(Sockets, Events) {
    WSAEVENT events[] = {WSACreateEvent(), WSACreateEvent()};
    WSASetEvent(events[1]);
    EXPECT_EQ(WSAWaitForMultipleEvents(2, events, 0, 0, 0), WSA_WAIT_EVENT_0 + 1);
    EXPECT_EQ(WSAWaitForMultipleEvents(2, events, 1, 3, 0), WSA_WAIT_TIMEOUT);
    std::thread setter([&] { WSASetEvent(events[0]); });
    EXPECT_EQ(WSAWaitForMultipleEvents(2, events, 1, WSA_INFINITE, 0), WSA_WAIT_EVENT_0);
    setter.join();
    EXPECT_TRUE(WSAResetEvent(events[0]));
    EXPECT_TRUE(WSAResetEvent(events[0]));
    EXPECT_EQ(WSAWaitForMultipleEvents(1, events, 0, 0, 0), WSA_WAIT_TIMEOUT);
    for (const WSAEVENT event : events)
        EXPECT_TRUE(WSACloseEvent(event));
    EXPECT_FALSE(WSASetEvent(events[0]));
    EXPECT_FALSE(WSAResetEvent(WSA_INVALID_EVENT));
    EXPECT_FALSE(WSACloseEvent(WSA_INVALID_EVENT));
    EXPECT_EQ(WSAGetLastError(), WSA_INVALID_HANDLE);
    EXPECT_EQ(WSAWaitForMultipleEvents(1, events, 0, 0, 0), WSA_WAIT_FAILED);
    EXPECT_EQ(WSAGetLastError(), WSA_INVALID_HANDLE);
    EXPECT_EQ(WSAWaitForMultipleEvents(0, events, 0, 0, 0), WSA_WAIT_FAILED);
    EXPECT_EQ(WSAGetLastError(), WSA_INVALID_PARAMETER);
}

} // namespace sluice::test
