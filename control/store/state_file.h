// SPDX-License-Identifier: Apache-2.0
// The state on disk. A reader finds the last complete state or none: it is written beside and
// renamed. File: "SLUICE1\n", length (u64), FNV-1a of the message (u64), both little endian, then
// the message.
#pragma once

#include <optional>
#include <string>

#include "core/result.h"
#include "store/state.pb.h"

namespace sluice::store {

class StateFile {
public:
    explicit StateFile(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] const std::string &path() const { return path_; }

    // Empty: there is no file. A damaged file is an error (EBADMSG) whose text says what to do.
    [[nodiscard]] Result<std::optional<State>> read() const;
    Result<void> write(const State &state) const;

private:
    std::string path_;
};

} // namespace sluice::store
