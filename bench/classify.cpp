// SPDX-License-Identifier: Apache-2.0
// bench_classify [MOST RULES [LEAST [SET]]]: how long the search of the policy takes; called by
// bench/classify.sh. One JSON row a figure. Each program runs by BPF_PROG_TEST_RUN over 65,536
// headers; the time of a program that only reads them is taken off. What it finds is compared with
// a search from rule to rule.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "classify.h"
#include "compiler/compile.h"
#include "compiler/layout.h"
#include "datapath/image_map.h"
#include "rules.h"
#include "shared/config.h"
#include "shared/flow.h"

#include "bench_classify.skel.h" // after the types it names

namespace sluice::bench {
namespace {

constexpr std::size_t checked = 2000; // headers, of each trace
constexpr int runs = 7;

void print(const std::string &name, const char *metric, double value, const char *unit) {
    std::printf("{\"bench\": \"classify\", \"case\": \"%s\", \"metric\": \"%s\", \"value\": %.4g, "
                "\"unit\": \"%s\"}\n",
                name.c_str(), metric, value, unit);
    std::fflush(stdout);
}

void check(int result, const char *what) {
    if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

bench_header form_of(const Header &h) {
    bench_header out{};
    out.local = h.local;
    out.remote = h.remote;
    out.local_port = h.local_port;
    out.remote_port = h.remote_port;
    out.protocol = h.protocol;
    return out;
}

class Rig {
public:
    Rig() : skeleton_(bench_classify_bpf__open_and_load()) {
        if (skeleton_ == nullptr) throw std::runtime_error("load the programs");
        dp_flow_key key{};
        key.protocol = 1;
        const __u64 value = 1;
        check(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.hash), &key, &value, 0), "fill");
    }
    ~Rig() { bench_classify_bpf__destroy(skeleton_); }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    void publish(const std::vector<std::uint64_t> &image, std::uint16_t layer) {
        auto made = datapath::make_image(image);
        if (!made) throw std::runtime_error(made.error().text());
        const auto done = datapath::publish_image(bpf_map__fd(skeleton_->maps.policy),
                                                  bpf_map__fd(skeleton_->maps.policy_large), *made);
        if (!done) throw std::runtime_error(done.error().text());
        skeleton_->bss->layer = layer;
    }
    void trace(const std::vector<Header> &headers) {
        for (__u32 i = 0; i < BENCH_HEADERS; ++i) {
            const bench_header h = form_of(headers[i % headers.size()]);
            check(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.trace), &i, &h, 0), "fill");
        }
        skeleton_->bss->position = 0;
    }
    bench_header at(__u32 i) {
        bench_header h{};
        check(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.trace), &i, &h), "read");
        return h;
    }
    // The whole trace once.
    double run(const bpf_program *program, int times = 1) {
        unsigned char frame[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof frame,
                    .repeat = BENCH_HEADERS * times);
        check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "run");
        if (options.retval != 1) throw std::runtime_error("a program gave up");
        return options.duration;
    }
    // Beside the empty program, each in turn.
    double net(const bpf_program *program) {
        std::vector<double> all;
        for (int i = 0; i < runs; ++i) {
            const double empty = run(skeleton_->progs.bench_empty, 2);
            all.push_back(run(program, 2) - empty);
        }
        std::sort(all.begin(), all.end());
        return all[all.size() / 2];
    }
    const auto &programs() const { return skeleton_->progs; }

private:
    bench_classify_bpf *skeleton_;
};

void compare(Rig &rig, const std::vector<Rule> &rules, const std::vector<Header> &headers,
             std::size_t sublayers, const std::string &name) {
    rig.run(sublayers == 1 ? rig.programs().bench_first : rig.programs().bench_each);
    for (std::size_t i = 0; i < checked; ++i) {
        __u32 best[BENCH_SUBLAYERS] = {};
        for (std::size_t r = 0; r < rules.size(); ++r)
            if (best[r % sublayers] == 0 && matches(rules[r], headers[i]))
                best[r % sublayers] = static_cast<__u32>(r + 1);
        const bench_header found = rig.at(static_cast<__u32>(i));
        for (std::size_t s = 0; s < sublayers; ++s)
            if (found.found[s] != best[s])
                throw std::runtime_error(name + ": header " + std::to_string(i) + ", sublayer " +
                                         std::to_string(s) + ": found " +
                                         std::to_string(found.found[s]) + ", it is " +
                                         std::to_string(best[s]));
    }
}

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Set {
    const char *name;
    Profile profile;
    bool v6;
};

void measure(Rig &rig, const Set &set, std::size_t count, std::size_t sublayers) {
    Generator make(set.profile, set.v6, 7 * count + sublayers);
    const std::vector<Rule> rules = make.rules(count);
    const std::uint16_t layer =
        set.v6 ? DP_LAYER_INBOUND_TRANSPORT_V6 : DP_LAYER_INBOUND_TRANSPORT_V4;
    const std::string base = std::string("sluice/") + set.name + "/" + std::to_string(count) +
                             (sublayers > 1 ? "/x" + std::to_string(sublayers) : "");
    const auto plan = compiler::compile(policy_of(rules, layer, sublayers), 1);
    if (!plan) throw std::runtime_error(plan.error().text());
    const double begun = seconds();
    const auto image = compiler::lay_out(plan->image);
    print(base, "layout_ms", (seconds() - begun) * 1e3, "ms");
    print(base, "image_mib", double(image.size()) * 8 / (1 << 20), "MiB");
    rig.publish(image, layer);
    for (const char *trace : {"first", "hit", "miss"}) {
        std::vector<Header> headers;
        for (std::size_t i = 0; i < BENCH_HEADERS; ++i) {
            const std::size_t among = *trace == 'f' ? std::max<std::size_t>(1, count / 100) : count;
            headers.push_back(*trace == 'm' ? make.outside()
                                            : make.inside(rules[(i * 7919) % among]));
        }
        const std::string name = base + "/" + trace;
        rig.trace(headers);
        compare(rig, rules, headers, sublayers, name);
        print(name, "program_ns",
              rig.net(sublayers == 1 ? rig.programs().bench_first : rig.programs().bench_each),
              "ns");
    }
}

void measure_all(std::size_t most, std::size_t least, const std::string &only) {
    Rig rig;
    rig.trace({Header{}});
    print("kernel-hash/hot", "program_ns", rig.net(rig.programs().bench_hash), "ns");
    for (const Set &set : {Set{"acl", Profile::acl, false},
                           {"acl6", Profile::acl, true},
                           {"firewall", Profile::firewall, false},
                           {"chain", Profile::chain, false}}) {
        if (!only.empty() && only != set.name) continue;
        for (std::size_t count = least; count <= most; count *= 10) {
            measure(rig, set, count, 1);
            if (set.profile == Profile::acl) measure(rig, set, count, BENCH_SUBLAYERS);
        }
    }
}

} // namespace
} // namespace sluice::bench

int main(int argc, char **argv) {
    const long most = argc > 1 ? std::atol(argv[1]) : 0, least = argc > 2 ? std::atol(argv[2]) : 0;
    libbpf_set_print(nullptr);
    try {
        sluice::bench::measure_all(most > 0 ? most : 100000, least > 0 ? least : 10,
                                   argc > 3 ? argv[3] : "");
    } catch (const std::exception &problem) {
        std::fprintf(stderr, "bench_classify: %s\n", problem.what());
        return 1;
    }
    return 0;
}
