// SPDX-License-Identifier: Apache-2.0
// Loads each test driver as a host would, twice over: what the first run left behind would make the
// second one fail.
#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <cstdlib>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include <sluice/fwp.h>

struct Driver {
    explicit Driver(const std::string &name) : file(std::string(DRIVERS) + "/" + name + ".so") {
        handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!handle) throw std::runtime_error(dlerror());
    }
    ~Driver() { dlclose(handle); }
    Driver(const Driver &) = delete;
    Driver &operator=(const Driver &) = delete;

    NTSTATUS enter() {
        UNICODE_STRING path{};
        return reinterpret_cast<PDRIVER_INITIALIZE>(dlsym(handle, "DriverEntry"))(&object, &path);
    }

    std::string file;
    void *handle;
    DRIVER_OBJECT object{};
};

static std::vector<std::string> seeds() {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(DRIVERS)) {
        const std::string name = entry.path().stem();
        if (name.rfind("seed_registering_", 0) == 0) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

TEST(SeedDriver, RegistersFromEveryLanguageAndCompiler) {
    ASSERT_EQ(seeds().size(), 16u);
    for (const std::string &name : seeds()) {
        for (int round = 0; round < 2; ++round) {
            Driver driver(name);
            ASSERT_EQ(driver.enter(), STATUS_SUCCESS) << name;
            ASSERT_NE(driver.object.DriverUnload, nullptr) << name;
            driver.object.DriverUnload(&driver.object);
        }
    }
}

// Adds, finds, listens to and takes back objects of the engine, so it needs one: status_real.py.
TEST(ManagingDriver, EntersAndLeavesTwice) {
    if (!std::getenv("SLUICE_STATUS_REAL")) GTEST_SKIP() << "needs an engine";
    for (const std::string name :
         {"managing_gcc_c11", "managing_clang_c17", "managing_gcc_cxx20", "managing_clang_cxx17",
          "pend_and_inject_gcc", "pend_and_inject_clang"}) {
        for (int round = 0; round < 2; ++round) {
            Driver driver(name);
            ASSERT_EQ(driver.enter(), STATUS_SUCCESS) << name;
            driver.object.DriverUnload(&driver.object);
        }
    }
}

static std::set<UINT32> load(const std::string &name, std::size_t count) {
    Driver driver(name);
    EXPECT_EQ(driver.enter(), STATUS_SUCCESS) << name;
    const auto *ids = static_cast<const UINT32 *>(dlsym(driver.handle, "CalloutIds"));
    const std::set<UINT32> seen(ids, ids + count);
    if (driver.object.DriverUnload) driver.object.DriverUnload(&driver.object);
    return seen;
}

TEST(Drivers, RegisterOneTwoAndAHundredCallouts) {
    for (const std::size_t count : {1, 2, 100}) {
        for (int round = 0; round < 2; ++round) {
            const std::set<UINT32> ids = load("registering_" + std::to_string(count), count);
            EXPECT_EQ(ids.size(), count);
            EXPECT_EQ(ids.count(0), 0u);
        }
    }
}

TEST(Drivers, ASecondCalloutOfTheSameKeyIsRefusedAndLeavesItsIdAlone) {
    EXPECT_EQ(load("registering_same_key", 2).count(0), 1u);
}

#ifdef WITH_LIBRARY
// What a driver left is said with the place in its code, and taken back.
TEST(Drivers, MayNotLeaveLists) {
    Driver driver("leaving_lists");
    ASSERT_EQ(driver.enter(), STATUS_SUCCESS);
    auto *const *left = static_cast<NET_BUFFER_LIST **>(dlsym(driver.handle, "Left"));
    NET_BUFFER_LIST *clone = nullptr;
    ASSERT_EQ(FwpsAllocateCloneNetBufferList0(left[1], nullptr, nullptr, 0, &clone),
              STATUS_SUCCESS); // the program's own
    testing::internal::CaptureStderr();
    SluiceDriverEnd0(&driver.object);
    const std::string said = testing::internal::GetCapturedStderr();
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = said.find("driver left list", at)) != std::string::npos; ++at)
        ++lines;
    EXPECT_EQ(lines, 2u) << said;
    EXPECT_NE(said.find("made at leaving_lists.so+0x"), std::string::npos) << said;
    EXPECT_NE(said.find("(DriverEntry+0x"), std::string::npos) << said;
    FwpsFreeCloneNetBufferList0(clone, 0); // and with it what it was made from
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(FwpsAllocateCloneNetBufferList0(left[i], nullptr, nullptr, 0, &clone),
                  STATUS_INVALID_PARAMETER);
}
#endif
