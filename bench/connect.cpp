// SPDX-License-Identifier: Apache-2.0
// connect BENCH CASE ADDRESS PORT COUNT: COUNT connections one after the other; one JSON row for
// each figure. connect --serve PORT: accepts and closes, until it is killed.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

int serve(int port) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(static_cast<uint16_t>(port));
    if (bind(listener, reinterpret_cast<sockaddr *>(&any), sizeof any) || listen(listener, 4096)) {
        perror("connect: serve");
        return 1;
    }
    for (;;) {
        const int connection = accept(listener, nullptr, nullptr);
        if (connection >= 0) close(connection);
    }
}

void row(const char *bench, const char *name, const char *metric, double value, const char *unit) {
    std::printf(R"({"bench":"%s","case":"%s","metric":"%s","value":%.1f,"unit":"%s"})"
                "\n",
                bench, name, metric, value, unit);
}

int measure(char **arguments) {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<uint16_t>(std::atoi(arguments[4])));
    if (inet_pton(AF_INET, arguments[3], &server.sin_addr) != 1) return 2;
    const int wanted = std::atoi(arguments[5]);
    using clock = std::chrono::steady_clock;
    std::vector<double> micros;
    int failed = 0, error = 0;
    const auto began = clock::now();
    for (int i = 0; i < wanted && failed < 4; ++i) {
        const int s = socket(AF_INET, SOCK_STREAM, 0);
        const linger reset{1, 0}; // no TIME_WAIT: thousands of them would change what is measured
        setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        const auto before = clock::now();
        if (connect(s, reinterpret_cast<sockaddr *>(&server), sizeof server) == 0) {
            micros.push_back(
                std::chrono::duration<double, std::micro>(clock::now() - before).count());
        } else {
            error = errno;
            ++failed;
        }
        close(s);
    }
    const double seconds = std::chrono::duration<double>(clock::now() - began).count();
    if (failed)
        std::fprintf(stderr, "connect: %s: %d connections to %s:%s failed: %s\n", arguments[2],
                     failed, arguments[3], arguments[4], std::strerror(error));
    if (micros.empty()) return 1;
    std::sort(micros.begin(), micros.end());
    row(arguments[1], arguments[2], "connect_p50_us", micros[micros.size() / 2], "us");
    row(arguments[1], arguments[2], "connect_p99_us", micros[micros.size() * 99 / 100], "us");
    row(arguments[1], arguments[2], "connects_per_s", static_cast<double>(micros.size()) / seconds,
        "1/s");
    row(arguments[1], arguments[2], "failed", failed, "connections");
    return failed != 0;
}

} // namespace

int main(int count, char **arguments) {
    if (count == 3 && std::string(arguments[1]) == "--serve") return serve(std::atoi(arguments[2]));
    if (count == 6) return measure(arguments);
    std::fprintf(stderr, "usage: connect BENCH CASE ADDRESS PORT COUNT | connect --serve PORT\n");
    return 2;
}
