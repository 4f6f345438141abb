// SPDX-License-Identifier: Apache-2.0
// The state on disk. A reader finds the last complete state or none: it is written beside and
// renamed. File: "SLUICE1\n", then frames: length (u64), FNV-1a of the message (u64), both little
// endian, and the message. The first frame is a whole state. A later one is of a state too, but of
// its filters it has those that are new beside the frames before, and the ids of those that are
// gone. A frame that is cut off at the end of the file was never there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "store/state.pb.h"

namespace sluice::store {

class StateFile {
public:
    explicit StateFile(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] const std::string &path() const { return path_; }

    // Empty: there is no file. A damaged file is an error (EBADMSG) whose text says what to do.
    // commits: of the database, by which a later frame that is prepared counts or not.
    [[nodiscard]] Result<std::optional<State>> read(std::uint64_t commits = ~std::uint64_t{0});
    // rest: what the serialized state goes on with.
    Result<void> write(const State &state, std::string_view rest = {});

    // Whether a change is better appended: the file is large, what was appended is not too much
    // beside it, and it is the one that this object read or wrote last.
    [[nodiscard]] bool can_append() const;
    Result<void> append(const State &state, std::string_view rest = {});

private:
    void note(int fd);

    std::string path_;
    std::uint64_t inode_ = 0, size_ = 0; // as it was left; 0: who knows
    std::uint64_t whole_ = 0;            // of which the first frame is so much
};

} // namespace sluice::store
