// SPDX-License-Identifier: Apache-2.0
#include "store/state_file.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>
#include <utility>

#include "core/crash_point.h"
#include "core/fd.h"
#include "store/checksum.h"

namespace sluice::store {

namespace {

constexpr std::string_view magic = "SLUICE1\n";
constexpr std::size_t frame_head = 8 + 8; // length, checksum

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

// The frame at the begin of `bytes`, which it is taken from. Nullopt: it is cut.
Result<std::optional<State>> take_frame(std::string_view &bytes, const std::string &path) {
    if (bytes.size() < frame_head || bytes.size() - frame_head < u64_at(bytes, 0))
        return std::optional<State>();
    const std::string_view body = bytes.substr(frame_head, u64_at(bytes, 0));
    if (fnv1a(body) != u64_at(bytes, 8)) return damaged(path, "its checksum is wrong");
    State state;
    if (!state.ParseFromArray(body.data(), static_cast<int>(body.size())))
        return damaged(path, "it cannot be parsed");
    bytes.remove_prefix(frame_head + body.size());
    return std::optional<State>(std::move(state));
}

void append_frame(std::string &out, const State &state, std::string_view rest) {
    const std::string begin = state.SerializeAsString();
    append_u64(out, begin.size() + rest.size());
    append_u64(out, fnv1a(rest, fnv1a(begin)));
    out.reserve(out.size() + begin.size() + rest.size());
    out += begin;
    out += rest;
}

// Puts a later frame in place of a state, whose filters stay but for those that the frame names.
void supersede(State &state, State later) {
    std::unordered_set<std::uint64_t> gone(later.filters_gone().begin(),
                                           later.filters_gone().end());
    google::protobuf::RepeatedPtrField<FilterRecord> filters;
    for (auto &record : *state.mutable_filters())
        if (!gone.contains(record.object().id())) filters.Add()->Swap(&record);
    for (auto &record : *later.mutable_filters())
        filters.Add()->Swap(&record);
    later.mutable_filters()->Swap(&filters);
    later.clear_filters_gone();
    state = std::move(later);
}

} // namespace

Result<std::optional<State>> StateFile::read(std::uint64_t commits) {
    size_ = 0;
    Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return std::optional<State>();
    if (!fd) return Error(errno, "open state file", path_);
    auto bytes = read_all(fd.get(), path_);
    if (!bytes) return bytes.error();
    if (bytes->size() < magic.size() + frame_head || !std::string_view(*bytes).starts_with(magic))
        return damaged(path_, "it does not begin like one");
    std::string_view rest = std::string_view(*bytes).substr(magic.size());
    auto state = take_frame(rest, path_);
    if (state && !*state) return damaged(path_, "its length is wrong");
    if (!state) return state;
    whole_ = bytes->size() - rest.size();
    while (!rest.empty()) {
        auto later = take_frame(rest, path_);
        if (!later) return later;
        if (!*later) break;
        if ((*later)->prepared() && commits < (*later)->database_commit()) continue;
        supersede(**state, std::move(**later));
    }
    // What a process that was killed could not finish is as good as not begun.
    if (rest.empty()) note(fd.get());
    return state;
}

void StateFile::note(int fd) {
    struct stat now {};
    if (::fstat(fd, &now) != 0) return;
    inode_ = now.st_ino;
    size_ = static_cast<std::uint64_t>(now.st_size);
}

bool StateFile::can_append() const {
    constexpr std::uint64_t small = 65536;    // is written whole
    constexpr std::uint64_t appended_max = 3; // times the whole, which may be replaced that often
    struct stat now {};
    return whole_ >= small && size_ != 0 && size_ - whole_ <= appended_max * whole_ &&
           ::stat(path_.c_str(), &now) == 0 && now.st_ino == inode_ &&
           static_cast<std::uint64_t>(now.st_size) == size_;
}

Result<void> StateFile::write(const State &state, std::string_view rest) {
    std::string bytes(magic);
    append_frame(bytes, state, rest);
    size_ = 0;
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
    note(fd.get());
    whole_ = bytes.size();
    return {};
}

Result<void> StateFile::append(const State &state, std::string_view rest) {
    std::string bytes;
    append_frame(bytes, state, rest);
    const std::uint64_t before = std::exchange(size_, 0);
    crash_point();
    Fd fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (!fd) return Error(errno, "open state file", path_);
    crash_point();
    auto written = write_all(fd.get(), bytes, path_);
    if (written && ::fsync(fd.get()) != 0) written = Error(errno, "write state file", path_);
    if (!written) {
        // Half of it would end the file for who reads it.
        (void)::ftruncate(fd.get(), static_cast<off_t>(before));
        return written;
    }
    crash_point();
    note(fd.get());
    return {};
}

} // namespace sluice::store
