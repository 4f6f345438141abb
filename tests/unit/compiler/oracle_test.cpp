// SPDX-License-Identifier: Apache-2.0
// Compiled rows, walked the way the kernel walks them, give the oracle's verdict for random
// policies and packets.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstring>
#include <iostream>

#include "compiler/compile.h"
#include "harness/random_policy.h"

namespace sluice::compiler {
namespace {

using namespace harness;
using policy::Packet;
using policy::Verdict;

dp_addr halves(const policy::Bytes16 &bytes) {
    dp_addr a{};
    for (int i = 0; i < 8; ++i) {
        a.hi = a.hi << 8 | bytes[i];
        a.lo = a.lo << 8 | bytes[8 + i];
    }
    return a;
}

dp_key key_of(const Packet &p) {
    dp_key key{};
    key.layer = p.layer;
    key.protocol = p.protocol;
    key.local_port = p.local_port;
    key.remote_port = p.remote_port;
    key.local = p.v6 ? halves(p.local6) : dp_addr{0, 0xffff00000000ull | p.local4};
    key.remote = p.v6 ? halves(p.remote6) : dp_addr{0, 0xffff00000000ull | p.remote4};
    return key;
}

bool inside(const dp_addr &a, const dp_addr &lo, const dp_addr &hi) {
    const auto whole = [](const dp_addr &x) {
        return static_cast<unsigned __int128>(x.hi) << 64 | x.lo;
    };
    return whole(a) >= whole(lo) && whole(a) <= whole(hi);
}

// Ranges alone decide: an unused field must be open.
bool row_matches(const dp_row &r, const dp_key &k) {
    return k.protocol >= r.protocol_lo && k.protocol <= r.protocol_hi &&
           k.local_port >= r.local_port_lo && k.local_port <= r.local_port_hi &&
           k.remote_port >= r.remote_port_lo && k.remote_port <= r.remote_port_hi &&
           inside(k.local, r.local_lo, r.local_hi) && inside(k.remote, r.remote_lo, r.remote_hi);
}

// The search as its contract says: the first row above a rank and not below a sublayer.
const dp_row *next_match(const Plan &plan, const dp_key &key, std::uint32_t rank,
                         std::uint32_t sublayer) {
    dp_layer_index index;
    std::memcpy(&index, &plan.image.at(key.layer), sizeof index);
    for (std::uint32_t i = index.first; i < index.first + index.count; ++i) {
        const dp_row &row = plan.image.at(i);
        if (row.rank > rank && row.sublayer >= sublayer && row_matches(row, key)) return &row;
    }
    return nullptr;
}

struct Running {
    std::uint32_t action = DP_ACTION_NONE;
    bool hard = false;
    std::uint64_t filter = 0;
};

struct Said {
    std::uint32_t action;
    bool hard;
    bool callout;
};

Said said_by(const dp_row &row, const Scene &scene) {
    if ((row.action & DP_ACTION_FLAG_CALLOUT) == 0)
        return {row.action,
                row.action == DP_ACTION_BLOCK || (row.flags & DP_ROW_CLEAR_ACTION_RIGHT) != 0,
                false};
    if (!scene.registered.contains(row.callout)) {
        if (row.action == DP_ACTION_CALLOUT_INSPECTION) return {DP_ACTION_CONTINUE, false, false};
        if ((row.flags & DP_ROW_PERMIT_IF_UNREGISTERED) != 0)
            return {DP_ACTION_PERMIT, false, false};
        return {DP_ACTION_BLOCK, true, false};
    }
    const policy::CalloutAnswer answer = scene.answers.at(row.filter_id);
    std::uint32_t action = answer.action;
    if (action != DP_ACTION_PERMIT &&
        !(action == DP_ACTION_CONTINUE && row.action == DP_ACTION_CALLOUT_UNKNOWN))
        action = DP_ACTION_BLOCK;
    if (row.action == DP_ACTION_CALLOUT_INSPECTION) action = DP_ACTION_CONTINUE;
    return {action, answer.clear_right, true};
}

Verdict walk(const Plan &plan, const dp_key &key, const Scene &scene) {
    Running now;
    std::uint32_t rank = 0, sublayer = 0;
    while (const dp_row *row = next_match(plan, key, rank, sublayer)) {
        rank = row->rank;
        const Said said = said_by(*row, scene);
        if (said.action == DP_ACTION_CONTINUE) continue;
        sublayer = row->sublayer + 1;
        if (!now.hard)
            now = {said.action, said.hard, row->filter_id};
        else if (said.callout && said.action == DP_ACTION_BLOCK && now.action == DP_ACTION_PERMIT)
            now = {DP_ACTION_BLOCK, true, row->filter_id};
    }
    if (now.action == DP_ACTION_NONE) return {DP_ACTION_PERMIT, false, 0};
    return {now.action, now.hard, now.filter};
}

// How often each kind of verdict was compared; a property that only sees one kind proves little.
struct Seen {
    int nothing = 0, soft = 0, hard = 0, pairs = 0;
};

void compare(const Scene &scene, const Plan &plan, std::uint16_t layer, Seen &seen) {
    const Packet packet = random_packet(layer);
    const Verdict expected = arbitrate(scene.policy, packet, scene.ask());
    const Verdict found = walk(plan, key_of(packet), scene);
    ++seen.pairs;
    ++(expected.filter == 0 ? seen.nothing : expected.hard ? seen.hard : seen.soft);
    RC_ASSERT(found.action == expected.action);
    RC_ASSERT(found.hard == expected.hard);
    RC_ASSERT(found.filter == expected.filter);
}

TEST(CompiledRows, JudgeAsTheOracleDoes) {
    const std::vector<std::uint16_t> layers{in_v4, in_v6, connect_v4, connect_v6};
    Seen seen;
    EXPECT_TRUE(rc::check([&] {
        const Scene scene = random_scene(layers, 6);
        const auto plan = compile(scene.policy, 1);
        RC_ASSERT(plan.has_value());
        for (int i = 0; i < 100; ++i)
            compare(scene, *plan, layers[i % layers.size()], seen);
    }));
    std::cout << seen.pairs << " pairs: " << seen.hard << " hard, " << seen.soft << " soft, "
              << seen.nothing << " undecided\n";
    EXPECT_GE(std::min({seen.hard, seen.soft, seen.nothing}), seen.pairs / 20);
}

} // namespace
} // namespace sluice::compiler
