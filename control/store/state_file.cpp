// SPDX-License-Identifier: Apache-2.0
#include "store/state_file.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/crash_point.h"
#include "core/fd.h"
#include "store/checksum.h"

namespace sluice::store {

namespace {

constexpr std::string_view magic = "SLUICE1\n";
constexpr std::size_t head_bytes = 8 + 8 + 8;

void append_u64(std::string &out, std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8)
        out += static_cast<char>(value >> shift);
}

std::uint64_t u64_at(std::string_view bytes, std::size_t at) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i)
        value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

Error damaged(const std::string &path, const char *why) {
    return Error(EBADMSG, std::string("state file ") + path + " is damaged (" + why +
                              "): move it away to start with an empty policy");
}

Result<std::string> read_all(int fd, const std::string &path) {
    std::string bytes;
    char buffer[65536];
    for (;;) {
        const ssize_t n = ::read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error(errno, "read state file", path);
        if (n == 0) return bytes;
        bytes.append(buffer, static_cast<std::size_t>(n));
    }
}

Result<void> write_all(int fd, std::string_view bytes, const std::string &path) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error(errno, "write state file", path);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

} // namespace

Result<std::optional<State>> StateFile::read() const {
    Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return std::optional<State>();
    if (!fd) return Error(errno, "open state file", path_);
    auto bytes = read_all(fd.get(), path_);
    if (!bytes) return bytes.error();
    if (bytes->size() < head_bytes || !std::string_view(*bytes).starts_with(magic))
        return damaged(path_, "it does not begin like one");
    const std::string_view body = std::string_view(*bytes).substr(head_bytes);
    if (body.size() != u64_at(*bytes, 8)) return damaged(path_, "its length is wrong");
    if (fnv1a(body) != u64_at(*bytes, 16)) return damaged(path_, "its checksum is wrong");
    State state;
    if (!state.ParseFromArray(body.data(), static_cast<int>(body.size())))
        return damaged(path_, "it cannot be parsed");
    return std::optional<State>(std::move(state));
}

Result<void> StateFile::write(const State &state) const {
    const std::string body = state.SerializeAsString();
    std::string bytes(magic);
    append_u64(bytes, body.size());
    append_u64(bytes, fnv1a(body));
    bytes += body;

    const std::string beside = path_ + ".new";
    crash_point();
    Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) return Error(errno, "open state file", beside);
    crash_point();
    if (auto r = write_all(fd.get(), bytes, beside); !r) return r.error();
    if (::fsync(fd.get()) != 0) return Error(errno, "write state file", beside);
    crash_point();
    if (::rename(beside.c_str(), path_.c_str()) != 0)
        return Error(errno, "rename state file", path_);
    return {};
}

} // namespace sluice::store
