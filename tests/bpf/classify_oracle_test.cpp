// SPDX-License-Identifier: Apache-2.0
// Random policies over every cell of the table (layer, field, way to compare), random packets:
// dp_classify, suspended and resumed at each callout of two hosts, asks the oracle's questions in
// the oracle's order and comes to its verdict. Repeat a failure with the printed seed:
// SLUICE_SEED=N; SLUICE_PAIRS=N for more or fewer pairs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "bpf/kernel.h"
#include "harness/coverage.h"
#include "harness/random_policy.h"

namespace sluice::bpf_test {
namespace {

using namespace harness;
using policy::CalloutAnswer;

constexpr std::uint64_t pairs_by_default = 1'000'000;
constexpr std::uint64_t least_of_a_cell = 50;

std::uint64_t number_from(const char *variable, std::uint64_t otherwise) {
    const char *text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

struct Question {
    std::uint64_t filter;
    std::uint32_t running;
    bool writable;
    bool operator==(const Question &) const = default;
};

struct Judged {
    std::uint32_t action = 0; // 0: deferred
    bool hard = false;
    std::uint64_t filter = 0;
    std::vector<Question> asked;
    bool operator==(const Judged &) const = default;
};

std::ostream &operator<<(std::ostream &out, const Judged &j) {
    out << std::hex << j.action << std::dec << (j.hard ? " hard" : " soft") << " by " << j.filter;
    for (const Question &q : j.asked)
        out << ", asked " << q.filter << " under " << std::hex << q.running << std::dec;
    return out;
}

struct Seen {
    std::uint64_t pairs = 0, matched = 0, asked = 0, hard = 0, blocked = 0, deferred = 0, twice = 0;
    std::uint64_t passed_over = 0; // callouts

    void count(const Judged &j) {
        ++pairs;
        asked += j.asked.empty() ? 0 : 1;
        twice += j.asked.size() > 1 ? 1 : 0;
        hard += j.hard ? 1 : 0;
        blocked += j.action == FWP_ACTION_BLOCK ? 1 : 0;
        deferred += j.action == 0 ? 1 : 0;
        matched += j.filter != 0 ? 1 : 0;
    }
};

Judged by_oracle(const Scene &scene, const Sample &sample, Seen &seen) {
    Judged out;
    const policy::AskCallout answer = scene.ask(sample.key.contexts);
    const policy::Verdict verdict =
        arbitrate(scene.policy, sample.packet,
                  [&](const policy::Filter &f, std::uint32_t running, bool writable) {
                      const policy::CalloutReply reply = answer(f, running, writable);
                      if (reply.asked == policy::Asked::passed_over) ++seen.passed_over;
                      if (reply.asked == policy::Asked::answered)
                          out.asked.push_back({f.id, running, writable});
                      return reply;
                  });
    if (verdict.deferred) return out;
    out.action = verdict.action;
    out.hard = verdict.hard;
    out.filter = verdict.filter;
    return out;
}

// Reads what one probe came to; keeps it open when a callout is asked.
void take(const Scene &scene, dp_probe &probe, Judged &out) {
    if (probe.open == 0) return;
    probe.open = 0;
    dp_eval &eval = probe.eval;
    const bool hard = (eval.rights & DP_RIGHT_ACTION_WRITE) == 0;
    switch (probe.result) {
    case DP_CLASSIFY_CALLOUT: {
        out.asked.push_back({eval.asked_id, eval.action, !hard});
        const CalloutAnswer answer = scene.answers.at(eval.asked_id);
        keep_answer(eval, answer.action, answer.clear_right);
        probe.open = 1;
        return;
    }
    case DP_CLASSIFY_DEFER:
        return;
    case DP_CLASSIFY_PERMIT:
    case DP_CLASSIFY_BLOCK:
        out.action = probe.result == DP_CLASSIFY_BLOCK ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
        out.hard = hard;
        out.filter = eval.filter_id;
        return;
    default:
        throw std::runtime_error("dp_classify found no policy");
    }
}

std::vector<Judged> by_kernel(Classifier &kernel, const Scene &scene,
                              const std::vector<Sample> &samples) {
    std::vector<dp_probe> probes(samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
        probes[i].key = samples[i].key;
        probes[i].open = 1;
    }
    std::vector<Judged> out(samples.size());
    for (bool open = true; open;) {
        kernel.run(probes);
        open = false;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            take(scene, probes[i], out[i]);
            open |= probes[i].open != 0;
        }
        probes.resize(samples.size());
    }
    return out;
}

// A layer's share of a policy's filters and packets grows with its cells.
std::size_t filters_at(const SceneMaker &maker) {
    return 4 + maker.cells() / 40;
}
std::size_t packets_at(const SceneMaker &maker) {
    return 24 + maker.cells() / 4;
}

std::uint32_t slot_of(const Scene &scene, std::uint32_t callout) {
    const auto slot = scene.conditional.find(callout);
    return slot != scene.conditional.end() ? slot->second : 0;
}

// One policy with filters at every layer (the kernel takes its time to swap images), and packets at
// every layer. The round is its number and nothing else.
void judge(Classifier &kernel, const std::vector<SceneMaker> &makers, std::uint64_t round,
           Coverage &coverage, Seen &seen) {
    Dice dice(round);
    Scene scene = empty_scene(dice);
    std::vector<Sample> samples;
    for (const SceneMaker &maker : makers) {
        const std::size_t filters = filters_at(maker);
        maker.fill(scene, dice, filters, round * filters);
        for (std::size_t i = packets_at(maker); i > 0; --i) {
            samples.push_back(random_sample(maker.layer(), dice));
            samples.back().key.contexts = std::uint64_t{dice.below(~0u)} << 32 | dice.below(~0u);
        }
    }
    for (const auto &[id, host] : scene.hosts)
        kernel.maps().answer_for(id, host, slot_of(scene, id));
    kernel.maps().publish(plan_of(scene.policy));
    const std::vector<Judged> found = by_kernel(kernel, scene, samples);
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const Judged expected = by_oracle(scene, samples[i], seen);
        seen.count(expected);
        coverage.count(scene.policy, samples[i].packet);
        ASSERT_EQ(found[i], expected)
            << "packet " << i << " at " << policy::layer_name(samples[i].packet.layer)
            << ", SLUICE_SEED=" << round << '\n'
            << text_of(scene.policy);
    }
}

TEST(Classification, IsTheOraclesForEveryLayerFieldAndMatchType) {
    SLUICE_NEEDS_BPF();
    const std::uint64_t seed = number_from("SLUICE_SEED", std::random_device{}());
    const std::uint64_t wanted = number_from("SLUICE_PAIRS", pairs_by_default);
    std::cout << "SLUICE_SEED=" << seed << '\n';
    Classifier kernel;
    for (const std::uint32_t host : hosts_alive)
        kernel.maps().set_alive(host, true);
    kernel.maps().set_alive(dead_host, false);
    std::vector<SceneMaker> makers;
    for (const std::uint16_t layer : all_layers())
        makers.emplace_back(layer);
    Coverage coverage;
    Seen seen;
    for (std::uint64_t round = seed; seen.pairs < wanted && !HasFatalFailure(); ++round)
        judge(kernel, makers, round, coverage, seen);
    coverage.print(std::cout);
    std::cout << seen.pairs << " pairs: " << seen.matched << " matched, " << seen.asked
              << " asked a callout, " << seen.twice << " several, " << seen.hard << " hard, "
              << seen.passed_over << " passed over, " << seen.blocked << " blocked, "
              << seen.deferred << " deferred\n";
    EXPECT_GE(seen.matched, seen.pairs / 5);
    EXPECT_GE(std::min({seen.asked, seen.passed_over, seen.hard, seen.blocked, seen.deferred}),
              seen.pairs / 50);
    if (wanted < pairs_by_default) return; // too few to say
    for (const auto &[cell, count] : coverage.counts())
        EXPECT_GE(count, least_of_a_cell) << name_of(cell);
}

} // namespace
} // namespace sluice::bpf_test
