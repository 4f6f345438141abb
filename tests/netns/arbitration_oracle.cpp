// SPDX-License-Identifier: Apache-2.0
// What the oracle (policy::arbitrate) says to the rows (arbitration_rows.h) on standard input. A
// line for each: PORT permit|block ASKED, where ASKED is - or, with commas between,
// CONTEXT/RUNNING/WRITABLE of each question in order.
#include <cstdio>
#include <functional>
#include <iostream>

#include "arbitration_rows.h"
#include "core/result.h"
#include "policy/arbitrate.h"
#include "policy/edit.h"

using namespace arbitration;

namespace {

// Keys have no meaning here but to be different.
sluice::Guid key_of(const std::string &name) {
    sluice::Guid key;
    key.data1 = static_cast<std::uint32_t>(std::hash<std::string>()(name));
    key.data4[0] = 1;
    return key;
}

template <class T>
T must(sluice::Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text());
    return *result;
}

sluice::policy::Policy oracle_policy(const Combination &c) {
    namespace policy = sluice::policy;
    const auto layer = static_cast<std::uint16_t>(c.family == 4 ? FWPS_LAYER_ALE_AUTH_CONNECT_V4
                                                                : FWPS_LAYER_ALE_AUTH_CONNECT_V6);
    policy::Policy out = policy::initial();
    for (int place = 0; place < 3; ++place) {
        policy::SubLayer sublayer;
        sublayer.key = key_of(sublayer_names[place]);
        sublayer.name = sublayer_names[place];
        sublayer.weight = sublayer_weights[place];
        if (const auto done = policy::add_sublayer(out, sublayer); !done)
            throw std::runtime_error(done.error().text());
    }
    for (const Wanted &w : c.filters) {
        policy::Filter filter;
        filter.name = "arbitration";
        filter.layer = layer;
        filter.sublayer = key_of(sublayer_names[w.place]);
        filter.weight = policy::Scalar(std::uint64_t(w.weight));
        filter.flags = w.flags;
        filter.raw_context = w.context;
        filter.action = w.action;
        if (!w.callout.empty()) {
            policy::Callout callout;
            callout.key = filter.callout = key_of(w.callout);
            callout.name = w.callout;
            callout.layer = layer;
            if (!out.callouts.contains(callout.key)) must(policy::add_callout(out, callout));
        }
        must(policy::add_filter(out, filter));
    }
    return out;
}

// What judge.cpp answers: sluice.hpp lets nobody write without the right, but for a veto.
sluice::policy::CalloutReply answer(const sluice::policy::Filter &filter, std::uint32_t running,
                                    bool writable) {
    using namespace sluice::policy;
    const UINT64 kind = filter.raw_context & judge_answer_mask;
    const std::uint32_t action = kind == judge_blocks      ? FWP_ACTION_BLOCK
                                 : kind == judge_continues ? FWP_ACTION_CONTINUE
                                                           : FWP_ACTION_PERMIT;
    const bool veto = action == FWP_ACTION_BLOCK && running == FWP_ACTION_PERMIT;
    if (!writable && !veto) return {Asked::answered, {running, true}};
    return {Asked::answered, {action, (filter.raw_context & judge_hard) != 0}};
}

void print_expected(const Combination &c) {
    using namespace sluice::policy;
    const Policy policy = oracle_policy(c);
    Packet packet;
    packet.layer = static_cast<std::uint16_t>(c.family == 4 ? FWPS_LAYER_ALE_AUTH_CONNECT_V4
                                                            : FWPS_LAYER_ALE_AUTH_CONNECT_V6);
    const sluice::Guid nobody = key_of(c.family == 4 ? "judge_n_v4" : "judge_n_v6");
    std::string asked;
    const auto ask = [&](const Filter &filter, std::uint32_t running, bool writable) {
        if (filter.callout == nobody) return CalloutReply{};
        asked += (asked.empty() ? "" : ",") + std::to_string(filter.raw_context) + "/" +
                 std::to_string(running) + "/" + (writable ? "1" : "0");
        return answer(filter, running, writable);
    };
    const Verdict verdict = arbitrate(policy, packet, ask);
    std::printf("%u %s %s\n", unsigned{c.port},
                verdict.action == FWP_ACTION_PERMIT ? "permit" : "block",
                asked.empty() ? "-" : asked.c_str());
}

} // namespace

int main() try {
    for (const Combination &c : read(std::cin))
        print_expected(c);
} catch (const std::exception &error) {
    std::fprintf(stderr, "arbitration_oracle: %s\n", error.what());
    return 1;
}
