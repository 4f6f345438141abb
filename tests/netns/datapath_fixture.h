// SPDX-License-Identifier: Apache-2.0
// Two namespaces, joined by a veth pair, a data plane in one of them; what the kernel shows of it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "datapath/datapath.h"
#include "datapath/features.h"

namespace sluice::datapath {

inline int run(const std::string &command) {
    return std::system(command.c_str());
}

inline std::string output(const std::string &command) {
    std::string text;
    FILE *pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return text;
    std::array<char, 4096> part;
    for (std::size_t n; (n = fread(part.data(), 1, part.size(), pipe)) > 0;)
        text.append(part.data(), n);
    pclose(pipe);
    return text;
}

inline bool eventually(const std::function<bool()> &holds) {
    for (int i = 0; i < 100; i++) {
        if (holds()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
}

struct KernelObject {
    bool map;
    std::uint32_t id;
};

inline bool lives(const KernelObject &object) {
    const auto open = object.map ? bpf_map_get_fd_by_id : bpf_prog_get_fd_by_id;
    return Fd(open(object.id)).valid();
}

inline void add_map(std::vector<KernelObject> &all, int fd) {
    bpf_map_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0) all.push_back({true, info.id});
}

inline void add_program(std::vector<KernelObject> &all, std::uint32_t id) {
    std::array<std::uint32_t, 64> maps{};
    bpf_prog_info info{};
    info.map_ids = reinterpret_cast<std::uintptr_t>(maps.data());
    info.nr_map_ids = std::uint32_t(maps.size());
    std::uint32_t length = sizeof info;
    const Fd fd(bpf_prog_get_fd_by_id(id));
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0) return;
    all.push_back({false, id});
    for (std::uint32_t i = 0; i < info.nr_map_ids; i++)
        all.push_back({true, maps[i]});
}

// Every program and map that hangs on the pins of a directory or on an interface. (Others may be at
// work on the machine: what is ours is told by these, not by names.)
inline std::vector<KernelObject> kernel_objects(const std::string &directory) {
    std::vector<KernelObject> all;
    for (const auto &entry : std::filesystem::directory_iterator(directory)) {
        const std::string name = entry.path().filename();
        const Fd fd(bpf_obj_get(entry.path().c_str()));
        bpf_prog_info info{};
        std::uint32_t length = sizeof info, image = 0, first = 0;
        if (name.starts_with("p_") && bpf_obj_get_info_by_fd(fd.get(), &info, &length) == 0)
            add_program(all, info.id);
        else if (!name.starts_with("l_"))
            add_map(all, fd.get());
        if (name.starts_with("policy") && bpf_map_lookup_elem(fd.get(), &first, &image) == 0)
            all.push_back({true, image});
    }
    return all;
}

inline void add_xdp(std::vector<KernelObject> &all, const NetNs &ns, std::uint32_t ifindex) {
    (void)ns.enter([&]() -> Result<void> {
        std::uint32_t id = 0;
        if (bpf_xdp_query_id(int(ifindex), 0, &id) == 0 && id != 0) add_program(all, id);
        return {};
    });
}

// Descriptors close at once, but programs and maps end after a grace period or two.
inline std::string what_lives(const std::vector<KernelObject> &objects) {
    std::string text;
    (void)eventually([&] { return std::none_of(objects.begin(), objects.end(), lives); });
    for (const KernelObject &object : objects)
        if (lives(object))
            text += output(std::string("bpftool ") + (object.map ? "map" : "prog") + " show id " +
                           std::to_string(object.id));
    return text;
}

// libxdp's directory, which it leaves behind; others on the machine may have it for a moment.
// Of libxdp's; the folder itself may be tc's, which makes a link of that name to its own.
inline bool no_dispatcher_pins() {
    return eventually([] {
        std::error_code none;
        for (const auto &entry : std::filesystem::directory_iterator("/sys/fs/bpf/xdp", none))
            if (entry.path().filename().string().starts_with("dispatch-")) return false;
        return true;
    });
}

inline bool freplace() {
    for (const Feature &feature : features())
        if (feature.name == "freplace") return feature.works;
    return false;
}

inline compiler::Plan plan(std::uint64_t generation, std::vector<std::uint64_t> ids = {},
                           std::size_t rows = 0) {
    compiler::Plan made;
    made.generation = generation;
    made.filter_ids = std::move(ids);
    made.image.resize(DP_LAYERS_MAX + rows);
    for (std::size_t i = 0; i < DP_LAYERS_MAX; i++)
        made.image[i].layer.generation = generation;
    return made;
}

class DatapathTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "needs root";
        static std::atomic<int> serial{0};
        const std::string tag = std::to_string(getpid()) + "-" + std::to_string(serial++);
        name_ = "sldp-" + tag;
        peer_ = "slpe-" + tag;
        const std::string near = "ip -n " + name_, far = "ip -n " + peer_;
        for (const std::string &command :
             {"ip netns add " + name_, "ip netns add " + peer_,
              near + " link add nic0 type veth peer name peer0 netns " + peer_,
              near + " addr add 192.0.2.1/24 dev nic0", far + " addr add 192.0.2.2/24 dev peer0",
              near + " link set nic0 up", near + " link set lo up", far + " link set peer0 up"})
            ASSERT_EQ(run(command), 0) << command;
        // The kernel announces the carrier a moment later, and with it changes what traces() shows.
        for (int i = 0;
             i < 500 && output(near + " link show nic0").find("NO-CARRIER") != std::string::npos;
             ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        options_.pin_root = "/sys/fs/bpf/sldp-" + tag;
    }

    void TearDown() override {
        if (name_.empty()) return;
        plane_.reset();
        for (const auto inode : Datapath::pinned(options_.pin_root))
            Datapath::sweep(options_.pin_root, inode);
        run("ip netns del " + name_ + "; ip netns del " + peer_);
    }

    NetNs ns() {
        auto ns = NetNs::from_fd(Fd(open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC)));
        EXPECT_TRUE(ns) << (ns ? "" : ns.error().text());
        return std::move(*ns);
    }

    void create() {
        auto made = Datapath::create(ns(), options_, plan(1));
        ASSERT_TRUE(made) << made.error().text();
        plane_ = std::move(*made);
    }

    void attach(XdpMode mode = XdpMode::automatic) {
        std::string note;
        auto attached = plane_->attach_nic("nic0", mode, note);
        ASSERT_TRUE(attached) << attached.error().text();
        nic_ = *attached;
        note_ = note;
    }

    void adopt() {
        plane_.reset();
        auto made = Datapath::adopt(ns(), options_);
        ASSERT_TRUE(made) << made.error().text();
        plane_ = std::move(*made);
    }

    // Of the plane's counters of filters.
    std::size_t entries_of_hits() {
        const Fd map(bpf_obj_get((plane_->pin_dir() + "/filter_hits").c_str()));
        std::size_t count = 0;
        for (std::uint64_t key = 0, before = 0;
             bpf_map_get_next_key(map.get(), count == 0 ? nullptr : &before, &key) == 0; ++count)
            before = key;
        return count;
    }

    // What the namespace and the machine show of us; equal before and after.
    std::string traces() {
        const std::string tc = "tc -n " + name_, ip = "ip -n " + name_;
        const std::string lo = "/proc/sys/net/ipv4/conf/lo/";
        return output(tc + " qdisc show; " + tc + " filter show dev nic0 ingress; " + tc +
                      " filter show dev nic0 egress; " + ip + " -o link | sed 's/state.*//'; " +
                      ip + " route; " + ip + " rule; ip netns exec " + name_ + " cat " + lo +
                      "accept_local " + lo + "route_localnet; ls -R " + options_.pin_root +
                      " 2>/dev/null");
    }

    bool ping() {
        return run("ip netns exec " + peer_ + " ping -c 1 -W 2 192.0.2.1 >/dev/null") == 0;
    }
    int in_ns(const std::string &command) {
        return run("nsenter --net=/run/netns/" + name_ + " " + command);
    }

    std::string name_, peer_, note_;
    Datapath::Options options_;
    std::unique_ptr<Datapath> plane_;
    NicInfo nic_;
};

// The ones that differ from kernel to kernel; run on each (label vm).
class DatapathKernelTest : public DatapathTest {};

inline std::uint64_t packets(const Datapath &plane, const std::string &name) {
    for (const Counter &counter : plane.counters())
        if (counter.name == name) return counter.packets;
    ADD_FAILURE() << "no counter " << name;
    return 0;
}

} // namespace sluice::datapath
