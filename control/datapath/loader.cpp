// SPDX-License-Identifier: Apache-2.0
#include "datapath/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>
#include <sys/random.h>
#include <sys/resource.h>
#include <xdp/libxdp.h>

#include "core/fd.h"
#include "datapath/bpf_map.h"
#include "shared/flow.h"
#include "shared/port.h"
#include "shared/redirect.h"

#include "dp.skel.h"

namespace sluice::datapath {
namespace {

std::function<void(LogLevel, const std::string &)> sink;
thread_local std::string last_warning;

int take_line(LogLevel level, const char *format, va_list args) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, args);
    std::string line = text;
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    if (level == LogLevel::warning) last_warning = line;
    if (sink) sink(level, line);
    return 0;
}

int take_libbpf(libbpf_print_level level, const char *format, va_list args) {
    return take_line(level == LIBBPF_WARN   ? LogLevel::warning
                     : level == LIBBPF_INFO ? LogLevel::info
                                            : LogLevel::debug,
                     format, args);
}

int take_libxdp(libxdp_print_level level, const char *format, va_list args) {
    return take_line(level == LIBXDP_WARN   ? LogLevel::warning
                     : level == LIBXDP_INFO ? LogLevel::info
                                            : LogLevel::debug,
                     format, args);
}

struct DestroyDp {
    void operator()(dp_bpf *skel) const { dp_bpf::destroy(skel); }
};

Error load_error(int code) {
    const std::string why = take_library_warning();
    if (code == EPERM)
        return Error{code, "load BPF programs: needs CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN"};
    return Error{code, "load BPF programs" + (why.empty() ? "" : " (" + why + ")")};
}

// The words that a dump prints; counts are left to the programs.
Result<void> fill_reasons(const std::string &directory) {
    auto reasons = PerCpuMap<std::uint32_t, dp_reason_count>::open(directory, "reasons");
    if (!reasons) return reasons.error();
    for (std::uint32_t i = 0; i < reasons->entries(); i++)
        if (auto set = reasons->set_all(i, {dp_reason(i), 0, 0, 0}); !set) return set;
    return {};
}

Result<void> fill_layers(const std::string &directory) {
    auto layers = PerCpuMap<std::uint32_t, dp_layer_count>::open(directory, "layers");
    if (!layers) return layers.error();
    for (std::uint32_t i = 0; i < layers->entries(); i++) {
        const dp_layer_count empty{dp_layer(i / DP_LAYER_SLOTS), dp_layer_slot(i % DP_LAYER_SLOTS),
                                   0, 0};
        if (auto set = layers->set_all(i, empty); !set) return set;
    }
    return {};
}

Result<void> fill_secret(const std::string &directory) {
    auto secret = BpfMap<std::uint32_t, dp_secret>::open(directory, "secret");
    if (!secret) return secret.error();
    dp_secret value{};
    if (getrandom(&value, sizeof value, 0) != ssize_t{sizeof value})
        return Error{errno, "draw a secret for redirect records"};
    return secret->set(0, value);
}

Result<void> pin(int fd, const std::string &path) {
    if (bpf_obj_pin(fd, path.c_str()) != 0) return Error{errno, "pin", path};
    return {};
}

Result<void> pin_object(bpf_object *object, const std::string &directory) {
    bpf_map *map;
    bpf_object__for_each_map(map, object) {
        if (bpf_map__is_internal(map)) continue;
        auto pinned = pin(bpf_map__fd(map), directory + "/" + bpf_map__name(map));
        if (!pinned) return pinned;
    }
    bpf_program *program;
    bpf_object__for_each_program(program, object) {
        auto pinned = pin(bpf_program__fd(program), directory + "/p_" + bpf_program__name(program));
        if (!pinned) return pinned;
    }
    return {};
}

// Maps of ours that no program uses.
Result<void> make_map(const std::string &directory, const char *name, bpf_map_type type,
                      std::uint32_t value_bytes, std::uint32_t entries, const void *first) {
    const Fd map(bpf_map_create(type, name, 4, value_bytes, entries, nullptr));
    if (!map) return Error{errno, "create map", name};
    const std::uint32_t zero = 0;
    if (first != nullptr && bpf_map_update_elem(map.get(), &zero, first, BPF_ANY) != 0)
        return Error{errno, "write map", name};
    return pin(map.get(), directory + "/" + name);
}

Result<void> make_own_maps(const std::string &directory, const dp_config &config) {
    const std::uint32_t layout = DP_LAYOUT_VERSION;
    const StateRecord state{config};
    auto made = make_map(directory, "state", BPF_MAP_TYPE_ARRAY, sizeof state, 1, &state);
    if (made)
        made =
            make_map(directory, "devices", BPF_MAP_TYPE_HASH, sizeof(DeviceRecord), 1024, nullptr);
    if (made) made = make_map(directory, "layout", BPF_MAP_TYPE_ARRAY, sizeof layout, 1, &layout);
    return made;
}

// Of the map, not of a device: it goes with the map.
Result<void> attach_headers(const dp_bpf &skel) {
    if (bpf_prog_attach(bpf_program__fd(skel.progs.dp_header_msg), bpf_map__fd(skel.maps.headers),
                        BPF_SK_MSG_VERDICT, 0) != 0)
        return Error{errno, "attach to map", "headers"};
    return {};
}

} // namespace

void prepare_libraries() {
    static std::once_flag once;
    std::call_once(once, [] {
        libbpf_set_print(take_libbpf);
        libxdp_set_print(take_libxdp);
        const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_MEMLOCK, &all); // where it still counts; refused is fine where it does not
    });
}

void log_libraries_to(std::function<void(LogLevel, const std::string &)> to) {
    prepare_libraries();
    sink = std::move(to);
}

std::string take_library_warning() {
    return std::exchange(last_warning, {});
}

Result<void> load_pinned(const PinDir &pins, const dp_config &config, std::uint32_t flows_max) {
    take_library_warning();
    const std::unique_ptr<dp_bpf, DestroyDp> skel(dp_bpf::open());
    if (!skel) return load_error(errno);
    const_cast<dp_config &>(skel->rodata->cfg) = config;
    for (const auto &[map, entries] : {std::pair{skel->maps.flow_cache, config.cache_sets},
                                       std::pair{skel->maps.flows, flows_max}})
        if (const int error = bpf_map__set_max_entries(map, entries); error != 0)
            return Error{-error, "size map", bpf_map__name(map)};
    if (const int error = dp_bpf::load(skel.get()); error != 0) return load_error(-error);
    auto done = pin_object(skel->obj, pins.building());
    if (done) done = attach_headers(*skel);
    if (done) done = make_own_maps(pins.building(), config);
    if (done) done = fill_reasons(pins.building());
    if (done) done = fill_layers(pins.building());
    if (done) done = fill_secret(pins.building());
    return done;
}

Result<void> reuse_pinned_maps(bpf_object *object, const PinDir &pins) {
    bpf_map *map;
    bpf_object__for_each_map(map, object) {
        if (bpf_map__is_internal(map)) continue;
        auto fd = open_pinned(pins.at(bpf_map__name(map)));
        if (!fd) return fd.error();
        if (const int error = bpf_map__reuse_fd(map, fd->get()); error != 0) // duplicates it
            return Error{-error, "use pinned map", bpf_map__name(map)};
    }
    return {};
}

} // namespace sluice::datapath
