// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/if_arp.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/environment_watch.h"
#include "daemon/look_up.h"

namespace sluice::daemon {
namespace {

class Directory : public testing::Test {
protected:
    Directory() {
        char pattern[] = "/tmp/sluice-look-up-XXXXXX";
        path = ::mkdtemp(pattern);
    }
    ~Directory() override { std::filesystem::remove_all(path); }
    static std::uint64_t inode(const std::filesystem::path &of) {
        struct ::stat s {};
        EXPECT_EQ(::stat(of.c_str(), &s), 0);
        return s.st_ino;
    }
    std::filesystem::path path;
};

TEST_F(Directory, AFileIsWhatTheKernelCallsIt) {
    EXPECT_FALSE(file_identity(path / "none"));
    EXPECT_FALSE(file_identity(path)) << "a directory is no program";
    std::ofstream(path / "program") << "x";
    const auto id = file_identity(path / "program");
    ASSERT_TRUE(id);
    EXPECT_EQ(id->inode, inode(path / "program"));
    EXPECT_NE(id->device, 0u);
}

TEST(LookUp, AMountHasTheDeviceOfItsSuperblock) {
    const std::string text = "22 28 0:21 / /proc rw - proc proc rw\n"
                             "36 28 259:3 /sub /mnt rw,noatime - btrfs /dev/x rw\n"
                             "broken\n";
    EXPECT_EQ(device_of_mount(text, 36), 259u << 20 | 3u);
    EXPECT_EQ(device_of_mount(text, 22), 21u);
    EXPECT_FALSE(device_of_mount(text, 28));
    EXPECT_FALSE(device_of_mount("", 1));
}

TEST_F(Directory, ACgroupIsItsDirectoryBelowTheRoot) {
    std::filesystem::create_directories(path / "system.slice/web.service");
    const auto expected = inode(path / "system.slice/web.service");
    EXPECT_EQ(cgroup_id(path, "/system.slice/web.service"), expected);
    EXPECT_EQ(cgroup_id(path, "system.slice/web.service/"), expected);
    EXPECT_EQ(cgroup_id(path, "/"), inode(path));
    EXPECT_FALSE(cgroup_id(path, "/system.slice/other"));
    EXPECT_FALSE(cgroup_id(path, "/../.."));
    EXPECT_FALSE(cgroup_id("", "/")) << "a machine without cgroup2";
}

TEST(LookUp, AContainerIsNamedAsManagersNameIt) {
    for (const char *name : {"web", "docker-web.scope", "libpod-web.scope", "crio-web.scope",
                             "cri-containerd-web.scope", "lxc.payload.web"})
        EXPECT_TRUE(is_container(name, "web")) << name;
    for (const char *name : {"myweb", "web2", "docker-myweb.scope", "my-web", "web.service", ""})
        EXPECT_FALSE(is_container(name, "web")) << name;
    EXPECT_FALSE(is_container("", ""));
}

TEST_F(Directory, ContainersAreFoundAnywhereInTheTree) {
    std::filesystem::create_directories(path / "a/b/docker-web.scope");
    std::filesystem::create_directories(path / "lxc.payload.web/inner");
    std::filesystem::create_directories(path / "other");
    const auto found = containers_in(path, {"web", "none"});
    EXPECT_EQ(found.at("web"), (std::set<std::uint64_t>{inode(path / "a/b/docker-web.scope"),
                                                        inode(path / "lxc.payload.web")}));
    EXPECT_FALSE(found.contains("none"));
    EXPECT_TRUE(containers_in("", {"web"}).empty());
}

TEST(LookUp, InterfacesHaveTheTypesOfIana) {
    EXPECT_EQ(datapath::if_type_of(ARPHRD_ETHER), 6u);
    EXPECT_EQ(datapath::if_type_of(ARPHRD_LOOPBACK), 24u);
    EXPECT_EQ(datapath::if_type_of(ARPHRD_IPGRE), 131u);
    EXPECT_EQ(datapath::if_type_of(ARPHRD_CAN), 1u);
    EXPECT_EQ(datapath::tunnel_type_of(ARPHRD_ETHER), 0u);
    EXPECT_EQ(datapath::tunnel_type_of(ARPHRD_SIT), 2u);
    datapath::netlink::Link link;
    link.ifindex = 7;
    link.name = "eth0";
    link.alias = "uplink";
    link.type = ARPHRD_ETHER;
    link.mac = {2, 0, 0, 0, 0, 1};
    const auto i = interface_of(link);
    EXPECT_EQ(i.luid(), std::uint64_t{6} << 48 | std::uint64_t{7} << 24);
    EXPECT_TRUE(i.has_mac);
    EXPECT_EQ(i.alias, "uplink");
}

class Watch : public testing::Test {
protected:
    Watch()
        : watch({.file = [this](const std::string &) { return file; },
                 .cgroup = [this](const std::string &) { return cgroup; },
                 .containers =
                     [this](const std::set<std::string> &) {
                         ++walks;
                         now += 10;
                         return containers;
                     },
                 .interfaces =
                     [this](std::uint32_t compartment) {
                         std::vector<compiler::Interface> out(1);
                         out[0].index = compartment * 100 + offset;
                         return out;
                     },
                 .now_ns = [this] { return now; }}) {}

    void look_and_keep(const compiler::Names &names, std::uint32_t compartment = 1) {
        watch.keep(compartment, names, watch.look(names, compartment));
    }
    std::optional<compiler::FileId> file;
    std::optional<std::uint64_t> cgroup;
    std::map<std::string, std::set<std::uint64_t>> containers;
    std::uint32_t offset = 0;
    std::uint64_t now = 1000;
    int walks = 0;
    EnvironmentWatch watch;
};

TEST_F(Watch, NothingIsLookedAtThatNobodyNames) {
    EXPECT_EQ(watch.look({}, 1), compiler::Environment());
    EXPECT_EQ(walks, 0);
    EXPECT_FALSE(watch.changed());
}

TEST_F(Watch, AFileKeepsWhatItWasBefore) {
    const compiler::Names names{
        .interfaces = false, .files = {"/bin/x"}, .cgroups = {}, .containers = {}};
    look_and_keep(names);
    EXPECT_FALSE(watch.changed());
    file = compiler::FileId{1, 10};
    EXPECT_TRUE(watch.changed());
    look_and_keep(names);
    EXPECT_FALSE(watch.changed());
    file = compiler::FileId{1, 11};
    EXPECT_TRUE(watch.changed());
    EXPECT_EQ(watch.look(names, 1).files.at("/bin/x"),
              (std::set<compiler::FileId>{{1, 10}, {1, 11}}));
    look_and_keep(names);
    file.reset();
    EXPECT_FALSE(watch.changed()) << "an upgrade in between changes nothing";
}

TEST_F(Watch, EachCompartmentHasInterfacesOfItsOwn) {
    const compiler::Names names{.interfaces = true, .files = {}, .cgroups = {}, .containers = {}};
    look_and_keep(names, 1);
    look_and_keep(names, 2);
    EXPECT_EQ(watch.look(names, 1).interfaces[0].index, 100u);
    EXPECT_EQ(watch.look(names, 2).interfaces[0].index, 200u);
    EXPECT_FALSE(watch.changed());
    offset = 1;
    EXPECT_TRUE(watch.changed());
    watch.forget(1);
    watch.forget(2);
    EXPECT_FALSE(watch.changed());
}

TEST_F(Watch, CgroupsComeAndGo) {
    const compiler::Names names{
        .interfaces = false, .files = {}, .cgroups = {"/a"}, .containers = {}};
    cgroup = 5;
    look_and_keep(names);
    EXPECT_FALSE(watch.changed());
    cgroup = 6;
    EXPECT_TRUE(watch.changed());
    EXPECT_EQ(watch.look(names, 1).cgroups.at("/a"), std::set<std::uint64_t>{6});
}

TEST_F(Watch, TheTreeOfCgroupsIsWalkedForATenthOfTheTimeAtMost) {
    const compiler::Names names{
        .interfaces = false, .files = {}, .cgroups = {}, .containers = {"web"}};
    look_and_keep(names); // takes 10
    containers["web"] = {9};
    EXPECT_FALSE(watch.changed());
    EXPECT_EQ(walks, 1);
    now += 91;
    EXPECT_TRUE(watch.changed());
    EXPECT_EQ(walks, 2);
    look_and_keep(names);
    EXPECT_FALSE(watch.changed());
}

} // namespace
} // namespace sluice::daemon
