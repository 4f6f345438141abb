// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <gtest/gtest.h>

#include <algorithm>
#include <unistd.h>

#include "core/files.h"

using sluice::names_in_folder;
using sluice::text_of_file;

TEST(Files, TextIsAllThatCanBeRead) {
    const std::string path = ::testing::TempDir() + "sluice-files-test." + std::to_string(getpid());
    const std::string text(10000, 'x');
    std::ofstream(path) << text;
    EXPECT_EQ(text_of_file(path), text);
    unlink(path.c_str());
    EXPECT_EQ(text_of_file(path), "");
    EXPECT_NE(text_of_file("/proc/self/stat").find(std::to_string(getpid())), std::string::npos);
}

// As the file of a process that ends between open() and read().
TEST(Files, AReadThatFailsGivesNothing) {
    EXPECT_EQ(text_of_file("/proc/self/mem"), "");
    EXPECT_EQ(text_of_file("/"), "");
}

TEST(Files, NamesOfAFolder) {
    const auto names = names_in_folder("/proc/self");
    EXPECT_NE(std::find(names.begin(), names.end(), "stat"), names.end());
    EXPECT_EQ(std::find(names.begin(), names.end(), ".."), names.end());
    EXPECT_TRUE(names_in_folder("/proc/self/stat").empty());
    EXPECT_TRUE(names_in_folder("/nonexistent/folder").empty());
}
