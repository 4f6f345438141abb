// SPDX-License-Identifier: Apache-2.0
// The device object that owns a plugin's registrations.
#pragma once

#include <string_view>

#include "error.hpp"
#include "text.hpp"

namespace sluice {

class Device {
public:
    Device(DRIVER_OBJECT &driver, std::string_view name) { create(driver, name); }
    // For a program that is its own host.
    explicit Device(std::string_view name) { create(own_driver_, name); }
    ~Device() { IoDeleteDevice(device_); }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;

    PDEVICE_OBJECT get() const noexcept { return device_; }

private:
    void create(DRIVER_OBJECT &driver, std::string_view name) {
        Text text(name);
        UNICODE_STRING unicode = text.unicode_string();
        check(IoCreateDevice(&driver, 0, &unicode, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, 0,
                             &device_),
              "IoCreateDevice");
    }

    DRIVER_OBJECT own_driver_{};
    PDEVICE_OBJECT device_ = nullptr;
};

} // namespace sluice
