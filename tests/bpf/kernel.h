// SPDX-License-Identifier: Apache-2.0
// Loaded BPF programs and their maps, for tests. Nothing is attached or pinned: it all goes with
// the object.
#pragma once

#include <linux/bpf.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/classify_probe.h"
#include "compiler/compile.h"
#include "core/fd.h"
#include "harness/packet.h"
#include "harness/world.h"
#include "policy/arbitrate.h"
#include "shared/policy.h"

struct xdp_bpf;
struct classify_probe_bpf;

namespace sluice::bpf_test {

// The first problem ends the test by an exception: nothing after it would mean anything.
class Maps {
public:
    Maps(int policy, int policy_large, int callouts, int hosts)
        : policy_(policy), policy_large_(policy_large), callouts_(callouts), hosts_(hosts) {}
    void publish(const compiler::Plan &plan);
    void withdraw(); // no policy at all
    // conditional: on a context of this slot; 0: always asked
    void answer_for(std::uint32_t callout, std::uint32_t host, std::uint32_t conditional = 0);
    void set_alive(std::uint32_t host, bool alive);

private:
    int policy_, policy_large_, callouts_, hosts_;
};

// On the machine of harness::world.
compiler::Plan plan_of(const policy::Policy &policy, std::uint64_t generation = 1);
// Of a packet that shows numbers and addresses only.
dp_key key_of(const policy::Packet &packet);

// dp_xdp_nic. `why_not` says why programs cannot be loaded here; empty: they can.
class Xdp {
public:
    static std::string why_not();
    Xdp();
    ~Xdp();
    Maps &maps() { return maps_; }
    std::uint32_t run(const harness::Bytes &frame); // XDP_*
    // What was counted since the last call, by reason.
    std::map<std::uint32_t, std::uint64_t> take_reasons();
    void watch_filters(const std::vector<std::uint64_t> &ids); // the only ones from now on
    std::uint64_t take_hit(); // the one filter that was hit since the last call; 0: none

private:
    xdp_bpf *skeleton_;
    Maps maps_;
    std::map<std::uint32_t, std::uint64_t> reasons_;
    std::map<std::uint64_t, std::uint64_t> hits_;
};

// dp_classify by itself; the executables of harness::world are known to it.
class Classifier {
public:
    Classifier();
    ~Classifier();
    Maps &maps() { return maps_; }
    std::uint32_t run(const dp_key &key, dp_eval &eval); // DP_CLASSIFY_*
    // All open ones at once; on return DP_PROBES_MAX entries.
    void run(std::vector<dp_probe> &probes);

private:
    classify_probe_bpf *skeleton_;
    Maps maps_;
};

// Keeps an answer as the kernel does when one comes down; the oldest goes when there is no room.
void keep_answer(dp_eval &eval, std::uint32_t action, bool clear_right);

#define SLUICE_NEEDS_BPF()                                                                         \
    if (const std::string why = ::sluice::bpf_test::Xdp::why_not(); !why.empty())                  \
    GTEST_SKIP() << "skipped: needs the right to load BPF programs: " << why

} // namespace sluice::bpf_test
