// SPDX-License-Identifier: Apache-2.0
// The rules of arbitration as a pure function over plain values: the oracle against which compiler
// and BPF programs are checked. A linear walk; shares nothing with compiler/ but the value types.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace sluice::policy {

// What a packet or an operation shows at a layer, in the conditions' own terms: by condition key
// the value that the condition compares with (an interface's name as Text, an executable's path as
// Text, a user as UINT32). A field without an entry has no value (FWP_EMPTY); one in `unknown` has
// a value that nobody knows at this point.
struct Packet {
    std::uint16_t layer = 0;
    std::map<Guid, Scalar> values;
    std::set<Guid> unknown;
    // The cgroups that the process is in, its own and all above: ids, paths below the cgroup2 root,
    // and the containers that these are.
    std::set<std::uint64_t> cgroup_ids;
    std::set<std::string> cgroup_paths;
    std::set<std::string> containers;
};

struct CalloutAnswer {
    std::uint32_t action = 0;
    bool clear_right = false;
};
// passed_over: the filter counts as if it were not there. FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, and
// the callout has no context on the flow; or it did not answer in time, or could not be asked, and
// the outcome of that is the next filter.
enum class Asked { answered, unregistered, passed_over };
struct CalloutReply {
    Asked asked = Asked::unregistered;
    CalloutAnswer answer;
};
// Called for each callout filter that matches, in order, with the running action and whether it may
// be written.
using AskCallout =
    std::function<CalloutReply(const Filter &, std::uint32_t running_action, bool writable)>;

struct Verdict {
    std::uint32_t action = 0;
    bool hard = false;
    std::uint64_t filter = 0;
    // Whether `filter` matches depends on a field that is unknown here; action says nothing.
    bool deferred = false;
};

enum class Match { no, yes, unknown };
Match matches(const Filter &filter, const Packet &packet);
// action is FWP_ACTION_PERMIT (also when nothing decided; filter is then 0) or FWP_ACTION_BLOCK.
Verdict arbitrate(const Policy &policy, const Packet &packet, const AskCallout &ask);

// A listener to arbitrate's steps, in the order in which they are made.
class Watcher {
public:
    virtual ~Watcher() = default;
    virtual void sublayer(const SubLayer &at) = 0;
    // A filter was compared; condition: the one that decided when the answer is not yes.
    virtual void tried(const Filter &filter, Match match, std::size_t condition) = 0;
    // It matched and contributed. answered: its callout was asked and answered.
    struct Said {
        std::uint32_t action;
        bool hard, answered, veto, ignored, passed_over;
    };
    virtual void said(const Filter &filter, const Said &said) = 0;
    virtual void decided(std::uint32_t action, bool writable) = 0; // behind a sublayer
};
Verdict arbitrate(const Policy &policy, const Packet &packet, const AskCallout &ask,
                  Watcher &watcher);

} // namespace sluice::policy
