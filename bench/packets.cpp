// SPDX-License-Identifier: Apache-2.0
// packets flood ADDRESS PORT [RATE]: sends small datagrams, so many a second or as fast as it can, until it is killed.
// packets count BENCH CASE PORT SECONDS: how many of them arrive at a socket; one JSON row.
// packets cost BENCH CASE PORT SECONDS: how much of all processors the machine was busy for each of them.
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

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

// Microseconds that the processors were neither idle nor waiting for disks.
double busy() {
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, hard = 0, soft = 0;
    std::FILE *file = std::fopen("/proc/stat", "r");
    if (!file ||
        std::fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait, &hard, &soft) != 7)
        std::abort();
    std::fclose(file);
    return (user + nice + system + hard + soft) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int measure(char **arguments, bool cost) {
    const sockaddr_in here = at("0.0.0.0", arguments[4]);
    const int s = socket(AF_INET, SOCK_DGRAM, 0);
    const int room = 8 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    const timeval patience{0, 100000};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(s, reinterpret_cast<const sockaddr *>(&here), sizeof here)) {
        std::perror("packets: bind");
        return 1;
    }
    Batch batches;
    long arrived = 0;
    const double busy_before = busy();
    const auto began = Clock::now();
    const auto end = began + std::chrono::seconds(std::atoi(arguments[5]));
    while (Clock::now() < end) {
        const int n = recvmmsg(s, batches.messages, batch, MSG_WAITFORONE, nullptr);
        if (n > 0) arrived += n;
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    const double value = cost ? (busy() - busy_before) / static_cast<double>(arrived)
                              : static_cast<double>(arrived) / seconds;
    if (arrived > 0)
        std::printf(R"({"bench":"%s","case":"%s","metric":"%s","value":%.3f,"unit":"%s"})"
                    "\n",
                    arguments[2], arguments[3], cost ? "cpu_us_per_packet" : "packets_per_s", value,
                    cost ? "us" : "1/s");
    return arrived == 0;
}

} // namespace

int main(int argc, char **arguments) {
    const std::string what = argc > 1 ? arguments[1] : "";
    if ((argc == 4 || argc == 5) && what == "flood")
        return flood(at(arguments[2], arguments[3]), argc == 5 ? std::atof(arguments[4]) : 0);
    if (argc == 6 && (what == "count" || what == "cost")) return measure(arguments, what == "cost");
    std::fprintf(stderr, "usage: packets flood ADDRESS PORT [RATE] | packets count|cost BENCH CASE PORT SECONDS\n");
    return 2;
}
