// SPDX-License-Identifier: Apache-2.0
#include "runtime/dispatcher.h"

#include "runtime/checksum.h"

namespace sluice::runtime {

namespace {

constexpr std::chrono::milliseconds table_patience{200};

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

void call(const CalloutSpec &spec, Indication &in, FilterObject &filter, FWPS_CLASSIFY_OUT0 &out) {
    constexpr UINT64 no_flow_context = 0;
    std::visit(Overloaded{
                   [&](const FWPS_CALLOUT0 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.layer_data(),
                                    filter.as<FWPS_FILTER0>(), no_flow_context, &out);
                   },
                   [&](const FWPS_CALLOUT1 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.layer_data(), &in,
                                    filter.as<FWPS_FILTER1>(), no_flow_context, &out);
                   },
                   [&](const FWPS_CALLOUT2 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.layer_data(), &in,
                                    filter.as<FWPS_FILTER2>(), no_flow_context, &out);
                   },
                   [&](const FWPS_CALLOUT3 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.layer_data(), &in,
                                    filter.as<FWPS_FILTER3>(), no_flow_context, &out);
                   },
               },
               spec);
}

bool is_answer(std::uint32_t action) {
    return action == FWP_ACTION_PERMIT || action == FWP_ACTION_BLOCK ||
           action == FWP_ACTION_CONTINUE || action == FWP_ACTION_NONE;
}

// A datagram that leaves as a super-packet arrives here in segments, each with the header of the
// question. The first one asks; the others stand behind it.
bool is_further_segment(PortLink &port, const dp_upcall &h) {
    if (h.flow == 0) return false;
    const PortLink::Question question{h.ticket, h.filter_id, h.generation};
    const Lock lock(port.mutex);
    if (port.last_question == question) return true;
    port.last_question = question;
    return false;
}

} // namespace

void Dispatcher::handle(const std::shared_ptr<PortLink> &port, xsk::Frame frame, Pace &pace) {
    Upcall upcall;
    if (!Upcall::parse(frame.bytes(), upcall)) {
        ++counters_.unexpected_frames;
        return;
    }
    if (!upcall.at_flow())
        complete_checksum(frame.bytes().subspan(upcall.packet_offset), upcall.header.ip_offset,
                          upcall.header.l4_offset);
    if (upcall.header.kind == DP_UPCALL_QUEUED || is_further_segment(*port, upcall.header)) {
        holds_.queue(*port, std::move(upcall), std::move(frame));
        return;
    }
    ++counters_.upcalls;
    endpoints_.saw(upcall.header);
    classify(port, std::move(upcall), std::move(frame), pace);
}

void Dispatcher::classify(const std::shared_ptr<PortLink> &port, Upcall upcall, xsk::Frame frame,
                          Pace &pace) {
    auto filter = tables_.find(upcall.header.filter_id, table_patience);
    if (!filter) {
        ++counters_.unknown_filters;
        counters_.sends_failed +=
            !send_with_packet(*port->io, DP_DOWNCALL_ANSWER, upcall, {}, std::move(frame));
        return;
    }
    const auto packet = frame.bytes().subspan(
        upcall.packet_offset); // the memory stays where it is while the hold has the frame
    const auto hold = holds_.begin(port, std::move(upcall), filter, std::move(frame));
    auto callout = callouts_.enter(filter->callout_id());
    if (!callout) {
        ++counters_.unknown_callouts;
        holds_.classify_returned(*hold, outcome_without_callout(*filter), false);
        return;
    }
    const dp_upcall &h = hold->upcall.header;
    Indication::Asked asked;
    asked.completion = reinterpret_cast<HANDLE>(hold->completion);
    asked.may_pend = hold->may_pend;
    asked.memory = Holds::memory_of(*hold);
    if (h.condition_flags & DP_CONDITION_IS_REAUTHORIZE)
        asked.reason = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    Indication indication(hold->upcall, packet, asked);
    pace.entering();
    const Said said = ask(**callout, *filter, indication, h);
    pace.left();
    holds_.classify_returned(*hold, said.answer, said.absorbing_block);
}

void Dispatcher::complete(HANDLE context) {
    const auto hold = holds_.consume(context);
    if (!hold) return;
    auto callout = callouts_.enter(hold->filter->callout_id());
    if (!callout) {
        ++counters_.unknown_callouts;
        holds_.resolve(*hold, outcome_without_callout(*hold->filter));
        return;
    }
    const auto packet = holds_.begin_reading(*hold);
    Indication::Asked asked;
    asked.memory = Holds::memory_of(*hold);
    asked.reauthorize = true;
    asked.reason = FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION;
    Indication indication(hold->upcall, packet, asked);
    const Said said = ask(**callout, *hold->filter, indication, hold->upcall.header);
    holds_.resolve(*hold, said.answer);
}

Dispatcher::Said Dispatcher::ask(const CalloutEntry &callout, FilterObject &filter,
                                 Indication &indication, const dp_upcall &running) {
    FWPS_CLASSIFY_OUT0 out{};
    out.actionType = running.action;
    out.rights = running.rights;
    out.filterId = running.filter_id;
    try {
        call(callout.spec, indication, filter, out);
    } catch (...) {
        ++counters_.callout_exceptions;
        return {};
    }
    if (!is_answer(out.actionType)) {
        ++counters_.invalid_answers;
        return {};
    }
    Said said;
    said.absorbing_block =
        out.actionType == FWP_ACTION_BLOCK && (out.flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    said.answer = {out.actionType, out.rights & FWPS_RIGHT_ACTION_WRITE,
                   (out.flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB) != 0};
    if (filter.action() == FWP_ACTION_CALLOUT_INSPECTION)
        said.answer = {FWP_ACTION_CONTINUE, DP_RIGHT_ACTION_WRITE, false};
    return said;
}

} // namespace sluice::runtime
