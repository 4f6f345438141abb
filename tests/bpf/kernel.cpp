// SPDX-License-Identifier: Apache-2.0
#include "bpf/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "compiler/layout.h"
#include "datapath/image_map.h"
#include "policy/field.h"
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

std::vector<__u32> first_keys(__u32 count) {
    std::vector<__u32> keys(count);
    std::iota(keys.begin(), keys.end(), 0u);
    return keys;
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

std::uint64_t hits_of(int map, std::uint64_t filter) {
    const std::uint64_t entry = filter / DP_HITS;
    std::vector<dp_hits> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    check(bpf_map_lookup_elem(map, &entry, values.data()), "read hits");
    std::uint64_t sum = 0;
    for (const dp_hits &value : values)
        sum += value.count[filter % DP_HITS];
    return sum;
}

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
    auto image = datapath::make_image(compiler::lay_out(plan.image));
    if (!image) throw std::runtime_error(image.error().text());
    const auto published = datapath::publish_image(policy_, policy_large_, *image);
    if (!published) throw std::runtime_error(published.error().text());
}

void Maps::withdraw() {
    const __u32 slot = 0;
    bpf_map_delete_elem(policy_, &slot);
    bpf_map_delete_elem(policy_large_, &slot);
}

void Maps::answer_for(std::uint32_t callout, std::uint32_t host, std::uint32_t conditional) {
    dp_callout value{};
    value.host = host;
    value.slot = conditional;
    value.flags = conditional != 0 ? DP_CALLOUT_CONDITIONAL_ON_FLOW : 0;
    check(bpf_map_update_elem(callouts_, &callout, &value, BPF_ANY), "write a callout");
}

void Maps::set_alive(std::uint32_t host, bool alive) {
    dp_host value{};
    value.alive = alive ? 1 : 0;
    check(bpf_map_update_elem(hosts_, &host, &value, BPF_ANY), "write a host");
}

compiler::Plan plan_of(const policy::Policy &policy, std::uint64_t generation) {
    Result<compiler::Plan> plan = compiler::compile(policy, generation, harness::environment());
    if (!plan) throw std::runtime_error(plan.error().text());
    return std::move(plan).value();
}

namespace {

void put(dp_key &key, dp_slot slot, const policy::Scalar &value) {
    std::visit(
        [&](const auto &v) {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, policy::Bytes16>) {
                dp_addr &a = key.wide[slot - DP_SLOT_NUMBERS];
                for (int i = 0; i < 8; ++i) {
                    a.hi = a.hi << 8 | v[i];
                    a.lo = a.lo << 8 | v[8 + i];
                }
            } else if constexpr (std::is_integral_v<T>) {
                if (slot < DP_SLOT_NUMBERS)
                    key.number[slot] = v;
                else
                    key.wide[slot - DP_SLOT_NUMBERS] = {0, 0xffff00000000ull | v};
            } else {
                throw std::runtime_error("key_of takes numbers and addresses");
            }
        },
        value);
}

} // namespace

dp_key key_of(const policy::Packet &p) {
    dp_key key{};
    key.layer = p.layer;
    key.empty = (1u << DP_SLOTS) - 1;
    for (const Guid &name : policy::fields_at(p.layer)) {
        const policy::Field field = *policy::field_at(p.layer, name);
        if (p.unknown.contains(name)) key.unknown |= 1u << field.slot;
        const auto value = p.values.find(name);
        if (value == p.values.end()) continue;
        key.empty &= ~(1u << field.slot);
        put(key, field.slot, value->second);
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
      maps_(bpf_map__fd(skeleton_->maps.policy), bpf_map__fd(skeleton_->maps.policy_large),
            bpf_map__fd(skeleton_->maps.callouts), bpf_map__fd(skeleton_->maps.hosts)) {}

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
    for (const auto &[id, count] : hits_) {
        const std::uint64_t entry = id / DP_HITS;
        bpf_map_delete_elem(map, &entry);
    }
    hits_.clear();
    const std::vector<dp_hits> zero(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    for (const std::uint64_t id : ids) {
        const std::uint64_t entry = id / DP_HITS;
        check(bpf_map_update_elem(map, &entry, zero.data(), BPF_ANY), "watch a filter");
        hits_[id] = 0;
    }
}

std::uint64_t Xdp::take_hit() {
    std::uint64_t hit = 0;
    for (auto &[id, count] : hits_) {
        const std::uint64_t now = hits_of(bpf_map__fd(skeleton_->maps.filter_hits), id);
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
      maps_(bpf_map__fd(skeleton_->maps.policy), bpf_map__fd(skeleton_->maps.policy_large),
            bpf_map__fd(skeleton_->maps.callouts), bpf_map__fd(skeleton_->maps.hosts)) {
    for (const harness::Executable &exe : harness::executables()) {
        const dp_exe_key key{exe.id.inode, exe.id.device, 0};
        dp_exe value{};
        exe.path.copy(value.path, DP_EXE_PATH_MAX - 1);
        value.length = static_cast<__u32>(exe.path.size());
        check(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.exes), &key, &value, BPF_ANY),
              "write an executable");
    }
}

Classifier::~Classifier() {
    classify_probe_bpf__destroy(skeleton_);
}

void Classifier::run(std::vector<dp_probe> &probes) {
    if (probes.size() > DP_PROBES_MAX) throw std::runtime_error("too many probes for one run");
    const int map = bpf_map__fd(skeleton_->maps.probes);
    probes.resize(DP_PROBES_MAX); // the rest is closed
    const std::vector<__u32> keys = first_keys(DP_PROBES_MAX);
    __u32 count = DP_PROBES_MAX;
    check(bpf_map_update_batch(map, keys.data(), probes.data(), &count, nullptr),
          "write the questions");
    const harness::Bytes frame(64, 0);
    test_run(skeleton_->progs.dp_classify_probe, frame.data(), frame.size());
    std::vector<__u32> read(DP_PROBES_MAX);
    __u32 next = 0;
    count = DP_PROBES_MAX;
    const int r =
        bpf_map_lookup_batch(map, nullptr, &next, read.data(), probes.data(), &count, nullptr);
    check(r == -ENOENT ? 0 : r, "read the results"); // it was the last of the map
}

std::uint32_t Classifier::run(const dp_key &key, dp_eval &eval) {
    std::vector<dp_probe> probes(1);
    probes[0].key = key;
    probes[0].eval = eval;
    probes[0].open = 1;
    run(probes);
    eval = probes[0].eval;
    return probes[0].result;
}

void keep_answer(dp_eval &eval, std::uint32_t action, bool clear_right) {
    dp_answer &answer = eval.answer[eval.answers++ % DP_ANSWERS_MAX]; // in place of the oldest
    answer.filter_id = eval.asked_id;
    answer.action = action;
    answer.rights = clear_right ? 0 : DP_RIGHT_ACTION_WRITE;
    answer.running_action_low = static_cast<std::uint16_t>(eval.action);
}

} // namespace sluice::bpf_test
