// SPDX-License-Identifier: Apache-2.0
#include "runtime/dispatcher.h"

#include "runtime/checksum.h"
#include "runtime/instead.h"

namespace sluice::runtime {

namespace {

constexpr std::chrono::milliseconds table_patience{200};
// Of the notices that were taken out of the ring; the rest waits there.
constexpr std::size_t notices_max = 4096;

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

void call_spec(const CalloutSpec &spec, Indication &in, const void *context, FilterObject &filter,
               std::uint64_t flow_context, FWPS_CLASSIFY_OUT0 &out) {
    std::visit(Overloaded{
                   [&](const FWPS_CALLOUT0 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.data(),
                                    filter.as<FWPS_FILTER0>(), flow_context, &out);
                   },
                   [&](const FWPS_CALLOUT1 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.data(), context,
                                    filter.as<FWPS_FILTER1>(), flow_context, &out);
                   },
                   [&](const FWPS_CALLOUT2 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.data(), context,
                                    filter.as<FWPS_FILTER2>(), flow_context, &out);
                   },
                   [&](const FWPS_CALLOUT3 &c) {
                       c.classifyFn(in.values(), in.metadata(), in.data(), context,
                                    filter.as<FWPS_FILTER3>(), flow_context, &out);
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
bool is_further_segment(PortLink &port, const Upcall &upcall) {
    const dp_upcall &h = upcall.header;
    if (!upcall.at_flow()) return false;
    const PortLink::Question question{h.ticket, h.filter_id, h.generation, h.injected.host};
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
    if (upcall.header.kind == DP_UPCALL_ACK) {
        contexts_.acknowledged(upcall.header.filter_id, upcall.header.action == 1);
        return;
    }
    if (upcall.header.kind == DP_UPCALL_FORWARDED) {
        const Pace::InUserCode here(pace); // completionFn
        forwards_.answered(port, upcall.header);
        return;
    }
    if (upcall.header.kind > DP_UPCALL_QUEUED) { // those are notices
        ++counters_.unexpected_frames;
        return;
    }
    // What was in the ring before this was here: the question that a packet waits for, the end of
    // the question before this one.
    take_notices(port);
    if (!upcall.at_flow())
        complete_checksum(frame.bytes().subspan(upcall.packet_offset), upcall.header.ip_offset,
                          upcall.header.l4_offset);
    if (upcall.header.kind == DP_UPCALL_QUEUED || is_further_segment(*port, upcall)) {
        holds_.queue(*port, std::move(upcall), std::move(frame));
        return;
    }
    endpoints_.saw(upcall.header);
    classify(port, std::move(upcall), std::move(frame), pace);
}

void Dispatcher::tick(Pace &pace) {
    contexts_.confirm(FlowContexts::Clock::now());
    const auto now = Forwards::Clock::now();
    if (!forwards_.is_due(now)) return;
    const Pace::InUserCode here(pace); // completionFn
    forwards_.tick(now);
}

void Dispatcher::classify(const std::shared_ptr<PortLink> &port, Upcall upcall, xsk::Frame frame,
                          Pace &pace) {
    if (holds_.is_over(*port, upcall)) return;
    ++counters_.upcalls;
    auto filter = tables_.find(upcall.header.filter_id, table_patience);
    // The memory stays where it is while the hold has the frame.
    const auto packet =
        frame ? frame.bytes().subspan(upcall.packet_offset) : std::span<std::byte>{};
    const auto hold = holds_.begin(port, std::move(upcall), filter, std::move(frame));
    if (!filter) {
        ++counters_.unknown_filters;
        holds_.classify_returned(*hold, {}, false);
        return;
    }
    auto callout = callouts_.enter(filter->callout_id());
    if (!callout) {
        ++counters_.unknown_callouts;
        holds_.classify_returned(*hold, outcome_without_callout(*filter), false);
        return;
    }
    Question question = about(hold);
    question.asked.may_pend = hold->may_pend && hold->completion;
    if (hold->upcall.header.condition_flags & DP_CONDITION_IS_REAUTHORIZE)
        question.asked.reason = hold->upcall.header.reauthorize;
    Indication indication(hold->upcall, packet, question.asked);
    Pace::InUserCode here(pace, (*callout)->slow);
    FlowContexts::Visit visit(contexts_, port, hold->upcall, **callout);
    const Said result = ask(**callout, question, indication, visit);
    xsk::Frame instead;
    if (result.absorbing_block && stands_alone(hold->upcall))
        instead = in_its_place(**callout, question, packet);
    holds_.classify_returned(*hold, result.answer, result.absorbing_block, std::move(instead));
}

// What the callout has injected just now, with its answer about that if it would be asked again;
// empty: nothing, or it is on its way already.
xsk::Frame Dispatcher::in_its_place(const CalloutEntry &callout, const Question &question,
                                    std::span<const std::byte> packet) {
    auto frame = question.port->io->take_back();
    if (!frame) return {};
    const auto again = asked_again(question.upcall, packet, *frame, question.port->host_id);
    if (!again) return *std::move(frame);
    SharedFrame shown(*std::move(frame), question.port);
    Question ahead{question.port, *again, question.filter, {}, {}, {}, {}};
    ahead.asked.memory = shown.memory();
    ahead.asked.host = question.port->host_id;
    Said said;
    {
        Indication indication(*again, shown.bytes().subspan(again->packet_offset), ahead.asked);
        FlowContexts::Visit visit(contexts_, ahead.port, *again, callout);
        said = ask(callout, ahead, indication, visit);
    }
    ahead.asked.memory.reset();
    ++counters_.answered_ahead;
    xsk::Frame out = std::move(shown);
    if (out) answer_ahead(*again, said.answer, out);
    return out;
}

void Dispatcher::take_notices(const std::shared_ptr<PortLink> &port) {
    std::byte room[DP_NOTICE_BYTES];
    for (;;) {
        {
            Lock lock(port->mutex);
            if (port->notices.size() >= notices_max) return;
        }
        const std::size_t bytes = port->io->receive_notice(room);
        if (bytes == 0) return;
        Upcall notice;
        if (bytes > sizeof room || !Upcall::parse({room, bytes}, notice)) {
            ++counters_.unexpected_frames;
            continue;
        }
        ++counters_.notices;
        if (notice.header.kind == DP_UPCALL_OVER) {
            holds_.decided(*port, notice);
            continue;
        }
        if (notice.header.kind == DP_UPCALL_CLASSIFY && notice.of_operation())
            holds_.expect(port, notice);
        Lock lock(port->mutex);
        port->notices.push_back(std::move(notice));
    }
}

bool Dispatcher::handle_notice(const std::shared_ptr<PortLink> &port, Pace &pace) {
    Upcall notice;
    {
        Lock lock(port->mutex);
        if (port->notices.empty()) return false;
        notice = std::move(port->notices.front());
        port->notices.pop_front();
    }
    if (notice.header.kind == DP_UPCALL_CLASSIFY && notice.of_operation()) {
        classify(port, std::move(notice), {}, pace);
    } else if (notice.header.kind == DP_UPCALL_TELL) {
        tell(port, notice, pace);
    } else if (notice.header.kind == DP_UPCALL_END) {
        Pace::InUserCode here(pace);
        contexts_.flow_ended(notice.flow_handle());
    } else {
        ++counters_.unexpected_frames;
    }
    return true;
}

// Shown, not asked: whatever the callout answers has no effect.
void Dispatcher::tell(const std::shared_ptr<PortLink> &port, const Upcall &upcall, Pace &pace) {
    const auto filter = tables_.find(upcall.header.filter_id, table_patience);
    const auto callout = filter ? callouts_.enter(filter->callout_id()) : std::nullopt;
    if (!callout) {
        ++(filter ? counters_.unknown_callouts : counters_.unknown_filters);
        return;
    }
    const Question question{port, upcall, *filter, {}, {}, {}, {}};
    Indication indication(upcall, {}, question.asked);
    Pace::InUserCode here(pace);
    FlowContexts::Visit visit(contexts_, port, upcall, **callout);
    (void)ask(**callout, question, indication, visit);
}

// What is the same whenever the callout of a hold is asked.
Dispatcher::Question Dispatcher::about(const std::shared_ptr<Hold> &hold) {
    Question question{hold->port, hold->upcall, *hold->filter, {}, hold, {}, {}};
    question.asked.completion = reinterpret_cast<HANDLE>(hold->completion);
    question.asked.memory = Holds::memory_of(*hold);
    question.asked.host = hold->port->host_id;
    const auto &view = hold->upcall.redirect;
    if (hold->upcall.redirects() && view && view->carries && view->record.hops) {
        question.records = records_.open(view->record, hold->port->compartment);
        question.asked.records = question.records->handle();
    }
    return question;
}

void Dispatcher::complete(HANDLE context) {
    const auto hold = holds_.consume(context);
    if (!hold) return;
    if (hold->injects()) {
        Answer answer;
        answer.close = true;
        holds_.resolve(*hold, answer);
        return;
    }
    ask_again(hold, {});
}

void Dispatcher::complete_classify(UINT64 handle, const FWPS_CLASSIFY_OUT0 *out) {
    const auto [classify, hold] = classifies_.take(handle);
    if (!hold) return;
    if (!out) {
        ask_again(hold, classify);
        return;
    }
    Answer answer = said(*out, *hold->filter).answer;
    classifies_.conclude(*classify, answer);
    holds_.resolve(*hold, answer);
}

void Dispatcher::ask_again(const std::shared_ptr<Hold> &hold,
                           const std::shared_ptr<Classify> &classify) {
    auto callout = callouts_.enter(hold->filter->callout_id());
    if (!callout) {
        ++counters_.unknown_callouts;
        holds_.resolve(*hold, outcome_without_callout(*hold->filter));
        return;
    }
    const auto packet = holds_.begin_reading(*hold);
    Question question = about(hold);
    question.again = classify;
    question.asked.reauthorize = true;
    question.asked.reason = FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION;
    Indication indication(hold->upcall, packet, question.asked);
    FlowContexts::Visit visit(contexts_, hold->port, hold->upcall, **callout);
    holds_.resolve(*hold, ask(**callout, question, indication, visit).answer);
}

// A callout that wants flows with its context only is passed over at others, as if its filter were
// not there.
Dispatcher::Said Dispatcher::ask(const CalloutEntry &callout, const Question &question,
                                 Indication &indication, FlowContexts::Visit &visit) {
    if (visit.passes_over()) return {{DP_ACTION_NEXT, DP_RIGHT_ACTION_WRITE}, false};
    const Holds::Asking asking(question.asked.completion, question.upcall.can_pend());
    Said result = call(callout, question, indication, visit.value());
    result.answer.contexts = visit.returned();
    return result;
}

Dispatcher::Said Dispatcher::call(const CalloutEntry &callout, const Question &question,
                                  Indication &indication, std::uint64_t flow_context) {
    const dp_upcall &running = question.upcall.header;
    FilterObject &filter = question.filter;
    FWPS_CLASSIFY_OUT0 out{};
    out.actionType = running.action;
    out.rights = running.rights;
    out.filterId = running.filter_id;
    Classifies::Scope scope(classifies_,
                            {question.hold, question.upcall, filter.id(), indication.requests(),
                             indication.bind_requests(), question.records, question.again});
    Said result;
    try {
        call_spec(callout.spec, indication, &scope, filter, flow_context, out);
        result = said(out, filter);
    } catch (...) {
        ++counters_.callout_exceptions;
    }
    // A redirect layer has nothing to absorb.
    if (question.upcall.redirects() || question.upcall.binds())
        result.absorbing_block = out.actionType == FWP_ACTION_BLOCK;
    scope.returned(result.answer);
    return result;
}

Dispatcher::Said Dispatcher::said(const FWPS_CLASSIFY_OUT0 &out, const FilterObject &filter) {
    if (!is_answer(out.actionType)) {
        ++counters_.invalid_answers;
        return {};
    }
    Said result;
    result.absorbing_block =
        out.actionType == FWP_ACTION_BLOCK && (out.flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    result.answer = {out.actionType, out.rights & FWPS_RIGHT_ACTION_WRITE,
                     (out.flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB) != 0};
    if (filter.action() == FWP_ACTION_CALLOUT_INSPECTION)
        result.answer = {FWP_ACTION_CONTINUE, DP_RIGHT_ACTION_WRITE};
    return result;
}

} // namespace sluice::runtime
