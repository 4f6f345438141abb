// SPDX-License-Identifier: Apache-2.0
// packets flood ADDRESS PORT: sends small datagrams as fast as it can, until it is killed.
// packets count BENCH CASE PORT SECONDS: how many of them arrive at a socket; one JSON row.
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace {

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

int flood(const sockaddr_in &to) {
    const int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(s, reinterpret_cast<const sockaddr *>(&to), sizeof to)) return 1;
    Batch batches;
    for (;;)
        sendmmsg(s, batches.messages, batch, 0); // what finds no room or no listener is sent again
}

int count(char **arguments) {
    using clock = std::chrono::steady_clock;
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
    const auto began = clock::now();
    const auto end = began + std::chrono::seconds(std::atoi(arguments[5]));
    while (clock::now() < end) {
        const int n = recvmmsg(s, batches.messages, batch, MSG_WAITFORONE, nullptr);
        if (n > 0) arrived += n;
    }
    const double seconds = std::chrono::duration<double>(clock::now() - began).count();
    std::printf(R"({"bench":"%s","case":"%s","metric":"packets_per_s","value":%.0f,"unit":"1/s"})"
                "\n",
                arguments[2], arguments[3], static_cast<double>(arrived) / seconds);
    return arrived == 0;
}

} // namespace

int main(int argc, char **arguments) {
    if (argc == 4 && std::string(arguments[1]) == "flood")
        return flood(at(arguments[2], arguments[3]));
    if (argc == 6 && std::string(arguments[1]) == "count") return count(arguments);
    std::fprintf(stderr,
                 "usage: packets flood ADDRESS PORT | packets count BENCH CASE PORT SECONDS\n");
    return 2;
}
