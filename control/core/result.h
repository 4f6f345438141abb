// SPDX-License-Identifier: Apache-2.0
// What a function that can fail returns. Three uses:
//   Result<Fd> open_it();                     if (!r) return r.error();   use(*r)
//   return Error{ENOENT, "open map", "flows"};            // errno
//   return Error::status(STATUS_FWP_NOT_FOUND, "...");    // NTSTATUS of the API
// The member names are std::expected's, which gcc 12 lacks in C++20.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace sluice {

struct [[nodiscard]] Error {
    int code = 0;               // errno, positive; 0 if only `ntstatus` says it
    std::string tried;          // what was being done
    std::string object;         // to what
    std::uint32_t ntstatus = 0; // status of the API, if the failure has one

    Error(int errno_value, std::string what, std::string name = {})
        : code(errno_value), tried(std::move(what)), object(std::move(name)) {}

    static Error status(std::uint32_t value, std::string what, std::string name = {}) {
        Error e(0, std::move(what), std::move(name));
        e.ntstatus = value;
        return e;
    }

    [[nodiscard]] std::string text() const {
        std::string s = tried;
        if (!object.empty()) s += " '" + object + "'";
        if (code != 0) s += std::string(": ") + std::strerror(code);
        return s;
    }
};

template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : v_(std::move(value)) {}
    Result(Error error) : v_(std::move(error)) {}

    [[nodiscard]] bool has_value() const { return v_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T &value() & { return std::get<0>(v_); }
    const T &value() const & { return std::get<0>(v_); }
    T &&value() && { return std::get<0>(std::move(v_)); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T &&operator*() && { return std::move(*this).value(); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }
    Error &error() { return std::get<1>(v_); }
    const Error &error() const { return std::get<1>(v_); }

private:
    std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : e_(std::move(error)) {}

    [[nodiscard]] bool has_value() const { return !e_.has_value(); }
    explicit operator bool() const { return has_value(); }
    Error &error() { return *e_; }
    const Error &error() const { return *e_; }

private:
    std::optional<Error> e_;
};

} // namespace sluice
