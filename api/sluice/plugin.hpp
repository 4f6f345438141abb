// SPDX-License-Identifier: Apache-2.0
// DriverEntry and DriverUnload from a class: SLUICE_PLUGIN(Type) makes the entry point construct a
// Type from the driver object, and unloading destroy it.
#pragma once

#include <new>

#include "error.hpp"

namespace sluice {

using Driver = DRIVER_OBJECT;

namespace detail {

template <class Plugin>
struct [[gnu::visibility("hidden")]] Entry {
    static inline Plugin *plugin = nullptr;

    static NTSTATUS load(PDRIVER_OBJECT driver) noexcept {
        try {
            plugin = new Plugin(*driver);
            driver->DriverUnload = unload;
            return STATUS_SUCCESS;
        } catch (const Error &error) {
            return error.status();
        } catch (const std::bad_alloc &) {
            return STATUS_INSUFFICIENT_RESOURCES;
        } catch (...) {
            return STATUS_UNSUCCESSFUL;
        }
    }
    static void NTAPI unload(PDRIVER_OBJECT) {
        delete plugin;
        plugin = nullptr;
    }
};

} // namespace detail
} // namespace sluice

#define SLUICE_PLUGIN(Type)                                                                        \
    SLUICE_API NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {                \
        return ::sluice::detail::Entry<Type>::load(driver);                                        \
    }                                                                                              \
    static_assert(true, "a semicolon belongs here")
