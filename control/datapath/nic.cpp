// SPDX-License-Identifier: Apache-2.0
#include "datapath/nic.h"

#include <unistd.h>

#include "datapath/netlink.h"

namespace sluice::datapath {

// By number: names change, and may contain dots, which bpffs refuses.
std::string Nic::link_name(TcSide side) const {
    return (side == TcSide::ingress ? "l_ingress_" : "l_egress_") + std::to_string(ifindex_);
}

Result<void> Nic::attach_side(TcSide side) {
    auto program =
        open_pinned(pins_.at(side == TcSide::ingress ? "p_dp_tc_ingress" : "p_dp_tc_egress"));
    if (!program) return program.error();
    if (record_.tc == std::uint32_t(TcKind::tcx)) {
        pins_.drop_link(link_name(side)); // of an attempt that was cut short
        return tcx_link(program->get(), ifindex_, side, pins_.at(link_name(side)));
    }
    return clsact_attach(program->get(), ifindex_, side);
}

Result<void> Nic::attach_tc() {
    TcKind kind = TcKind::tcx;
    if (!tcx_works()) {
        auto made = clsact_make(ifindex_);
        if (!made) return made.error();
        kind = TcKind::clsact;
        record_.our_qdisc = *made ? 1 : 0;
    }
    record_.tc = std::uint32_t(kind);
    auto done = attach_side(TcSide::ingress);
    if (done) {
        done = attach_side(TcSide::egress);
        if (done) return done;
        if (kind == TcKind::tcx)
            pins_.drop_link(link_name(TcSide::ingress));
        else
            clsact_detach(ifindex_, TcSide::ingress);
    }
    if (record_.our_qdisc != 0) clsact_delete_if_empty(ifindex_);
    record_.tc = record_.our_qdisc = 0;
    return done;
}

Result<void> Nic::attach_xdp(const dp_config &config) {
    auto attached = datapath::attach_xdp(pins_, config, ifindex_);
    if (!attached) return attached.error();
    record_.xdp = std::uint32_t(attached->kind);
    record_.xdp_program = attached->program;
    return {};
}

void Nic::detach_tc() {
    if (record_.tc == std::uint32_t(TcKind::tcx)) {
        pins_.drop_link(link_name(TcSide::ingress));
        pins_.drop_link(link_name(TcSide::egress));
    } else if (record_.tc == std::uint32_t(TcKind::clsact)) {
        clsact_detach(ifindex_, TcSide::ingress);
        clsact_detach(ifindex_, TcSide::egress);
        if (record_.our_qdisc != 0) clsact_delete_if_empty(ifindex_);
    }
}

void Nic::detach() {
    detach_xdp(ifindex_, xdp());
    detach_tc();
}

void Nic::forget() {
    forget_xdp(ifindex_, xdp());
    if (record_.tc != std::uint32_t(TcKind::tcx)) return;
    pins_.drop_link(link_name(TcSide::ingress));
    pins_.drop_link(link_name(TcSide::egress));
}

bool Nic::gone() const {
    if (!netlink::link(ifindex_)) return true;
    if (record_.tc != std::uint32_t(TcKind::tcx)) return false;
    auto link = open_pinned(pins_.at(link_name(TcSide::ingress)));
    return link && !tcx_link_alive(link->get());
}

} // namespace sluice::datapath
