// SPDX-License-Identifier: Apache-2.0
#include "bpf/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "bpf/classify_probe.h"
#include "shared/config.h"
#include "shared/flow.h"
#include "shared/port.h"

#include "classify_probe.skel.h"
#include "xdp.skel.h"

namespace sluice::bpf_test {

namespace {

void check(int result, const char *what) {
    if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(-result));
}

template <typename Value, typename Count>
std::uint64_t sum_over_cpus(int map, const void *key, Count Value::*member) {
    std::vector<Value> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    check(bpf_map_lookup_elem(map, key, values.data()), "read a counter");
    std::uint64_t sum = 0;
    for (const Value &value : values)
        sum += value.*member;
    return sum;
}

struct HitCount {
    std::uint64_t packets;
};

std::uint32_t test_run(const bpf_program *program, const void *data, std::size_t size) {
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    opts.data_in = data;
    opts.data_size_in = static_cast<__u32>(size);
    opts.repeat = 1;
    check(bpf_prog_test_run_opts(bpf_program__fd(program), &opts), "run the program");
    return opts.retval;
}

template <typename Skeleton>
Skeleton *loaded(Skeleton *skeleton, const char *name) {
    if (skeleton == nullptr)
        throw std::runtime_error(std::string("load ") + name + ": " + std::strerror(errno));
    return skeleton;
}

} // namespace

void Maps::publish(const compiler::Plan &plan) {
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
    const auto entries = static_cast<__u32>(plan.image.size());
    Fd image(
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "image", sizeof(__u32), sizeof(dp_row), entries, &opts));
    check(image.valid() ? 0 : -errno, "make an image");
    for (__u32 i = 0; i < entries; ++i)
        check(bpf_map_update_elem(image.get(), &i, &plan.image[i], BPF_ANY), "write a row");
    const __u32 slot = 0;
    const int fd = image.get();
    check(bpf_map_update_elem(policy_, &slot, &fd, BPF_ANY), "publish an image");
    image_ = std::move(image);
}

void Maps::withdraw() {
    const __u32 slot = 0;
    bpf_map_delete_elem(policy_, &slot);
}

void Maps::answer_for(std::uint32_t callout, std::uint32_t host) {
    dp_callout value{};
    value.host = host;
    check(bpf_map_update_elem(callouts_, &callout, &value, BPF_ANY), "write a callout");
}

void Maps::set_alive(std::uint32_t host, bool alive) {
    dp_host value{};
    value.alive = alive ? 1 : 0;
    check(bpf_map_update_elem(hosts_, &host, &value, BPF_ANY), "write a host");
}

compiler::Plan plan_of(const policy::Policy &policy, std::uint64_t generation) {
    Result<compiler::Plan> plan = compiler::compile(policy, generation);
    if (!plan) throw std::runtime_error(plan.error().text());
    return std::move(plan).value();
}

dp_key key_of(const policy::Packet &p) {
    const auto halves = [](const policy::Bytes16 &bytes) {
        dp_addr a{};
        for (int i = 0; i < 8; ++i) {
            a.hi = a.hi << 8 | bytes[i];
            a.lo = a.lo << 8 | bytes[8 + i];
        }
        return a;
    };
    dp_key key{};
    key.layer = p.layer;
    key.protocol = p.protocol;
    key.local_port = p.local_port;
    key.remote_port = p.remote_port;
    key.local = p.v6 ? halves(p.local6) : dp_addr{0, 0xffff00000000ull | p.local4};
    key.remote = p.v6 ? halves(p.remote6) : dp_addr{0, 0xffff00000000ull | p.remote4};
    if (!p.local_known) {
        key.unknown = DP_FIELD_LOCAL_ADDRESS | DP_FIELD_LOCAL_PORT;
        key.local = {};
        key.local_port = 0;
    }
    return key;
}

std::string Xdp::why_not() {
    static const std::string why = []() -> std::string {
        bpf_insn exit_now[2]{};
        exit_now[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
        exit_now[1].code = BPF_JMP | BPF_EXIT;
        const Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "GPL", exit_now, 2, nullptr));
        return program.valid() ? "" : std::strerror(errno);
    }();
    return why;
}

Xdp::Xdp()
    : skeleton_(loaded(xdp_bpf__open_and_load(), "xdp")),
      maps_(bpf_map__fd(skeleton_->maps.policy), bpf_map__fd(skeleton_->maps.callouts),
            bpf_map__fd(skeleton_->maps.hosts)) {}

Xdp::~Xdp() {
    xdp_bpf__destroy(skeleton_);
}

std::uint32_t Xdp::run(const harness::Bytes &frame) {
    return test_run(skeleton_->progs.dp_xdp_nic, frame.data(), frame.size());
}

std::map<std::uint32_t, std::uint64_t> Xdp::take_reasons() {
    std::map<std::uint32_t, std::uint64_t> since;
    for (std::uint32_t reason = 0; reason < DP_REASONS; ++reason) {
        const std::uint64_t now =
            sum_over_cpus(bpf_map__fd(skeleton_->maps.reasons), &reason, &dp_reason_count::packets);
        if (now != reasons_[reason]) since[reason] = now - reasons_[reason];
        reasons_[reason] = now;
    }
    return since;
}

void Xdp::watch_filters(const std::vector<std::uint64_t> &ids) {
    const int map = bpf_map__fd(skeleton_->maps.filter_hits);
    for (const auto &[id, count] : hits_)
        bpf_map_delete_elem(map, &id);
    hits_.clear();
    const std::vector<std::uint64_t> zero(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    for (const std::uint64_t id : ids) {
        check(bpf_map_update_elem(map, &id, zero.data(), BPF_ANY), "watch a filter");
        hits_[id] = 0;
    }
}

std::uint64_t Xdp::take_hit() {
    std::uint64_t hit = 0;
    for (auto &[id, count] : hits_) {
        const std::uint64_t now =
            sum_over_cpus(bpf_map__fd(skeleton_->maps.filter_hits), &id, &HitCount::packets);
        if (now == count) continue;
        if (hit != 0 || now != count + 1)
            throw std::runtime_error("more than one hit for one packet");
        hit = id;
        count = now;
    }
    return hit;
}

Classifier::Classifier()
    : skeleton_(loaded(classify_probe_bpf__open_and_load(), "classify_probe")),
      maps_(bpf_map__fd(skeleton_->maps.policy), bpf_map__fd(skeleton_->maps.callouts),
            bpf_map__fd(skeleton_->maps.hosts)) {}

Classifier::~Classifier() {
    classify_probe_bpf__destroy(skeleton_);
}

std::uint32_t Classifier::run(const dp_key &key, dp_eval &eval) {
    const int map = bpf_map__fd(skeleton_->maps.probes);
    const __u32 zero = 0;
    dp_probe probe{};
    probe.key = key;
    probe.eval = eval;
    check(bpf_map_update_elem(map, &zero, &probe, BPF_ANY), "write the question");
    const harness::Bytes frame(64, 0);
    if (test_run(skeleton_->progs.dp_classify_probe, frame.data(), frame.size()) != 0)
        throw std::runtime_error("the probe found no question");
    check(bpf_map_lookup_elem(map, &zero, &probe), "read the result");
    eval = probe.eval;
    return probe.result;
}

void keep_answer(dp_eval &eval, std::uint32_t action, bool clear_right) {
    dp_answer &answer = eval.answer[eval.answers++ % DP_ANSWERS_MAX]; // in place of the oldest
    answer.filter_id = eval.asked_id;
    answer.action = action;
    answer.rights = clear_right ? 0 : DP_RIGHT_ACTION_WRITE;
    answer.running_action_low = static_cast<std::uint16_t>(eval.action);
}

} // namespace sluice::bpf_test
