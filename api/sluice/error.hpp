// SPDX-License-Identifier: Apache-2.0
// Statuses as exceptions on the C++ side. Nothing thrown here may cross a C boundary: the
// callbacks that the library calls catch everything.
#pragma once

#include <cstdio>
#include <exception>
#include <string>

#include "fwp.h"

namespace sluice {

class Error : public std::exception {
public:
    Error(NTSTATUS status, const char *what) : status_(status) {
        char text[32];
        std::snprintf(text, sizeof text, ": status 0x%08X", static_cast<UINT32>(status));
        text_ = std::string(what) + text;
    }
    NTSTATUS status() const noexcept { return status_; }
    const char *what() const noexcept override { return text_.c_str(); }

private:
    NTSTATUS status_;
    std::string text_;
};

inline void check(NTSTATUS status, const char *what) {
    if (!NT_SUCCESS(status)) throw Error(status, what);
}

} // namespace sluice
