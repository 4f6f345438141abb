// SPDX-License-Identifier: Apache-2.0
#include "core/files.h"

#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>

#include "core/fd.h"

namespace sluice {

std::string text_of_file(const std::filesystem::path &path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> part;
    std::string text;
    for (;;) {
        const ssize_t bytes = file ? ::read(file.get(), part.data(), part.size()) : 0;
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes <= 0) return text;
        text.append(part.data(), static_cast<std::size_t>(bytes));
    }
}

std::vector<std::string> names_in_folder(const std::filesystem::path &path) {
    struct Close {
        void operator()(DIR *folder) const { ::closedir(folder); }
    };
    const std::unique_ptr<DIR, Close> folder(::opendir(path.c_str()));
    std::vector<std::string> names;
    while (const dirent *entry = folder ? ::readdir(folder.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    return names;
}

} // namespace sluice
