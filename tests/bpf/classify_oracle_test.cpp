// SPDX-License-Identifier: Apache-2.0
// Random policies with registered callouts, every layer: dp_classify, suspended and resumed at each
// callout, asks the oracle's questions in the oracle's order and comes to its verdict.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <iostream>

#include "bpf/kernel.h"
#include "harness/random_policy.h"

namespace sluice::bpf_test {
namespace {

using namespace harness;
using policy::CalloutAnswer;

struct Question {
    std::uint64_t filter;
    std::uint32_t running;
    bool writable;
    bool operator==(const Question &) const = default;
};

struct Judged {
    std::uint32_t action = 0;
    bool hard = false;
    std::uint64_t filter = 0;
    std::vector<Question> asked;
};

Judged by_oracle(const Scene &scene, const policy::Packet &packet) {
    Judged out;
    const policy::AskCallout answer = scene.ask();
    const policy::Verdict verdict = arbitrate(
        scene.policy, packet, [&](const policy::Filter &f, std::uint32_t running, bool writable) {
            const policy::CalloutReply reply = answer(f, running, writable);
            if (reply.asked == policy::Asked::answered)
                out.asked.push_back({f.id, running, writable});
            return reply;
        });
    out.action = verdict.action;
    out.hard = verdict.hard;
    out.filter = verdict.filter;
    return out;
}

Judged by_kernel(Classifier &kernel, const Scene &scene, const policy::Packet &packet) {
    Judged out;
    dp_eval eval{};
    const dp_key key = key_of(packet);
    std::uint32_t result = kernel.run(key, eval);
    while (result == DP_CLASSIFY_CALLOUT) {
        RC_ASSERT(out.asked.size() < 100u);
        out.asked.push_back(
            {eval.asked_id, eval.action, (eval.rights & DP_RIGHT_ACTION_WRITE) != 0});
        const CalloutAnswer answer = scene.answers.at(eval.asked_id);
        keep_answer(eval, answer.action, answer.clear_right);
        result = kernel.run(key, eval);
    }
    RC_ASSERT(result == DP_CLASSIFY_PERMIT || result == DP_CLASSIFY_BLOCK);
    out.action = result == DP_CLASSIFY_BLOCK ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    out.hard = (eval.rights & DP_RIGHT_ACTION_WRITE) == 0;
    out.filter = eval.filter_id;
    return out;
}

struct Seen {
    int pairs = 0, asked = 0, hard = 0, blocked = 0;
};

void compare(Classifier &kernel, const Scene &scene, std::uint16_t layer, Seen &seen) {
    const policy::Packet packet = random_packet(layer);
    const Judged expected = by_oracle(scene, packet);
    const Judged found = by_kernel(kernel, scene, packet);
    ++seen.pairs;
    seen.asked += expected.asked.empty() ? 0 : 1;
    seen.hard += expected.hard ? 1 : 0;
    seen.blocked += expected.action == FWP_ACTION_BLOCK ? 1 : 0;
    RC_ASSERT(found.asked == expected.asked);
    RC_ASSERT(found.action == expected.action);
    RC_ASSERT(found.hard == expected.hard);
    RC_ASSERT(found.filter == expected.filter);
}

TEST(Classification, IsTheOraclesForRandomPoliciesAndAnswers) {
    SLUICE_NEEDS_BPF();
    const std::vector<std::uint16_t> layers{in_v4, in_v6, connect_v4, connect_v6};
    Classifier kernel;
    Seen seen;
    EXPECT_TRUE(rc::check([&] {
        const Scene scene = random_scene(layers, 6);
        for (const auto &[key, id] : scene.policy.callout_ids)
            kernel.maps().answer_for(id, scene.registered.contains(id) ? 1 : 0);
        kernel.maps().set_alive(1, true);
        kernel.maps().publish(plan_of(scene.policy));
        for (int i = 0; i < 100; ++i)
            compare(kernel, scene, layers[i % layers.size()], seen);
    }));
    std::cout << seen.pairs << " pairs: " << seen.asked << " asked a callout, " << seen.hard
              << " hard, " << seen.blocked << " blocked\n";
    EXPECT_GE(std::min({seen.asked, seen.hard, seen.blocked}), seen.pairs / 10);
}

} // namespace
} // namespace sluice::bpf_test
