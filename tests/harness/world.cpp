// SPDX-License-Identifier: Apache-2.0
#include "harness/world.h"

#include <algorithm>
#include <map>

#include "harness/policy_builder.h"

namespace sluice::harness {

namespace {

using policy::Aspect;
using policy::Bytes6;
using policy::Field;
using policy::Scalar;
using policy::Text;

struct Cgroup {
    std::uint64_t id;
    std::string path, container; // container: empty or the name of the cgroup as one
    std::vector<int> above;      // indexes into cgroups()
};
const std::vector<Cgroup> &cgroups() {
    static const std::vector<Cgroup> all{
        {101, "system.slice", "", {}},
        {102, "system.slice/ssh.service", "", {0}},
        {103, "machine.slice", "", {}},
        {104, "machine.slice/docker-web.scope", "web", {2}},
        {105, "machine.slice/docker-web.scope/init", "", {3, 2}},
        {106, "machine.slice/docker-db.scope", "db", {2}},
    };
    return all;
}

compiler::Environment made_environment() {
    compiler::Environment env;
    const Bytes6 mac_a{2, 0, 0, 0, 0, 1}, mac_b{2, 0, 0, 0, 0, 2};
    env.interfaces = {
        {1, "lo", "", 24, 0, {}, false},          {2, "eth0", "uplink", 6, 0, mac_a, true},
        {3, "eth1", "Uplink", 6, 0, mac_b, true}, {7, "wg0", "vpn", 131, 1, {}, false},
        {8, "tun60", "", 131, 11, {}, false},
    };
    for (const Executable &exe : executables())
        env.files[exe.path].insert(exe.id);
    for (const Cgroup &cgroup : cgroups()) {
        env.cgroups[cgroup.path].insert(cgroup.id);
        if (!cgroup.container.empty()) env.containers[cgroup.container].insert(cgroup.id);
    }
    return env;
}

Bytes6 mac_of(std::uint64_t number) {
    Bytes6 out{};
    for (int i = 5; i >= 0; --i, number >>= 8)
        out[i] = static_cast<std::uint8_t>(number);
    return out;
}

Scalar number_of(std::uint64_t value, unsigned bits) {
    if (bits == 8) return static_cast<std::uint8_t>(value);
    if (bits == 16) return static_cast<std::uint16_t>(value);
    if (bits == 32) return static_cast<std::uint32_t>(value);
    return value;
}

dp_addr halves(const policy::Bytes16 &bytes) {
    dp_addr a{};
    for (int i = 0; i < 8; ++i) {
        a.hi = a.hi << 8 | bytes[i];
        a.lo = a.lo << 8 | bytes[8 + i];
    }
    return a;
}

// What the interface of an index shows as a field; monostate: it lacks it.
Scalar property(std::uint64_t index, Aspect aspect) {
    for (const compiler::Interface &i : environment().interfaces) {
        if (i.index != index) continue;
        switch (aspect) {
        case Aspect::interface_luid:
            return std::uint64_t{i.type} << 48 | std::uint64_t{i.index} << 24;
        case Aspect::interface_type:
            return i.type;
        case Aspect::interface_tunnel:
            return i.tunnel;
        case Aspect::interface_name:
            return Text{i.name};
        case Aspect::interface_alias:
            return i.alias.empty() ? Scalar{} : Scalar{Text{i.alias}};
        default:
            return i.has_mac ? Scalar{i.mac} : Scalar{};
        }
    }
    return {};
}

struct Slots {
    std::set<dp_slot> all;
    std::vector<std::pair<Guid, Field>> fields;
};
const Slots &slots_at(std::uint16_t layer) {
    static std::map<std::uint16_t, Slots> cache;
    const auto known = cache.find(layer);
    if (known != cache.end()) return known->second;
    Slots out;
    for (const Guid &key : policy::fields_at(layer)) {
        const Field field = *policy::field_at(layer, key);
        out.all.insert(field.slot);
        out.fields.emplace_back(key, field);
    }
    return cache[layer] = std::move(out);
}

class Making {
public:
    Making(std::uint16_t layer, Dice &dice, bool all_known)
        : slots_(slots_at(layer)), dice_(dice), all_known_(all_known) {
        sample_.packet.layer = layer;
        sample_.key.layer = layer;
    }

    Sample make() {
        if (!all_known_ && dice_.one_in(8)) forget();
        for (const dp_slot slot : slots_.all) {
            if (!all_known_ && dice_.one_in(8)) sample_.key.empty |= 1u << slot;
            fill(slot);
        }
        for (const auto &[key, field] : slots_.fields)
            show(key, field);
        return std::move(sample_);
    }

private:
    // What is unknown is so together: all that is said of the process, or of the local end.
    void forget() {
        static const std::vector<std::vector<dp_slot>> together{
            {DP_SLOT_USER, DP_SLOT_GROUP, DP_SLOT_APP, DP_SLOT_CGROUP},
            {DP_SLOT_LOCAL_ADDRESS, DP_SLOT_LOCAL_PORT, DP_SLOT_LOCAL_ADDRESS_TYPE},
            {DP_SLOT_LOCAL_PORT, DP_SLOT_REMOTE_PORT},
            {DP_SLOT_INTERFACE, DP_SLOT_ARRIVAL_INTERFACE, DP_SLOT_NEXTHOP_INTERFACE}};
        for (const dp_slot slot : dice_.of(together))
            sample_.key.unknown |= 1u << slot;
    }

    void fill(dp_slot slot) {
        dp_key &key = sample_.key;
        if (slot < DP_SLOT_NUMBERS) {
            key.number[slot] = dice_.of(numbers_of(slot));
        } else if (slot == DP_SLOT_APP) {
            app_ = &dice_.of(executables());
            key.wide[DP_SLOT_APP - DP_SLOT_NUMBERS] = {app_->id.device, app_->id.inode};
        } else if (slot == DP_SLOT_CGROUP) {
            fill_cgroups();
        } else if (policy::layer_is_v6(key.layer)) {
            addresses_[slot] = dice_.of(addresses6());
            key.wide[slot - DP_SLOT_NUMBERS] = halves(std::get<policy::Bytes16>(addresses_[slot]));
        } else {
            const auto v4 = static_cast<std::uint32_t>(dice_.of(numbers_of(slot)));
            addresses_[slot] = v4;
            key.wide[slot - DP_SLOT_NUMBERS] = {0, 0xffff00000000ull | v4};
        }
    }

    void fill_cgroups() {
        const Cgroup &own = dice_.of(cgroups());
        std::vector<const Cgroup *> chain{&own};
        for (const int above : own.above)
            chain.push_back(&cgroups()[above]);
        const bool none = (sample_.key.empty & 1u << DP_SLOT_CGROUP) != 0;
        for (std::size_t i = 0; i < chain.size(); ++i) {
            sample_.key.cgroup[i] = chain[i]->id;
            if (none) continue;
            sample_.packet.cgroup_ids.insert(chain[i]->id);
            sample_.packet.cgroup_paths.insert(chain[i]->path);
            if (!chain[i]->container.empty()) sample_.packet.containers.insert(chain[i]->container);
        }
    }

    void show(const Guid &key, const Field &field) {
        const std::uint32_t bit = 1u << field.slot;
        if ((sample_.key.unknown & bit) != 0)
            sample_.packet.unknown.insert(key);
        else if ((sample_.key.empty & bit) == 0)
            sample_.packet.values[key] = value_of(field);
    }

    Scalar value_of(const Field &field) {
        if (field.slot == DP_SLOT_CGROUP) return {}; // the packet lists them apart
        if (field.aspect == Aspect::address) return addresses_[field.slot];
        if (field.aspect == Aspect::executable)
            return dice_.one_in(2) ? Scalar{Text{app_->path}}
                                   : Scalar{policy::Blob{utf16(app_->path)}};
        const std::uint64_t number = sample_.key.number[field.slot];
        if (policy::is_interface_property(field.aspect)) return property(number, field.aspect);
        if (field.aspect == Aspect::mac) return mac_of(number);
        return number_of(number, field.bits);
    }

    const Slots &slots_;
    Dice &dice_;
    bool all_known_;
    Sample sample_;
    const Executable *app_ = nullptr;
    std::map<dp_slot, Scalar> addresses_;
};

} // namespace

const std::vector<Executable> &executables() {
    static const std::vector<Executable> all{
        {"/usr/bin/curl", {0x800001, 11}},
        {"/usr/bin/Curl", {0x800001, 12}},
        {"/usr/sbin/nginx", {0x800001, 13}},
        {"/opt/a-rather-long-directory-name/bin/nginx", {5, 11}},
        {"/x", {5, ~std::uint64_t{0}}}};
    return all;
}

const compiler::Environment &environment() {
    static const compiler::Environment env = made_environment();
    return env;
}

const std::vector<std::uint64_t> &numbers_of(dp_slot slot) {
    using List = std::vector<std::uint64_t>;
    static const List ports{0, 1, 22, 80, 443, 65535};
    static const List types{1, 2, 3, 4};
    static const List interfaces{1, 2, 3, 7, 8};
    static const List users{0, 1, 1000, 65534, 0xffffffff};
    static const List addresses{0,          0x0a000000, 0x0a000001, 0x0a00ffff,
                                0x80000000, 0xc0000201, 0xffffffff};
    static const List macs{0x020000000001, 0x020000000002, 0xffffffffffff, 0};
    static const std::map<dp_slot, List> other{
        {DP_SLOT_PROTOCOL, {1, 6, 17, 58, 255}},
        {DP_SLOT_EMBEDDED_PROTOCOL, {1, 6, 17, 58, 255}},
        {DP_SLOT_FLAGS, {0, 0x1, 0x4, 0x21, 0x104, 0xffffffff}},
        {DP_SLOT_COMPARTMENT, {1, 2, 3}},
        {DP_SLOT_ETHER_TYPE, {0x0800, 0x0806, 0x86dd, 0xffff}},
        {DP_SLOT_VLAN, {0, 1, 5, 4095}},
        {DP_SLOT_PACKET_LENGTH, {20, 60, 576, 1500, 65535}},
        {DP_SLOT_REAUTHORIZE_REASON, {0, 0x1, 0x10, 0x41}},
        {DP_SLOT_DIRECTION, {0, 1}},
        {DP_SLOT_ORIGINAL_ICMP_TYPE, {0, 3, 8, 11}},
    };
    switch (slot) {
    case DP_SLOT_LOCAL_PORT:
    case DP_SLOT_REMOTE_PORT:
    case DP_SLOT_EMBEDDED_LOCAL_PORT:
    case DP_SLOT_EMBEDDED_REMOTE_PORT:
        return ports;
    case DP_SLOT_LOCAL_ADDRESS_TYPE:
    case DP_SLOT_REMOTE_ADDRESS_TYPE:
    case DP_SLOT_EMBEDDED_LOCAL_ADDRESS_TYPE:
        return types;
    case DP_SLOT_INTERFACE:
    case DP_SLOT_ARRIVAL_INTERFACE:
    case DP_SLOT_NEXTHOP_INTERFACE:
        return interfaces;
    case DP_SLOT_USER:
    case DP_SLOT_GROUP:
        return users;
    case DP_SLOT_LOCAL_MAC:
    case DP_SLOT_REMOTE_MAC:
        return macs;
    case DP_SLOT_LOCAL_ADDRESS:
    case DP_SLOT_REMOTE_ADDRESS:
    case DP_SLOT_EMBEDDED_REMOTE_ADDRESS:
        return addresses;
    default:
        return other.at(slot);
    }
}

const std::vector<policy::Bytes16> &addresses6() {
    static const std::vector<policy::Bytes16> all{v6("::"),
                                                  v6("::1"),
                                                  v6("::ffff:10.0.0.1"),
                                                  v6("2001:db8::1"),
                                                  v6("2001:db8::ffff:ffff:ffff:ffff"),
                                                  v6("2001:db8:0:1::"),
                                                  v6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")};
    return all;
}

std::string utf16(const std::string &ascii) {
    std::string out;
    for (const char c : ascii + '\0') {
        out += c;
        out += '\0';
    }
    return out;
}

Sample random_sample(std::uint16_t layer, Dice &dice, bool all_known) {
    return Making(layer, dice, all_known).make();
}

std::vector<std::uint16_t> all_layers() {
    std::vector<std::uint16_t> out;
    for (std::uint16_t layer = 0; layer < DP_LAYERS_MAX; ++layer) {
        if (policy::layer_supported(layer)) out.push_back(layer);
    }
    return out;
}

} // namespace sluice::harness
