// SPDX-License-Identifier: Apache-2.0
// Mutates the seeds of a target for a while. Deterministic from the printed seed: SLUICE_FUZZ_SEED
// repeats a run.
#include <chrono>
#include <csignal>
#include <random>
#include <unistd.h>

#include "fuzz.h"

namespace {

std::string current; // for the report of a crash

void report(int signal) {
    static const char digits[] = "0123456789abcdef";
    [[maybe_unused]] ssize_t n = ::write(2, "input: ", 7);
    for (const char c : current) {
        const auto byte = static_cast<unsigned char>(c);
        const char pair[2] = {digits[byte >> 4], digits[byte & 15]};
        n = ::write(2, pair, 2);
    }
    n = ::write(2, "\n", 1);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

class Mutator {
public:
    explicit Mutator(unsigned seed) : random_(seed) {}

    std::string next(const std::vector<std::string> &seeds) {
        std::string s = seeds[below(seeds.size())];
        for (std::size_t i = 0, n = below(6); i < n; ++i)
            change(s, seeds);
        return s;
    }

private:
    std::size_t below(std::size_t n) { return n ? random_() % n : 0; }

    void change(std::string &s, const std::vector<std::string> &seeds) {
        static constexpr unsigned char edges[] = {0, 1, 0x7f, 0x80, 0xff, '-', '/', ':', '.'};
        const std::size_t at = below(s.size() + 1);
        switch (below(6)) {
        case 0:
            if (at < s.size()) s[at] = static_cast<char>(s[at] ^ (1 << below(8)));
            return;
        case 1:
            if (at < s.size()) s[at] = static_cast<char>(edges[below(std::size(edges))]);
            return;
        case 2:
            s.insert(at, 1 + below(8), static_cast<char>(random_()));
            return;
        case 3:
            s.erase(at, 1 + below(8));
            return;
        case 4:
            s.resize(at);
            return;
        default: {
            const std::string &other = seeds[below(seeds.size())];
            const std::size_t from = below(other.size() + 1);
            s.insert(at, other.substr(from, 1 + below(32)));
        }
        }
    }

    std::mt19937 random_;
};

} // namespace

int main() {
    const char *given = std::getenv("SLUICE_FUZZ_SEED");
    const char *limit = std::getenv("SLUICE_FUZZ_SECONDS");
    const unsigned seed =
        given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(limit ? std::atoi(limit) : 3);
    const std::vector<std::string> seeds = fuzz_seeds();
    std::printf("seed %u\n", seed);
    std::fflush(stdout);
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE})
        std::signal(signal, report);

    Mutator mutator(seed);
    unsigned long runs = 0;
    for (const std::string &s : seeds) {
        current = s;
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(s.data()), s.size());
    }
    while (std::chrono::steady_clock::now() < end) {
        current = mutator.next(seeds);
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(current.data()),
                               current.size());
        ++runs;
    }
    std::printf("%lu inputs\n", runs);
    return runs > 100 ? 0 : 1; // too few say nothing
}
