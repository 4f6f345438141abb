// SPDX-License-Identifier: Apache-2.0
// Files and folders that may go while they are read, as those of a process do.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sluice {

// What could be read; empty: nothing. Never throws for what the file system does.
[[nodiscard]] std::string text_of_file(const std::filesystem::path &path);

// Likewise the names in a folder, without "." and "..".
[[nodiscard]] std::vector<std::string> names_in_folder(const std::filesystem::path &path);

} // namespace sluice
