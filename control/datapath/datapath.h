// SPDX-License-Identifier: Apache-2.0
// Everything of ours in the kernel for one network namespace: programs, maps, links, pins. One
// thread. Failures leave things as they were before the call. Descriptors and map handles are owned
// here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "datapath/netns.h"
#include "datapath/port_device.h"
#include "shared/cache.h"
#include "shared/config.h"
#include "shared/event.h"
#include "shared/flow.h"
#include "shared/judge.h"
#include "shared/port.h"
#include "shared/redirect.h"

namespace sluice::datapath {

struct NicInfo {
    std::string name;
    std::uint32_t ifindex = 0;
    std::string mode;                  // "native" or "generic"
    std::string attach;                // "tcx" or "clsact"; native: "+xdp" or "+xdp-dispatcher"
    std::vector<std::string> programs; // names of ours on it
};

enum class XdpMode { automatic, native, generic };

struct Counter {
    std::string group; // "reason" or "layer"
    std::string name;  // as in BTF: "DP_REASON_FILTER_BLOCK", "DP_LAYER_ALE_AUTH_CONNECT_V4.permit"
    std::uint64_t packets = 0, bytes = 0;
};

class Datapath {
public:
    struct Options {
        std::uint32_t compartment = 1;
        std::string cgroup_root; // empty: the cgroup2 root found in mountinfo
        std::string pin_root = "/sys/fs/bpf/sluice";
        std::uint32_t mark_bit = 0x08000000;
        std::uint32_t flows_max = DP_FLOWS_MAX;
        // Of the flow cache, each with room for seven flows in 512 bytes; a power of two.
        std::uint32_t cache_sets = DP_CACHE_SETS;
    };

    // Loads programs and maps, fills what must be filled, pins; attaches nothing to devices yet.
    // The image of `plan` is in force before the first program is attached. EEXIST if the namespace
    // has pins already.
    static Result<std::unique_ptr<Datapath>> create(NetNs ns, const Options &options,
                                                    const compiler::Plan &plan);
    // Takes over what is pinned for this namespace. ENOENT: nothing pinned. EPROTO: another layout
    // version.
    static Result<std::unique_ptr<Datapath>> adopt(NetNs ns, const Options &options);
    // Pin directories (netns inodes) under the root; those whose namespace is gone can be swept.
    static std::vector<std::uint64_t> pinned(const std::string &pin_root);
    static void sweep(const std::string &pin_root, std::uint64_t netns_inode);
    ~Datapath(); // leaves everything pinned and attached

    [[nodiscard]] const NetNs &ns() const;
    [[nodiscard]] std::uint32_t compartment() const;
    [[nodiscard]] std::string pin_dir() const;

    // lo and the cgroup programs come with the first NIC and go with the last. `note`: one line
    // worth telling (fall-back).
    // EEXIST, ENODEV; EINVAL for lo and ports.
    Result<NicInfo> attach_nic(const std::string &name, XdpMode mode, std::string &note);
    Result<void> detach_nic(const std::string &name); // ENOENT
    [[nodiscard]] std::vector<NicInfo> nics() const;
    void set_nics_down(); // of ours, so that nothing leaves any more
    // NICs that were removed: their pins and records go. Their indices.
    std::vector<std::uint32_t> forget_missing_devices();
    // Everything away: links, pins, sysctls restored. The object is then empty.
    Result<void> remove();

    Result<void> publish(const compiler::Plan &plan);
    // Whether no program is under the policy before any more: some ten milliseconds later.
    [[nodiscard]] bool settled() const;
    Result<void> set_callout(std::uint32_t id, const dp_callout &value);
    [[nodiscard]] std::optional<dp_callout> callout(std::uint32_t id) const;
    Result<void> set_host(std::uint32_t id, const dp_host &value);
    [[nodiscard]] std::optional<dp_host> host(std::uint32_t id) const;
    Result<void> delete_host(std::uint32_t id); // its ring of notices goes as well
    // Fills `ports` and `notices`. The device goes with the PortDevice, unless that was released.
    Result<std::unique_ptr<PortDevice>> make_port(std::uint32_t host, std::uint32_t frames,
                                                  PortHandover &handover);
    Result<std::unique_ptr<PortDevice>> adopt_port(std::uint32_t host, Fd memfd, NetNs far);
    void delete_port(std::uint32_t near_ifindex);
    // Near ifindex -> host, also those whose PortDevice is gone or not adopted yet.
    [[nodiscard]] std::map<std::uint32_t, std::uint32_t> ports() const;

    // Stops when visit returns false. The value is a copy; it may be older than the next call.
    void each_flow(const std::function<bool(const dp_flow_key &, const dp_flow &)> &visit) const;
    // The next few hundred flows of such a walk; `place` begins as 0 and is where it has come to.
    // False: it is over.
    struct FlowPlace {
        std::uint32_t bucket = 0;
        bool begun = false;
    };
    bool some_flows(FlowPlace &place,
                    const std::function<bool(const dp_flow_key &, const dp_flow &)> &visit) const;
    [[nodiscard]] std::optional<dp_flow> flow(const dp_flow_key &key) const;
    // The flow ends, as if its last packet had been seen: what it counts in goes, and hosts with
    // contexts on it hear of it. It stays where there is no room to remember those (`ended`).
    void delete_flow(const dp_flow_key &key);
    // Flows are told what has passed by the flow cache since the last call: until then their counters
    // and times are of before.
    void fold_flow_cache();
    // Takes contexts of hosts that ended off a flow.
    void forget_contexts(const dp_flow_key &key, std::uint64_t slots);
    // Whose a slot (1 .. DP_CONTEXT_SLOTS) is.
    Result<void> set_context_slot(std::uint32_t slot, const dp_context_slot &value);
    // Ends whose hosts were not told in the kernel, by flow.
    void each_ended(const std::function<bool(std::uint64_t, const dp_ended &)> &visit) const;
    void delete_ended(std::uint64_t flow);
    void each_ticket(const std::function<bool(std::uint64_t, const dp_ticket &)> &visit) const;
    void delete_ticket(std::uint64_t ticket);
    // Binds and listens that a callout decides, or has refused.
    void
    each_operation(const std::function<bool(std::uint64_t, const dp_operation &)> &visit) const;
    [[nodiscard]] std::optional<dp_operation> operation(std::uint64_t id) const;
    // Decides an open one whose host is gone, port and all, as its filter says of callouts that
    // nobody registered. False: it is not there or not open.
    Result<bool> abandon_operation(std::uint64_t id);
    // Its socket is no longer waited for: only of one that was permitted.
    void delete_operation(std::uint64_t id);
    // What waits, against the quotas.
    void each_use(const std::function<bool(const dp_use_key &, const dp_use &)> &visit) const;
    void delete_use(const dp_use_key &key);
    // Empty: unknown.
    [[nodiscard]] std::string exe_path(std::uint32_t dev, std::uint64_t inode) const;

    // ---- redirections ----
    // All local addresses of the namespace, in place of those before.
    Result<void> set_own_addresses(const std::vector<dp_addr> &addresses);
    Result<void> set_redirect_handle(const dp_handle_key &key, const dp_handle &value);
    Result<void> delete_redirect_handle(const dp_handle_key &key);
    void forget_redirect_handles(const std::function<bool(const dp_handle_key &)> &is_gone);
    void each_redirect(const std::function<bool(std::uint64_t, const dp_redirect &)> &visit) const;
    // Its connection is over: it is marked so, unless it ended or went meanwhile.
    void end_redirect(std::uint64_t id, std::uint64_t now_ns);
    // With its context and what leads to it.
    void delete_redirect(std::uint64_t id, const dp_redirect &redirect);
    void each_learned(
        const std::function<bool(const dp_learned_key &, const dp_learned &)> &visit) const;
    void delete_learned(const dp_learned_key &key, const dp_learned &value);

    // Judges a flow by the policy in force, as its next packet would; a blocked one is marked so.
    // due: DP_REAUTHORIZE_*, for which it is judged anew also under the same policy.
    Result<dp_judge_result> judge(const dp_flow_key &key, std::uint32_t due = 0);

    // Which verdicts are told: bits 1 << dp_event_type. None at first.
    Result<void> tell(std::uint32_t types);
    // Takes out what has been told since the last call, at most DP_EVENTS_BYTES' worth.
    void each_event(const std::function<void(const dp_event &)> &visit);
    // Gives sockets that were opened before the programs were attached their owner: by the
    // descriptors of all processes. Returns how many. Where a descriptor may not be looked at, the
    // owner stays unknown.
    std::size_t adopt_sockets();

    [[nodiscard]] std::vector<Counter> counters() const;
    // Of filters that were hit, maybe also of some that are gone.
    [[nodiscard]] std::map<std::uint64_t, std::uint64_t> filter_hits() const;

private:
    struct State;
    Result<dp_judge_result> order(const dp_judge_request &request);
    explicit Datapath(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace sluice::datapath
