// SPDX-License-Identifier: Apache-2.0
// What is being asked about, and what a callout pended. A Hold lives from the upcall to its final
// downcall:
//
//   asked ──(classify returned, not pended)──▶ ANSWER + queued packets ──▶ done
//     └────(returned, pended)──▶ HELD ──▶ held ──(complete | order | callout gone)──▶ COMPLETE +
//     queued ──▶ done
//
// The kernel may decide without us (deadline, watchdog, the flow's end): its notice takes asked and
// held to done, and later answers and completions find nothing. Operations (bind, listen) have no
// packet; their question comes as a notice, and the socket's packets queue behind it.
//
// A completion may come while the classify that pended still runs: its answer waits for the return,
// since the frame is in the callout's hands; of a flow it then goes without a HELD before it.
// Handles are numbers that are never used again, and other ones in each process, so that a foreign,
// doubled or late one finds nothing. Lock order: Hold, then Holds or PortLink; no lock is held in a
// callback.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/counters.h"
#include "runtime/downcall.h"
#include "runtime/filter_object.h"
#include "runtime/net_buffer_memory.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

struct Hold;

struct FlowKeyLess {
    bool operator()(const dp_flow_key &a, const dp_flow_key &b) const {
        return std::memcmp(&a, &b, sizeof a) < 0;
    }
};

// Which of the questions that were asked with a ticket. Of the generation only the low half is told
// where a question is over.
struct Asked {
    std::uint64_t ticket, filter;
    std::uint32_t generation;
    explicit Asked(const Upcall &question)
        : ticket(question.header.ticket), filter(question.header.filter_id),
          generation(static_cast<std::uint32_t>(question.header.generation)) {}
    bool operator==(const Asked &) const = default;
};

// A port as far as holds know it.
struct PortLink {
    std::shared_ptr<xsk::PortIo> io;
    std::uint32_t compartment = 0;
    std::uint32_t host_id = 0;
    std::atomic<std::uint32_t> kept{0}; // frames that holds keep; the rest must suffice for traffic
    Mutex mutex;
    struct Question {
        std::uint64_t ticket = 0, filter = 0, generation = 0;
        std::uint32_t injected = 0; // by which host the packet was, 0: by none
        bool operator==(const Question &) const = default;
    };
    Question last_question GUARDED_BY(mutex);
    std::map<dp_flow_key, std::shared_ptr<Hold>, FlowKeyLess> flows GUARDED_BY(mutex);
    std::map<std::uint64_t, std::shared_ptr<Hold>> operations GUARDED_BY(mutex); // by ticket
    struct Over {
        Asked question;
        std::chrono::steady_clock::time_point told;
    };
    std::deque<Over> over GUARDED_BY(mutex);      // told of questions that were not read yet
    std::deque<Upcall> notices GUARDED_BY(mutex); // taken out of the ring, to be dealt with
};

struct Hold {
    enum class State { asked, held, done };
    struct Queued {
        Upcall upcall;
        xsk::Frame frame;
    };

    std::shared_ptr<PortLink> port;
    Upcall upcall;
    std::shared_ptr<FilterObject> filter;
    std::uintptr_t completion = 0; // handle during the classify; 0 where the layer cannot pend
    std::uintptr_t context = 0;    // handle of the suspension
    bool may_pend = false;

    // At RECV_ACCEPT the clone that the callout injects is what asks again, unless the engine keeps
    // the packet for it.
    [[nodiscard]] bool injects() const {
        const auto layer = upcall.header.layer;
        return (layer == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 ||
                layer == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6) &&
               !(upcall.header.flags & DP_UPCALL_KEEP_DATA);
    }

    Mutex mutex;
    State state GUARDED_BY(mutex) = State::asked;
    bool begun GUARDED_BY(mutex) = false;      // its callout is being asked, or was
    bool in_classify GUARDED_BY(mutex) = true; // the frame is in the callout's hands
    bool reading GUARDED_BY(mutex) = false;    // and again, in the classify of a completion
    bool pended GUARDED_BY(mutex) = false;
    std::optional<Answer> early GUARDED_BY(mutex); // completed before the classify returned
    std::uint32_t counted GUARDED_BY(mutex) = 0;   // share in port->kept
    SharedFrame first GUARDED_BY(mutex);           // callouts may keep its bytes
    std::vector<Queued> queued GUARDED_BY(mutex);
};

class Holds {
public:
    Holds(Counters &counters, RedirectContexts &redirect_contexts)
        : counters_(counters), redirect_contexts_(redirect_contexts) {}

    // An upcall is about to be shown to its callout.
    std::shared_ptr<Hold> begin(std::shared_ptr<PortLink> port, Upcall upcall,
                                std::shared_ptr<FilterObject> filter, xsk::Frame frame);
    // An operation's question was seen; its packets queue from here on.
    void expect(const std::shared_ptr<PortLink> &port, Upcall upcall);
    // instead: an injection that the callout would have in the packet's place (instead.h).
    void classify_returned(Hold &hold, const Answer &answer, bool absorbing_block,
                           xsk::Frame instead = {});
    // A further packet of a flow: behind the open hold if there is one, else straight on.
    void queue(PortLink &port, Upcall upcall, xsk::Frame frame);

    // What the thread asks a callout just now, for the status of pend().
    class Asking {
    public:
        Asking(HANDLE completion, bool layer_can_pend);
        ~Asking();
        Asking(const Asking &) = delete;
        Asking &operator=(const Asking &) = delete;

    private:
        friend class Holds;
        HANDLE completion_;
        bool layer_can_pend_;
        Asking *outer_;
    };
    NTSTATUS pend(HANDLE completion, HANDLE *context);
    // The same of a hold that is known already.
    NTSTATUS suspend(const std::shared_ptr<Hold> &hold, HANDLE *context);
    // Takes a suspension out: from here on it is the caller's to resolve. Null (and counted) if it
    // is not open.
    std::shared_ptr<Hold> consume(HANDLE context);
    std::span<std::byte> begin_reading(Hold &hold); // the packet, which stays until resolve()
    static std::shared_ptr<PacketMemory> memory_of(Hold &hold); // of the packet; null: none
    void resolve(Hold &hold, const Answer &answer);

    bool order(std::uint32_t compartment, std::uint64_t ticket,
               std::uint32_t action); // by an administrator
    // The kernel or sluiced decided without us: DP_UPCALL_OVER. A permit lets go what is queued,
    // also behind a callout that has its packets flushed: it will inject nothing.
    void decided(PortLink &port, const Upcall &notice);
    // Said of this question before it was read: nobody waits for an answer. True once.
    bool is_over(PortLink &port, const Upcall &question);
    void end_callout(std::uint32_t callout_id); // ends what it holds as the filters say
    void drop_port(PortLink &port);
    [[nodiscard]] std::size_t open() const;

private:
    static void told_over(PortLink &port, const Upcall &notice);
    void drop(const std::shared_ptr<Hold> &hold);
    void enter_port(const std::shared_ptr<Hold> &hold);
    static std::shared_ptr<Hold> open_for(PortLink &port, const Upcall &upcall);
    void finish(Hold &hold, dp_downcall_kind kind, const Answer &said) REQUIRES(hold.mutex);
    Answer redirect(const Hold &hold, const Answer &said);
    void release_queue(Hold &hold, const Answer &answer, bool flush) REQUIRES(hold.mutex);
    void close(Hold &hold) REQUIRES(hold.mutex);
    void count_sent(bool sent) { counters_.sends_failed += sent ? 0 : 1; }

    Counters &counters_;
    RedirectContexts &redirect_contexts_;
    mutable Mutex mutex_;
    std::uintptr_t last_handle_ GUARDED_BY(mutex_) = 0;
    std::map<std::uintptr_t, std::shared_ptr<Hold>> completions_ GUARDED_BY(mutex_);
    std::map<std::uintptr_t, std::shared_ptr<Hold>> contexts_ GUARDED_BY(mutex_);
};

inline Answer soft_permit() {
    return {DP_ACTION_PERMIT, DP_RIGHT_ACTION_WRITE};
}
// What a filter says when its callout is not there.
Answer outcome_without_callout(const FilterObject &filter);

} // namespace sluice::runtime
