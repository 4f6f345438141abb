// SPDX-License-Identifier: Apache-2.0
// bulk --sink PORT: accepts connections, reads what comes and answers the end of it with a byte,
// until it is killed. Its sockets are transparent, so that TPROXY may deliver to them. bulk BENCH
// CASE ADDRESS PORT GIB: sends GIB through one connection; one JSON row.
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t piece = 1 << 18;

// What is there by now; false: the connection is over, answered and closed.
bool drain(int connection, std::vector<char> &room) {
    for (;;) {
        const ssize_t n = recv(connection, room.data(), room.size(), MSG_DONTWAIT);
        if (n > 0) continue;
        if (n < 0 && errno == EAGAIN) return true;
        // A client that has reset the connection wants no answer, nor is this the end of the sink.
        if (n == 0 && send(connection, "x", 1, MSG_NOSIGNAL) < 0) perror("bulk: answer");
        close(connection);
        return false;
    }
}

void watch(int poll, int socket) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event)) perror("bulk: watch");
}

int sink(int port) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof one);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(static_cast<uint16_t>(port));
    if (bind(listener, reinterpret_cast<sockaddr *>(&any), sizeof any) || listen(listener, 4096)) {
        perror("bulk: sink");
        return 1;
    }
    // One thread: a thread for each connection would be what is measured.
    const int poll = epoll_create1(0);
    watch(poll, listener);
    std::vector<char> room(piece);
    for (epoll_event event; epoll_wait(poll, &event, 1, -1) == 1;) {
        if (event.data.fd != listener) {
            drain(event.data.fd, room);
        } else if (const int connection = accept(listener, nullptr, nullptr); connection >= 0) {
            // Most connections are there to be counted: they are over by now, or soon.
            if (drain(connection, room)) watch(poll, connection);
        }
    }
    perror("bulk: sink");
    return 1;
}

int send_all(char **arguments) {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<uint16_t>(std::atoi(arguments[4])));
    if (inet_pton(AF_INET, arguments[3], &server.sin_addr) != 1) return 2;
    const std::size_t total = std::strtoull(arguments[5], nullptr, 10) << 30;
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, reinterpret_cast<sockaddr *>(&server), sizeof server)) {
        perror("bulk: connect");
        return 1;
    }
    const std::vector<char> room(piece, 'x');
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t sent = 0; sent < total;) {
        const ssize_t n = write(s, room.data(), std::min(piece, total - sent));
        if (n < 0) {
            perror("bulk: write");
            return 1;
        }
        sent += static_cast<std::size_t>(n);
    }
    shutdown(s, SHUT_WR);
    char last;
    if (read(s, &last, 1) != 1) {
        perror("bulk: the end was not answered");
        return 1;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    std::printf(R"({"bench":"%s","case":"%s","metric":"bulk_gbit_s","value":%.2f,"unit":"Gbit/s"})"
                "\n",
                arguments[1], arguments[2], static_cast<double>(total) * 8e-9 / seconds.count());
    return 0;
}

} // namespace

int main(int count, char **arguments) {
    if (count == 3 && std::string(arguments[1]) == "--sink") return sink(std::atoi(arguments[2]));
    if (count == 6) return send_all(arguments);
    std::fprintf(stderr, "usage: bulk BENCH CASE ADDRESS PORT GIB | bulk --sink PORT\n");
    return 2;
}
