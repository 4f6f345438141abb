// SPDX-License-Identifier: Apache-2.0
// Contexts on flows: downcalls of hosts against dp_port_down under the kernel's test run.
#include "one_flow.h"

namespace sluice::bpf_test {
namespace {

constexpr std::uint32_t port_ifindex = 1; // lo: the test run wants a device that exists

struct Context : OneFlow {
    bpf_program *program() override { return skeleton_->progs.dp_port_down; }
    void SetUp() override {
        OneFlow::SetUp();
        if (IsSkipped()) return;
        set(skeleton_->maps.ports, port_ifindex, dp_port{.host = host, .pad = 0});
    }

    struct Ack {
        int action = -1;
        std::size_t bytes = 0;
        dp_upcall up{};
    };
    Ack send(std::uint64_t contexts_set, std::uint64_t contexts_clear = 0,
             std::uint64_t id = flow_id, const dp_flow_key &k = key(), std::size_t extra = 0) {
        dp_downcall d{};
        d.magic = DP_DOWNCALL_MAGIC;
        d.version = DP_LAYOUT_VERSION;
        d.kind = DP_DOWNCALL_CONTEXT;
        d.ticket = id;
        d.filter_id = 4711;
        d.key = k;
        d.contexts_set = contexts_set;
        d.contexts_clear = contexts_clear;
        std::vector<std::uint8_t> in(sizeof d + extra), out(4096);
        std::memcpy(in.data(), &d, sizeof d);
        xdp_md context{};
        context.data_end = static_cast<std::uint32_t>(in.size());
        context.ingress_ifindex = port_ifindex;
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.data(), .data_out = out.data(),
                    .data_size_in = static_cast<std::uint32_t>(in.size()),
                    .data_size_out = static_cast<std::uint32_t>(out.size()), .ctx_in = &context,
                    .ctx_size_in = sizeof context, .repeat = 1);
        EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program()), &options), 0);
        Ack ack;
        ack.action = static_cast<int>(options.retval);
        ack.bytes = options.data_size_out;
        std::memcpy(&ack.up, out.data(), sizeof ack.up);
        return ack;
    }
    void expect(const Ack &ack, std::uint32_t done) {
        ASSERT_EQ(ack.action, XDP_TX);
        EXPECT_EQ(ack.bytes, sizeof(dp_upcall));
        EXPECT_EQ(ack.up.magic, DP_UPCALL_MAGIC);
        EXPECT_EQ(ack.up.version, DP_LAYOUT_VERSION);
        EXPECT_EQ(ack.up.kind, DP_UPCALL_ACK);
        EXPECT_EQ(ack.up.header_bytes, sizeof(dp_upcall));
        EXPECT_EQ(ack.up.filter_id, 4711u);
        EXPECT_EQ(ack.up.action, done);
    }
    static std::uint64_t theirs() {
        std::uint64_t bits = 0;
        for (std::uint32_t slot = 0; slot < DP_CONTEXT_SLOTS; slot += 3)
            bits |= bit(slot);
        return bits;
    }
};

TEST_F(Context, EveryOwnSlotIsSetClearedAndAcknowledged) {
    open(0);
    std::uint64_t expected = 0;
    for (std::uint32_t slot = 0; slot < DP_CONTEXT_SLOTS; ++slot) {
        if ((theirs() & bit(slot)) != 0) continue;
        expect(send(bit(slot)), 1);
        expected |= bit(slot);
        EXPECT_EQ(flow()->contexts, expected) << slot;
    }
    expect(send(0, ~theirs()), 1);
    EXPECT_EQ(flow()->contexts, 0u);
    expect(send(~theirs(), 0), 1);
    EXPECT_EQ(flow()->contexts, ~theirs()) << "all at once";
    expect(send(bit(1), bit(1) | bit(2)), 1);
    EXPECT_EQ(flow()->contexts, ~theirs() & ~bit(2)) << "what is replaced stays";
}

TEST_F(Context, BitsOfOthersAreRefused) {
    for (std::uint32_t slot = 0; slot < DP_CONTEXT_SLOTS; ++slot) {
        if ((theirs() & bit(slot)) == 0) continue;
        open(theirs());
        const std::uint64_t was = count(DP_REASON_DOWNCALL_FOREIGN);
        expect(send(bit(slot)), 0);
        expect(send(0, bit(slot)), 0);
        expect(send(bit(1) | bit(slot)), 0);
        EXPECT_EQ(flow()->contexts, theirs()) << "also none of its own beside";
        EXPECT_EQ(count(DP_REASON_DOWNCALL_FOREIGN), was + 3);
    }
    set(skeleton_->maps.context_slots, 1u, dp_context_slot{});
    open(0);
    expect(send(bit(1)), 0);
    EXPECT_EQ(flow()->contexts, 0u) << "a slot of nobody";
}

TEST_F(Context, AFlowThatIsNotThereIsAnsweredSo) {
    expect(send(bit(1)), 0);
    open(0);
    expect(send(bit(1), 0, flow_id + 1), 0);
    EXPECT_EQ(flow()->contexts, 0u);
    dp_flow f = *flow();
    f.gone = 1;
    set(skeleton_->maps.flows, key(), f);
    expect(send(bit(1)), 0);
    EXPECT_EQ(flow()->contexts, 0u) << "its end has been told";
    EXPECT_EQ(count(DP_REASON_DOWNCALL_UNKNOWN_FLOW), 3u);
}

TEST_F(Context, AFrameOfAnotherSizeIsNone) {
    open(0);
    EXPECT_EQ(send(bit(1), 0, flow_id, key(), 1).action, XDP_DROP);
    EXPECT_EQ(flow()->contexts, 0u);
    EXPECT_EQ(count(DP_REASON_DOWNCALL_MALFORMED), 1u);
}

TEST_F(Context, TheSocketsRecordCountsFlowsNotContexts) {
    const std::uint64_t cookie = 99;
    const auto record = [&] { return get<dp_endpoint_flows>(skeleton_->maps.endpoints, cookie); };
    open(0);
    send(bit(1));
    send(bit(2));
    ASSERT_TRUE(record());
    EXPECT_EQ(record()->flows, 1u);
    EXPECT_EQ(record()->id, flow_id);
    open(0, flow_id + 1, key(1001));
    send(bit(1), 0, flow_id + 1, key(1001));
    EXPECT_EQ(record()->flows, 2u);
    EXPECT_EQ(record()->last.local_port, 1001);
    open(0, flow_id + 2, key(1002, 6));
    send(bit(1), 0, flow_id + 2, key(1002, 6));
    EXPECT_EQ(record()->flows, 2u) << "TCP tells by itself";
}

} // namespace
} // namespace sluice::bpf_test
