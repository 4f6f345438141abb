// SPDX-License-Identifier: Apache-2.0
// What boot does before it touches the kernel. That the filters hold is shown in tests/netns.
#include "boot/boot.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "policy/edit.h"
#include "sluice/fwp.h"

namespace sluice::boot {
namespace {

policy::Policy with_filter(std::uint32_t flags) {
    auto policy = policy::initial();
    policy::Filter filter;
    filter.name = "of a test";
    filter.layer = 48;
    filter.action = FWP_ACTION_BLOCK;
    filter.flags = flags;
    auto id = policy::add_filter(policy, filter);
    EXPECT_TRUE(id) << id.error().text();
    return policy;
}

compiler::Environment nothing(const compiler::Names &) {
    return {};
}

class BootTest : public testing::Test {
protected:
    BootTest() {
        char pattern[] = "/tmp/sluice-boot-XXXXXX";
        directory_ = ::mkdtemp(pattern);
        options_.store = {directory_ / "policy.db", directory_ / "state", 0};
        options_.plane.pin_root = directory_ / "pins"; // no BPF file system: nothing can be pinned
    }
    ~BootTest() override { std::filesystem::remove_all(directory_); }
    void store(const policy::Policy &policy, const std::vector<std::string> &nics) {
        auto opened = store::Store::open(options_.store);
        ASSERT_TRUE(opened) << opened.error().text();
        ASSERT_TRUE(opened->commit(policy, store::State()));
        ASSERT_TRUE(opened->set_boot_nics(nics));
    }

    std::filesystem::path directory_;
    Options options_;
};

TEST(PolicyAtBoot, HasBootTimeFiltersAndWhatTheyReferTo) {
    auto policy = with_filter(FWPM_FILTER_FLAG_BOOTTIME);
    policy::Filter other;
    other.name = "persistent";
    other.layer = 48;
    other.action = FWP_ACTION_BLOCK;
    other.flags = FWPM_FILTER_FLAG_PERSISTENT;
    ASSERT_TRUE(policy::add_filter(policy, other));
    const auto at_boot = policy_at_boot(policy);
    ASSERT_EQ(at_boot.filters.size(), 1u);
    EXPECT_EQ(at_boot.filters.begin()->second.name, "of a test");
    EXPECT_EQ(at_boot.sublayers.size(), policy.sublayers.size());
}

TEST_F(BootTest, AMachineWithoutStoreHasNothingToPin) {
    auto outcome = pin(options_, nothing);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->filters, 0u);
    EXPECT_FALSE(std::filesystem::exists(options_.store.database)) << "a store was made";
}

TEST_F(BootTest, PersistentFiltersAreTheEnginesBusiness) {
    store(with_filter(FWPM_FILTER_FLAG_PERSISTENT), {"lo"});
    auto outcome = pin(options_, nothing);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->filters, 0u);
}

TEST_F(BootTest, FiltersThatWouldHoldNowhereAreAnError) {
    store(with_filter(FWPM_FILTER_FLAG_BOOTTIME), {});
    auto outcome = pin(options_, nothing);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ENODEV);
    EXPECT_NE(outcome.error().text().find("--nic"), std::string::npos);
}

TEST_F(BootTest, ADamagedStoreIsAnErrorThatNamesIt) {
    std::ofstream(options_.store.database) << "no database";
    auto outcome = pin(options_, nothing);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, EBADMSG);
    EXPECT_NE(outcome.error().text().find(options_.store.database), std::string::npos);
}

TEST_F(BootTest, ADaemonThatRanBeforeIsToldToPublishAgain) {
    store(with_filter(FWPM_FILTER_FLAG_BOOTTIME), {"none0"});
    EXPECT_FALSE(pin(options_, nothing)) << "pinned outside of a BPF file system";
    auto opened = store::Store::open(options_.store);
    ASSERT_TRUE(opened && opened->load());
    ASSERT_TRUE(opened->state());
    EXPECT_TRUE(opened->state()->publishing());
}

} // namespace
} // namespace sluice::boot
