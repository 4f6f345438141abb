// SPDX-License-Identifier: Apache-2.0
// The fields that are about an interface, as the compiler of filters has them.
#include "runtime/indication.h"

namespace sluice::runtime {

namespace {

enum class Property { index, luid, type, tunnel };

FWP_VALUE0 number(UINT32 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT32;
    out.uint32 = v;
    return out;
}

struct Interface {
    UINT32 index;
    UINT16 type, tunnel;
};

FWP_VALUE0 property_of(const Interface &i, Property property, UINT64 &luid) {
    FWP_VALUE0 out{};
    if (i.index == 0) return out; // a bind or listen
    if (property == Property::index) return number(i.index);
    if (i.type == 0) return out; // the NIC went meanwhile
    if (property == Property::type) return number(i.type);
    if (property == Property::tunnel) return number(i.tunnel);
    luid = UINT64{i.type} << 48 | UINT64{i.index} << 24; // NET_LUID
    out.type = FWP_UINT64;
    out.uint64 = &luid;
    return out;
}

} // namespace

FWP_VALUE0 Indication::interface_value(Fact fact) {
    const dp_upcall &h = upcall_.header;
    const Interface last{h.ifindex, h.interface_type, h.tunnel_type};
    const Interface first{h.arrival, h.arrival_type, h.arrival_tunnel};
    // The local interface of what is forwarded is the one where it came in.
    const auto here = [&](Property p) {
        return h.arrival ? property_of(first, p, first_luid_) : property_of(last, p, luid_);
    };
    const auto leaves = [&](Property p) { return property_of(last, p, luid_); };
    const auto arrival = [&](Property p) { return inbound_ || h.arrival ? here(p) : FWP_VALUE0{}; };
    const auto nexthop = [&](Property p) { return inbound_ ? FWP_VALUE0{} : leaves(p); };
    switch (fact) {
    case Fact::InterfaceIndex:
        return here(Property::index);
    case Fact::InterfaceLuid:
        return here(Property::luid);
    case Fact::InterfaceType:
        return here(Property::type);
    case Fact::TunnelType:
        return here(Property::tunnel);
    case Fact::ArrivalInterfaceIndex:
        return arrival(Property::index);
    case Fact::ArrivalInterfaceLuid:
        return arrival(Property::luid);
    case Fact::ArrivalInterfaceType:
        return arrival(Property::type);
    case Fact::ArrivalTunnelType:
        return arrival(Property::tunnel);
    case Fact::NexthopInterfaceIndex:
        return nexthop(Property::index);
    case Fact::NexthopInterfaceLuid:
        return nexthop(Property::luid);
    case Fact::NexthopInterfaceType:
        return nexthop(Property::type);
    case Fact::NexthopTunnelType:
        return nexthop(Property::tunnel);
    default:
        return frame_value(fact);
    }
}

} // namespace sluice::runtime
