// SPDX-License-Identifier: Apache-2.0
// bench_established: what the look-up of an established flow costs over parsing its packet; called
// by bench/established.sh. One JSON row a figure.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "compiler/layout.h"
#include "datapath/image_map.h"
#include "rules.h"
#include "shared/cache.h"
#include "shared/config.h"
#include "shared/event.h"
#include "shared/port.h"
#include "shared/redirect.h"

#include "bench_established.skel.h" // after the types it names

namespace sluice::bench {
namespace {

constexpr int packets = 1 << 16, turns = 15; // an entry counts 2^18 before it asks to be read

void check(int result, const char *what) {
    if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

// A TCP segment with data.
std::array<unsigned char, 74> segment() {
    std::array<unsigned char, 74> p{};
    p[12] = 0x08;
    p[14] = 0x45;
    p[17] = 60;
    p[22] = 64;
    p[23] = 6;
    p[26] = p[30] = 10;
    p[29] = 1;
    p[33] = 2;
    p[34] = 0x80;
    p[37] = 80;
    p[46] = 0x50;
    p[47] = 0x10;
    return p;
}

class Rig {
public:
    Rig() : skeleton_(bench_established_bpf::open()) {
        if (skeleton_ == nullptr) throw std::runtime_error("open the programs");
        auto &cfg = const_cast<dp_config &>(skeleton_->rodata->cfg);
        cfg.cache_sets = DP_CACHE_SETS;
        cfg.cache_seed = 0x243f6a8885a308d3;
        bpf_map__set_max_entries(skeleton_->maps.flow_cache, DP_CACHE_SETS);
        check(bench_established_bpf::load(skeleton_), "load the programs");
    }
    ~Rig() { bench_established_bpf::destroy(skeleton_); }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    void publish(std::size_t filters) {
        Generator make(Profile::acl, false, 1);
        const auto plan = compiler::compile(
            policy_of(make.rules(filters), DP_LAYER_ALE_AUTH_CONNECT_V4, 1), ++generation_);
        if (!plan) throw std::runtime_error(plan.error().text());
        auto image = datapath::make_image(compiler::lay_out(plan->image));
        if (!image) throw std::runtime_error(image.error().text());
        const auto done = datapath::publish_image(
            bpf_map__fd(skeleton_->maps.policy), bpf_map__fd(skeleton_->maps.policy_large), *image);
        if (!done) throw std::runtime_error(done.error().text());
    }

    // The part of the flows that has an entry.
    void enter(std::uint32_t flows) { // again: what they have counted is taken
        skeleton_->bss->among = flows - 1;
        skeleton_->bss->position = 0;
        auto frame = segment();
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                    .data_size_in = frame.size(), .repeat = static_cast<int>(flows));
        check(bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.bench_enter), &options),
              "enter the flows");
    }

    double run(const bpf_program *program) {
        auto frame = segment();
        skeleton_->bss->position = 0;
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                    .data_size_in = frame.size(), .repeat = packets);
        check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "run");
        if (options.retval != 1) throw std::runtime_error("a program found no flow");
        return options.duration;
    }

    // Over the program that only parses, each in turn.
    double net(const bpf_program *program, std::uint32_t flows) {
        std::vector<double> all;
        for (int i = 0; i < turns; ++i) {
            enter(flows);
            const double parsed = run(skeleton_->progs.bench_parse);
            all.push_back(run(program) - parsed);
        }
        std::sort(all.begin(), all.end());
        return all[all.size() / 2];
    }

    double parse() { return run(skeleton_->progs.bench_parse); }
    const auto &programs() const { return skeleton_->progs; }

private:
    bench_established_bpf *skeleton_;
    std::uint64_t generation_ = 0;
};

void print(const std::string &name, double value) {
    std::printf("{\"bench\": \"established\", \"case\": \"%s\", \"metric\": \"program_ns\", "
                "\"value\": %.4g, \"unit\": \"ns\"}\n",
                name.c_str(), value);
    std::fflush(stdout);
}

void measure_all() {
    Rig rig;
    for (const std::size_t filters : {10, 100000}) {
        rig.publish(filters);
        for (const std::uint32_t flows : {1u, 65536u}) {
            const std::string which = (flows == 1 ? std::string("hot") : "64k-flows") + "/" +
                                      std::to_string(filters) + "-filters";
            rig.enter(flows);
            print("parse/" + which, rig.parse());
            print("sluice/" + which, rig.net(rig.programs().bench_established, flows));
            print("kernel-hash/" + which, rig.net(rig.programs().bench_hash, flows));
        }
    }
}

} // namespace
} // namespace sluice::bench

int main() {
    libbpf_set_print(nullptr);
    try {
        sluice::bench::measure_all();
    } catch (const std::exception &problem) {
        std::fprintf(stderr, "bench_established: %s\n", problem.what());
        return 1;
    }
    return 0;
}
