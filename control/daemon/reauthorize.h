// SPDX-License-Identifier: Apache-2.0
// Live flows under a new policy. After a publish every flow whose verdict is of an older generation
// is judged again in the kernel, also one that sends nothing; a connection that is blocked now is
// cut on both sides. In slices, so that the control thread stays free for others.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "core/result.h"
#include "daemon/loop.h"
#include "shared/flow.h"

namespace sluice::daemon {

// What judging a flow again came to. left: a callout decides, at the flow's next packet.
enum class Judged { permitted, blocked, left };

// What the work needs of one data plane.
struct LiveFlows {
    std::uint32_t compartment = 0;
    // Looks at some more flows and adds those whose verdict is older than `generation`; false: that
    // was all.
    std::function<bool(std::uint64_t generation, std::vector<dp_flow_key> &older)> look;
    std::function<Judged(const dp_flow_key &)> judge;
    std::function<Result<void>(const dp_flow_key &)> cut;
};

class Reauthorizer {
public:
    // planes: of those that exist at the time of the call.
    Reauthorizer(Loop &loop, std::chrono::milliseconds slice,
                 std::function<std::vector<LiveFlows>()> planes)
        : loop_(loop), slice_(slice), planes_(std::move(planes)) {}

    // A generation was published. Work on an older one is given up: it would judge by this one too.
    void start(std::uint64_t generation);
    [[nodiscard]] bool busy() const { return !work_.empty(); }
    // A plane ends: nothing of it is touched any more.
    void forget(std::uint32_t compartment);

private:
    struct Work {
        LiveFlows plane;
        std::vector<dp_flow_key> flows;
        std::size_t next = 0;
        bool looked = false; // at all flows
        std::size_t cut = 0;
    };
    void go_on();
    bool some(Work &work, std::uint64_t until_ns); // true: all of it is done
    static void tell(const Work &work);
    static void judge(Work &work, const dp_flow_key &key);

    Loop &loop_;
    std::chrono::milliseconds slice_;
    std::function<std::vector<LiveFlows>()> planes_;
    std::uint64_t generation_ = 0;
    std::deque<Work> work_;
    bool scheduled_ = false;
};

} // namespace sluice::daemon
