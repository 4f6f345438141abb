// SPDX-License-Identifier: Apache-2.0
// packets flood ADDRESS PORT [RATE]: sends small datagrams, so many a second or as fast as it can,
// until it is killed. packets count BENCH CASE PORT SECONDS: how many of them arrive at a socket;
// one JSON row. packets spare SECONDS: how many rounds a second threads do that run where a
// processor has nothing else to do. packets cost BENCH CASE PORT SECONDS ROUNDS: how much of all
// processors was not left to such threads for each of them; ROUNDS: of `spare` on the same machine.
// Ticks of the kernel see too little of what is so short.
#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr int batch = 64, bytes = 64;

// One buffer for all: nobody looks at what is in it.
struct Batch {
    char data[bytes] = {};
    iovec vector{data, bytes};
    mmsghdr messages[batch] = {};
    Batch() {
        for (auto &m : messages) {
            m.msg_hdr.msg_iov = &vector;
            m.msg_hdr.msg_iovlen = 1;
        }
    }
};

sockaddr_in at(const char *address, const char *port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
    inet_pton(AF_INET, address, &out.sin_addr);
    return out;
}

int flood(const sockaddr_in &to, double rate) {
    const int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(s, reinterpret_cast<const sockaddr *>(&to), sizeof to)) return 1;
    Batch batches;
    const int at_once = rate > 0 ? 16 : batch;
    auto next = Clock::now();
    for (;;) {
        // what finds no room or no listener is sent again
        sendmmsg(s, batches.messages, static_cast<unsigned>(at_once), 0);
        if (rate <= 0) continue;
        next += std::chrono::nanoseconds(static_cast<long>(at_once * 1e9 / rate));
        // A process that was stopped does not make up for it.
        if (Clock::now() - next > std::chrono::milliseconds(100)) next = Clock::now();
        std::this_thread::sleep_until(next);
    }
}

// A thread for each processor, behind everything else.
class Spare {
public:
    Spare() {
        for (unsigned cpu = 0; cpu < counts_.size(); ++cpu)
            threads_.emplace_back([this, cpu] { run(cpu); });
    }
    ~Spare() {
        stop_ = true;
        for (auto &thread : threads_)
            thread.join();
    }
    [[nodiscard]] double rounds() const {
        unsigned long all = 0;
        for (const auto &count : counts_)
            all += count.rounds.load(std::memory_order_relaxed);
        return static_cast<double>(all);
    }

private:
    struct alignas(64) Count {
        std::atomic<unsigned long> rounds{0};
    };
    void run(unsigned cpu) {
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(cpu, &here);
        pthread_setaffinity_np(pthread_self(), sizeof here, &here);
        const sched_param none{};
        pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
        for (auto &mine = counts_[cpu].rounds; !stop_;)
            mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    std::atomic<bool> stop_{false};
    std::vector<Count> counts_ = std::vector<Count>(std::thread::hardware_concurrency());
    std::vector<std::thread> threads_;
};

// Of the best moment: something else always runs.
int spare(double seconds) {
    const Spare threads;
    double best = 0;
    for (const auto end = Clock::now() + std::chrono::duration<double>(seconds);
         Clock::now() < end;) {
        const double before = threads.rounds();
        const auto began = Clock::now();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        best = std::max(best, (threads.rounds() - before) /
                                  std::chrono::duration<double>(Clock::now() - began).count());
    }
    std::printf("%.0f\n", best);
    return 0;
}

int bound(const char *port) {
    const sockaddr_in here = at("0.0.0.0", port);
    const int s = socket(AF_INET, SOCK_DGRAM, 0);
    const int room = 8 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    const timeval patience{0, 100000};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(s, reinterpret_cast<const sockaddr *>(&here), sizeof here) == 0) return s;
    std::perror("packets: bind");
    std::exit(1);
}

struct Arrivals {
    long packets = 0;
    double seconds = 0;
};

Arrivals receive(int s, int seconds) {
    Batch batches;
    Arrivals out;
    const auto began = Clock::now();
    while (Clock::now() < began + std::chrono::seconds(seconds)) {
        const int n = recvmmsg(s, batches.messages, batch, MSG_WAITFORONE, nullptr);
        if (n > 0) out.packets += n;
    }
    out.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return out;
}

int row(char **arguments, const char *metric, double value, const char *unit) {
    std::printf(R"({"bench":"%s","case":"%s","metric":"%s","value":%.3f,"unit":"%s"})"
                "\n",
                arguments[2], arguments[3], metric, value, unit);
    return 0;
}

int count(char **arguments) {
    const Arrivals got = receive(bound(arguments[4]), std::atoi(arguments[5]));
    if (got.packets == 0) return 1;
    return row(arguments, "packets_per_s", static_cast<double>(got.packets) / got.seconds, "1/s");
}

int cost(char **arguments) {
    const int s = bound(arguments[4]);
    const Spare threads;
    const double before = threads.rounds();
    const Arrivals got = receive(s, std::atoi(arguments[5]));
    const double left = (threads.rounds() - before) / (std::atof(arguments[6]) * got.seconds);
    if (got.packets == 0) return 1;
    const double busy = (1 - left) * std::thread::hardware_concurrency() * got.seconds;
    return row(arguments, "cpu_us_per_packet", busy * 1e6 / static_cast<double>(got.packets), "us");
}

} // namespace

int main(int argc, char **arguments) {
    const std::string what = argc > 1 ? arguments[1] : "";
    if ((argc == 4 || argc == 5) && what == "flood")
        return flood(at(arguments[2], arguments[3]), argc == 5 ? std::atof(arguments[4]) : 0);
    if (argc == 6 && what == "count") return count(arguments);
    if (argc == 3 && what == "spare") return spare(std::atof(arguments[2]));
    if (argc == 7 && what == "cost") return cost(arguments);
    std::fprintf(
        stderr,
        "usage: packets flood ADDRESS PORT [RATE] | count BENCH CASE PORT SECONDS | spare SECONDS\n"
        "             | cost BENCH CASE PORT SECONDS ROUNDS\n");
    return 2;
}
