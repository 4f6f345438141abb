// SPDX-License-Identifier: Apache-2.0
// The flow cache on two processors at once: packets, writes and blocks of a dozen flows of one set,
// at random, in the kernel.
#include <gtest/gtest.h>

#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <memory>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include "cache_probe.h"

#include "cache_probe.skel.h"

namespace {

constexpr int rounds = 200, steps = 8000; // of each processor: 3.2 million in all

struct Destroy {
    void operator()(cache_probe_bpf *skeleton) const { cache_probe_bpf::destroy(skeleton); }
};

void run(const bpf_program *program, std::uint32_t times) {
    std::array<char, 64> packet{};
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    opts.data_in = packet.data();
    opts.data_size_in = packet.size();
    opts.repeat = static_cast<int>(times);
    ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program), &opts), 0);
}

void run_on(std::size_t processor, const bpf_program *program, std::uint32_t times) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(processor, &only);
    ASSERT_EQ(sched_setaffinity(0, sizeof only, &only), 0);
    run(program, times);
}

template <typename Value>
Value at(const bpf_map *map, std::uint32_t key) {
    Value value{};
    EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(map), &key, &value), 0);
    return value;
}

TEST(CacheRace, TwoProcessorsTearNothingAndLoseNoCount) {
    if (geteuid() != 0) GTEST_SKIP() << "needs the right to load programs";
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two processors";
    const std::unique_ptr<cache_probe_bpf, Destroy> probe(cache_probe_bpf::open_and_load());
    ASSERT_NE(probe, nullptr);
    for (int round = 0; round < rounds; ++round) {
        std::thread one([&] { run_on(0, probe->progs.probe_race, steps); });
        std::thread other([&] { run_on(1, probe->progs.probe_race, steps); });
        one.join();
        other.join();
        run(probe->progs.probe_settle, 1);
        const auto set = at<dp_cached_set>(probe->maps.sets, 0);
        std::array<int, PROBE_FLOWS> entries{};
        for (const auto &entry : set.entry) {
            ASSERT_EQ(entry.word & DP_CACHED_BUSY, 0u);
            if ((entry.word & DP_CACHED_VALID) == 0) continue;
            ASSERT_LT(entry.seen, PROBE_FLOWS);
            ASSERT_EQ(++entries[entry.seen], 1) << "flow " << entry.seen << " is there twice";
            ASSERT_EQ(entry.local_port, entry.seen) << "an entry of two flows";
            ASSERT_EQ(entry.generation, PROBE_GENERATION(entry.seen)) << "an entry of two flows";
        }
        ASSERT_EQ(set.lock, 0u);
        for (std::uint32_t n = 0; n < PROBE_FLOWS; ++n) {
            const auto flow = at<probe_flow>(probe->maps.probe_flows, n);
            ASSERT_TRUE(flow.permitted != 0 || entries[n] == 0) << "a verdict survives a block";
            ASSERT_EQ(flow.folded, flow.passed) << "flow " << n;
            ASSERT_EQ(flow.folded_bytes, PROBE_BYTES * flow.passed) << "flow " << n;
        }
    }
    const auto tally = at<probe_tally>(probe->maps.tallies, 0);
    EXPECT_EQ(tally.runs, std::uint64_t{2} * rounds * steps);
    EXPECT_EQ(tally.torn, 0u);
    EXPECT_GT(tally.hits, tally.runs / 100);
    EXPECT_GT(tally.puts, tally.runs / 100);
    EXPECT_GT(tally.blocks, tally.runs / 100);
    RecordProperty("hits", std::to_string(tally.hits));
    std::cout << tally.runs << " steps: " << tally.hits << " hits, " << tally.puts << " writes, "
              << tally.blocks << " blocks, " << tally.torn << " torn\n";
}

} // namespace
