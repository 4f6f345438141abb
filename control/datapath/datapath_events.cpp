// SPDX-License-Identifier: Apache-2.0
// What a data plane tells of its verdicts, and verdicts on demand.
#include <bpf/bpf.h>
#include <cerrno>

#include "datapath/datapath_state.h"

namespace sluice::datapath {

namespace {

int take_event(void *context, void *data, std::size_t bytes) {
    const auto *state = static_cast<const std::function<void(const dp_event &)> *>(context);
    if (bytes >= sizeof(dp_event) && *state) (*state)(*static_cast<const dp_event *>(data));
    return 0;
}

} // namespace

Result<void> Datapath::State::open_events() {
    const auto fd = open_pinned(pins.at("events"));
    if (!fd) return fd.error();
    events.reset(ring_buffer__new(fd->get(), take_event, &on_event, nullptr));
    if (!events) return Error{errno, "map the ring of events", pins.at("events")};
    return {};
}

Result<void> Datapath::tell(std::uint32_t types) {
    return state_->event_options.set(0, {types, 0});
}

void Datapath::each_event(const std::function<void(const dp_event &)> &visit) {
    state_->on_event = visit;
    ring_buffer__consume(state_->events.get());
    state_->on_event = nullptr;
}

Result<dp_judge_result> Datapath::judge(const dp_flow_key &key, std::uint32_t due) {
    dp_judge_request request{};
    request.order = due != 0 ? DP_JUDGE_DUE : DP_JUDGE_REAUTHORIZE;
    request.key = key;
    request.ticket = due;
    return order(request);
}

Result<dp_judge_result> Datapath::order(const dp_judge_request &request) {
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &request, .data_size_in = sizeof request);
    if (bpf_prog_test_run_opts(state_->judge.get(), &run) != 0)
        return Error{errno, "judge or end a flow"};
    return static_cast<dp_judge_result>(run.retval);
}

} // namespace sluice::datapath
