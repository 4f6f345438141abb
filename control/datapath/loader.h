// SPDX-License-Identifier: Apache-2.0
// From embedded objects to pins: open, set the configuration, load, fill what must be filled, pin.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/result.h"
#include "datapath/pin_dir.h"
#include "shared/config.h"

struct bpf_object;

namespace sluice::datapath {

// What a restarted daemon must know beside the maps of the programs. Pinned as `state`, an array of
// one.
struct StateRecord {
    dp_config config{};
};

// Pinned as `devices`, hash by ifindex: what we attached to a device and must undo.
struct DeviceRecord {
    char name[16] = {};
    std::uint32_t tc = 0;                                // TcKind
    std::uint32_t xdp = 0;                               // XdpKind
    std::uint32_t xdp_program = 0;                       // its id
    std::uint32_t our_qdisc = 0;                         // we made its clsact
    std::int32_t accept_local = -1, route_localnet = -1; // of lo: as they were; -1: not touched
};
static_assert(sizeof(DeviceRecord) == 40);

// Once in a process, before any use of the libraries; more calls do no harm.
void prepare_libraries();

// Where libbpf's and libxdp's own lines go; the default drops them but for what an Error quotes.
enum class LogLevel { warning, info, debug };
void log_libraries_to(std::function<void(LogLevel, const std::string &)> sink);
// The calling thread's last library warning, taken out.
std::string take_library_warning();

// Loads the data plane into pins.building(). Nothing is attached.
Result<void> load_pinned(const PinDir &pins, const dp_config &config, std::uint32_t flows_max);
// Makes an object, opened but not loaded, use the maps that are pinned.
Result<void> reuse_pinned_maps(bpf_object *object, const PinDir &pins);

} // namespace sluice::datapath
