// SPDX-License-Identifier: Apache-2.0
// NICs and holds.
#include <cerrno>
#include <net/if.h>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/hosts.h"
#include "daemon/lists.h"
#include "daemon/plane_end.h"
#include "daemon/planes.h"
#include "daemon/requests.h"
#include "daemon/settle.h"
#include "shared/verdict.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {

namespace {

std::optional<datapath::XdpMode> mode_of(const std::string &word) {
    if (word.empty() || word == "auto") return datapath::XdpMode::automatic;
    if (word == "native") return datapath::XdpMode::native;
    if (word == "generic") return datapath::XdpMode::generic;
    return std::nullopt;
}

Result<datapath::NetNs> namespace_of(std::vector<Fd> &fds) {
    if (fds.size() != 1) return Error(EINVAL, "the request carries no network namespace");
    return datapath::NetNs::from_fd(std::move(fds[0]));
}

Error nic_error(const std::string &name, const Error &error, const char *verb) {
    if (error.code == ENODEV)
        return Error::status(static_cast<std::uint32_t>(STATUS_NOT_FOUND),
                             "no network interface '" + name + "'");
    if (error.code == EEXIST && error.object == name)
        return Error(0, "'" + name + "' is loaded already");
    if (error.code == ENOENT) return Error(0, "'" + name + "' is not loaded");
    return Error(0, std::string(verb) + " '" + name + "': " + error.text());
}

// Asked before a data plane is made for it.
Result<void> check_exists(const datapath::NetNs &ns, const std::string &name) {
    return ns.enter([&]() -> Result<void> {
        if (::if_nametoindex(name.c_str()) == 0) return Error(ENODEV, "find interface", name);
        return {};
    });
}

} // namespace

void nic_load(Core &core, const protocol::NicLoad &message, std::vector<Fd> &fds,
              const Responder &to) {
    auto ns = namespace_of(fds);
    const auto mode = mode_of(message.mode());
    if (!ns) return to.fail(ns.error());
    if (!mode)
        return to.fail(
            Error(EINVAL, "mode '" + message.mode() + "' is none of auto, native, generic"));
    if (auto r = check_exists(*ns, message.name()); !r)
        return to.fail(nic_error(message.name(), r.error(), "cannot load"));
    bool made = false;
    auto plane = core.planes->obtain(std::move(*ns), message.cgroup(), made);
    if (!plane) return to.fail(nic_error(message.name(), plane.error(), "cannot load"));
    const std::uint32_t compartment = (*plane)->compartment();
    if (made) core.hosts->plane_made(compartment);
    std::string note;
    auto nic = (*plane)->attach_nic(message.name(), *mode, note);
    if (!nic) {
        const Error error = nic_error(message.name(), nic.error(), "cannot load");
        if (!made) return to.fail(error);
        return remove_plane(core, compartment, false,
                            [to, error](Result<void>) { to.fail(error); });
    }
    core.save_or_warn();
    core.note_boot_nics();
    spdlog::info("'{}' loaded in compartment {}: {}, {}", nic->name, compartment, nic->mode,
                 nic->attach);
    protocol::Reply reply;
    if (!note.empty()) reply.set_note(note);
    to.done(std::move(reply));
}

void nic_unload(Core &core, const protocol::NicUnload &message, std::vector<Fd> &fds,
                const Responder &to) {
    auto ns = namespace_of(fds);
    if (!ns) return to.fail(ns.error());
    auto *plane = core.planes->of_inode(ns->inode());
    if (plane == nullptr)
        return to.fail(nic_error(message.name(), Error(ENOENT, ""), "cannot unload"));
    const std::uint32_t compartment = plane->compartment();
    const auto nics = plane->nics();
    const bool last = nics.size() == 1 && nics[0].name == message.name();
    if (!last) {
        if (auto r = plane->detach_nic(message.name()); !r)
            return to.fail(nic_error(message.name(), r.error(), "cannot unload"));
        core.note_boot_nics();
        spdlog::info("'{}' unloaded in compartment {}", message.name(), compartment);
        return to.done();
    }
    remove_plane(core, compartment, false,
                 [to, name = message.name(), compartment](Result<void> r) {
                     if (!r) return to.fail(nic_error(name, r.error(), "cannot unload"));
                     spdlog::info("'{}' unloaded: nothing of ours is left in compartment {}", name,
                                  compartment);
                     to.done();
                 });
}

} // namespace sluice::daemon
