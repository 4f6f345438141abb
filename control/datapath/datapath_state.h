// SPDX-License-Identifier: Apache-2.0
// The inside of Datapath, shared by its source files: the pins, opened.
#pragma once

#include <array>

#include "datapath/bpf_map.h"
#include "datapath/datapath.h"
#include "datapath/image_map.h"
#include "datapath/image_swap.h"
#include "datapath/loader.h"
#include "datapath/nic.h"
#include "datapath/pin_dir.h"
#include "datapath/rollback.h"
#include "datapath/target_slots.h"

namespace sluice::datapath {

struct Datapath::State {
    NetNs ns;
    Options options;
    PinDir pins;
    dp_config config{};

    BpfMap<std::uint32_t, StateRecord> state;
    BpfMap<std::uint32_t, DeviceRecord> devices;
    // Written: an image's descriptor; read: its id.
    BpfMap<std::uint32_t, std::uint32_t> policy, policy_large;
    BpfMap<dp_flow_key, dp_flow> flows;
    BpfMap<std::uint64_t, dp_ticket> tickets;
    BpfMap<std::uint64_t, dp_operation> operations;
    BpfMap<dp_use_key, dp_use> uses;
    BpfMap<std::uint64_t, dp_ended> ended;
    BpfMap<std::uint32_t, dp_context_slot> context_slots;
    BpfMap<std::uint32_t, dp_callout> callouts;
    BpfMap<std::uint32_t, dp_host> hosts;
    BpfMap<std::uint32_t, dp_port> ports;
    BpfMap<std::uint32_t, std::uint32_t> notices; // written: a ring's descriptor; read: its id
    BpfMap<std::uint32_t, dp_nic> nics;
    BpfMap<dp_exe_key, dp_exe> exes;
    PerCpuMap<std::uint32_t, dp_reason_count> reasons;
    PerCpuMap<std::uint32_t, dp_layer_count> layers;
    PerCpuMap<std::uint64_t, dp_hits> filter_hits; // by number / DP_HITS
    BpfMap<std::uint32_t, dp_options> event_options;
    BpfMap<std::uint32_t, dp_redirect_goal> targets;
    // The image in force and the one before it, which the next one takes the place of; none of
    // images that an earlier sluiced published. And the filters that have counters.
    std::array<ImageMap, 2> images;
    std::size_t image_in_force = 0;
    ImageSwap swap;                                    // of the images
    std::optional<std::vector<std::uint64_t>> counted; // ascending; nullopt: not known
    TargetSlots target_slots;                          // those that the image in force may name
    BpfMap<dp_handle_key, dp_handle> handles;
    BpfMap<std::uint64_t, dp_redirect> redirects;
    BpfMap<dp_flow_key, std::uint64_t> redirect_peers;
    BpfMap<std::uint64_t, dp_redirect_context> contexts_of;
    BpfMap<dp_learned_key, dp_learned> learned;
    BpfMap<dp_addr, std::uint32_t> own_addresses;
    Fd port_down, port_forward, port_apply, port_guard; // programs of the near ends of ports
    Fd judge;                                           // run by BPF_PROG_TEST_RUN only
    Fd sockets; // socket storage: keys are descriptors of sockets
    std::unique_ptr<ring_buffer, void (*)(ring_buffer *)> events{nullptr, ring_buffer__free};
    std::function<void(const dp_event &)> on_event; // while each_event runs

    Result<void> open_pins();
    Result<void> open_events();
    Result<void> open_redirects();
    // Writes what is new, and frees what the image in force does not name.
    Result<std::vector<std::uint32_t>> write_targets(const std::vector<dp_redirect_goal> &goals);
    void keep_targets(const std::vector<std::uint32_t> &slots);
    // Whether the image in force has rows at a redirect layer.
    [[nodiscard]] bool policy_redirects() const;
    // The hooks that only redirections need, once a plan redirects and the others of the namespace
    // are there. They stay.
    Result<void> attach_redirect_hooks(const compiler::Plan &plan);

    Result<ImageMap *> fill_image(const compiler::Plan &plan,
                                  const std::vector<std::uint32_t> &slots);
    // Counters for these filters; those that were not there go with `undo`. False: there is no room
    // for all of them until those of the policy before are gone.
    Result<bool> add_counters(const std::vector<std::uint64_t> &ids, Rollback &undo);
    void delete_counters_but(const std::vector<std::uint64_t> &ids);

    // Inside the namespace:
    Result<void> attach_shared(); // lo and the cgroup programs
    void detach_shared();
    Result<void> attach_lo(std::uint32_t ifindex);
    void detach_lo();
    Result<NicInfo> attach(const std::string &name, XdpMode mode, std::string &note);
    Result<void> add_nic(std::uint32_t ifindex, const std::string &name, XdpMode mode,
                         std::string &note);
    void detach(std::uint32_t ifindex, const DeviceRecord &record);
    void forget(std::uint32_t ifindex, const DeviceRecord &record);
    void delete_ports();

    [[nodiscard]] std::map<std::uint32_t, DeviceRecord> records() const; // without lo
    [[nodiscard]] std::optional<std::pair<std::uint32_t, DeviceRecord>>
    find_record(const std::string &name) const;
};

NicInfo describe(std::uint32_t ifindex, const DeviceRecord &record);

} // namespace sluice::datapath
