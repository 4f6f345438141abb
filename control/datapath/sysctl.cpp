// SPDX-License-Identifier: Apache-2.0
#include "datapath/sysctl.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>

#include "core/fd.h"

namespace sluice::datapath::sysctl {

Result<int> read(const std::string &key) {
    const Fd fd(open(("/proc/sys/" + key).c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 32> text{};
    if (!fd || ::read(fd.get(), text.data(), text.size() - 1) <= 0)
        return Error{errno, "read setting", key};
    return std::atoi(text.data());
}

Result<void> write(const std::string &key, int value) {
    const Fd fd(open(("/proc/sys/" + key).c_str(), O_WRONLY | O_CLOEXEC));
    const std::string text = std::to_string(value);
    if (!fd || ::write(fd.get(), text.data(), text.size()) != ssize_t(text.size()))
        return Error{errno, "write setting", key};
    return {};
}

} // namespace sluice::datapath::sysctl
