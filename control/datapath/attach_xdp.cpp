// SPDX-License-Identifier: Apache-2.0
#include "datapath/attach_xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <linux/if_link.h>
#include <memory>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>
#include <xdp/libxdp.h>

#include "core/fd.h"
#include "datapath/bpf_map.h"
#include "datapath/loader.h"
#include "shared/flow.h"
#include "shared/port.h"

#include "xdp.skel.h"

namespace sluice::datapath {
namespace {

constexpr const char *program_name = "dp_xdp_nic";
constexpr unsigned our_priority = 10; // libxdp's default is 50; lower runs first
constexpr const char *dispatcher_pins = "/sys/fs/bpf/xdp";

struct DestroyXdp {
    void operator()(xdp_bpf *skel) const { xdp_bpf::destroy(skel); }
};
struct CloseProgram {
    void operator()(xdp_program *program) const { xdp_program__close(program); }
};
struct CloseMulti {
    void operator()(xdp_multiprog *multi) const { xdp_multiprog__close(multi); }
};
using Skeleton = std::unique_ptr<xdp_bpf, DestroyXdp>;
using Program = std::unique_ptr<xdp_program, CloseProgram>;
using Multi = std::unique_ptr<xdp_multiprog, CloseMulti>;

Multi multi_of(std::uint32_t ifindex) {
    xdp_multiprog *multi = xdp_multiprog__get_from_ifindex(int(ifindex));
    return Multi(libxdp_get_error(multi) != 0 ? nullptr : multi);
}

std::uint32_t id_of(int fd) {
    bpf_prog_info info{};
    std::uint32_t length = sizeof info;
    return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

// Not asked through libxdp, which loses a descriptor whenever it looks at a device without its
// dispatcher.
bool is_alone(std::uint32_t ifindex, std::uint32_t program) {
    std::uint32_t id = 0;
    return bpf_xdp_query_id(int(ifindex), 0, &id) == 0 && id == program;
}

Result<Skeleton> open_object(const PinDir &pins, const dp_config &config) {
    Skeleton skel(xdp_bpf::open());
    if (!skel) return Error{errno, "open the XDP object"};
    const_cast<dp_config &>(skel->rodata->cfg) = config;
    if (auto reused = reuse_pinned_maps(skel->obj, pins); !reused) return reused.error();
    return skel;
}

Result<XdpAttached> attach_by_libxdp(const PinDir &pins, const dp_config &config,
                                     std::uint32_t ifindex) {
    auto skel = open_object(pins, config);
    if (!skel) return skel.error();
    DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = (*skel)->obj, .prog_name = program_name);
    xdp_program *raw = xdp_program__create(&opts);
    if (const long error = libxdp_get_error(raw); error != 0)
        return Error{int(-error), "open XDP program", program_name};
    const Program program(raw);
    xdp_program__set_run_prio(program.get(), our_priority);
    const int error = xdp_program__attach(program.get(), int(ifindex), XDP_MODE_NATIVE, 0);
    if (error != 0) return Error{-error, "attach XDP through libxdp"};
    const std::uint32_t id = id_of(xdp_program__fd(program.get()));
    return XdpAttached{is_alone(ifindex, id) ? XdpKind::single : XdpKind::dispatcher, id};
}

Result<XdpAttached> attach_alone(const PinDir &pins, const dp_config &config,
                                 std::uint32_t ifindex) {
    auto skel = open_object(pins, config);
    if (!skel) return skel.error();
    if (const int error = xdp_bpf::load(skel->get()); error != 0)
        return Error{-error, "load XDP program (" + take_library_warning() + ")"};
    const int fd = bpf_program__fd((*skel)->progs.dp_xdp_nic);
    const std::uint32_t flags = XDP_FLAGS_DRV_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST;
    const int error = -bpf_xdp_attach(int(ifindex), fd, flags, nullptr);
    if (error == EBUSY || error == EEXIST)
        return Error{error, "attach XDP: another XDP program is on the interface"};
    if (error == ERANGE || error == EINVAL)
        return Error{error, "attach XDP in native mode (an MTU too large for it?)"};
    if (error != 0) return Error{error, "attach XDP in native mode"};
    return XdpAttached{XdpKind::single, id_of(fd)};
}

// libxdp makes its directory before it knows whether it needs it, and leaves it.
void drop_empty_pins() {
    rmdir(dispatcher_pins);
}

void detach_alone(std::uint32_t ifindex, std::uint32_t id) {
    const Fd fd(bpf_prog_get_fd_by_id(id));
    if (!fd) return;
    LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = fd.get()); // nobody else's program
    bpf_xdp_detach(int(ifindex), XDP_FLAGS_DRV_MODE | XDP_FLAGS_REPLACE, &opts);
}

Result<XdpAttached> attach_here(const PinDir &pins, const dp_config &config,
                                std::uint32_t ifindex) {
    mkdir(dispatcher_pins, 0700); // libxdp makes it once in a process, and fails when it went since
    auto attached = attach_by_libxdp(pins, config, ifindex);
    if (!attached || attached->kind == XdpKind::single) drop_empty_pins();
    if (attached) return attached;
    return attach_alone(pins, config, ifindex); // libxdp's own way without a dispatcher is choosy
}

void detach_here(std::uint32_t ifindex, const XdpAttached &attached) {
    if (is_alone(ifindex, attached.program)) {
        detach_alone(ifindex, attached.program);
        return;
    }
    const Multi multi = multi_of(ifindex);
    if (!multi || xdp_multiprog__is_legacy(multi.get())) return; // somebody took it off
    xdp_program *program = nullptr;
    while ((program = xdp_multiprog__next_prog(program, multi.get())) != nullptr)
        if (xdp_program__id(program) == attached.program) {
            xdp_program__detach(program, int(ifindex), XDP_MODE_NATIVE, 0);
            break;
        }
    drop_empty_pins();
}

// What a child reports.
struct Outcome {
    XdpAttached attached;
    int error = 0;
    char tried[256] = {};
};

// libxdp 1.3 does not close all that it opens when it looks at a device: in sluiced, each unload
// would leave programs behind until it ends. So it works in a process that ends.
Result<XdpAttached> in_child(const std::function<Result<XdpAttached>()> &work) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Error{errno, "open a pipe"};
    const Fd from(ends[0]);
    Fd to(ends[1]);
    const pid_t child = fork();
    if (child < 0) return Error{errno, "start a process for libxdp"};
    Outcome outcome;
    if (child == 0) {
        const auto result = work();
        if (result)
            outcome.attached = *result;
        else
            outcome.error = result.error().code != 0 ? result.error().code : EIO;
        if (!result) result.error().tried.copy(outcome.tried, sizeof outcome.tried - 1);
        _exit(write(to.get(), &outcome, sizeof outcome) == sizeof outcome ? 0 : 1);
    }
    to.reset();
    // In one piece, being less than PIPE_BUF.
    const ssize_t got = read(from.get(), &outcome, sizeof outcome);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (got != sizeof outcome) return Error{EIO, "attach or detach XDP: its process died"};
    if (outcome.error != 0) return Error{outcome.error, outcome.tried};
    return outcome.attached;
}

} // namespace

Result<XdpAttached> attach_xdp(const PinDir &pins, const dp_config &config, std::uint32_t ifindex) {
    return in_child([&] { return attach_here(pins, config, ifindex); });
}

void detach_xdp(std::uint32_t ifindex, const XdpAttached &attached) {
    if (attached.kind == XdpKind::none) return;
    (void)in_child([&]() -> Result<XdpAttached> {
        detach_here(ifindex, attached);
        return attached;
    });
}

void forget_xdp(std::uint32_t ifindex, const XdpAttached &attached) {
    if (attached.kind != XdpKind::dispatcher) return;
    namespace fs = std::filesystem;
    const std::string prefix = "dispatch-" + std::to_string(ifindex) + "-"; // of any namespace
    std::error_code error;
    std::vector<fs::path> ours;
    for (const auto &entry : fs::directory_iterator(dispatcher_pins, error)) {
        if (!entry.path().filename().string().starts_with(prefix)) continue;
        for (const auto &pin : fs::directory_iterator(entry.path(), error)) {
            if (!pin.path().filename().string().ends_with("-prog")) continue;
            const Fd fd(bpf_obj_get(pin.path().c_str()));
            if (fd && id_of(fd.get()) == attached.program) ours.push_back(entry.path());
        }
    }
    for (const fs::path &directory : ours)
        fs::remove_all(directory, error);
    drop_empty_pins();
}

} // namespace sluice::datapath
