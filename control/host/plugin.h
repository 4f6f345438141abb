// SPDX-License-Identifier: Apache-2.0
// One plugin: a shared object with DriverEntry, its driver object, and its end.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "sluice/fwp.h"

namespace sluice::host {

class Plugin {
public:
    // Loads the file and runs DriverEntry. After an error nothing of the plugin may be relied on:
    // the caller exits, which leaves nothing registered.
    static Result<std::unique_ptr<Plugin>> load(const std::string &file);
    // The same with an entry of this program's own.
    static Result<std::unique_ptr<Plugin>> load(const std::string &name, DRIVER_INITIALIZE *entry);
    Plugin(const Plugin &) = delete;
    Plugin &operator=(const Plugin &) = delete;
    ~Plugin(); // DriverUnload if it was started, then its devices; the code stays mapped, threads
               // may be in it

    [[nodiscard]] const std::string &name() const { return name_; }

private:
    explicit Plugin(std::string name);
    static UNICODE_STRING view(std::u16string &text);
    Result<void> start(DRIVER_INITIALIZE *entry, const std::string &file);

    std::string name_;
    std::u16string driver_name_, registry_path_;
    UNICODE_STRING registry_{};
    DRIVER_OBJECT driver_{};
    bool started_ = false;
};

} // namespace sluice::host
