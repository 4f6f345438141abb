// SPDX-License-Identifier: Apache-2.0
#include "host/plugin.h"

#include <dlfcn.h>
#include <filesystem>

#include "sluice/detail/fwp_tables.hpp"

namespace sluice::host {

namespace {

std::string status_name(NTSTATUS status) {
    const auto value = static_cast<std::uint32_t>(status);
    for (const auto &known : tables::statuses)
        if (known.value == value) return known.name;
    char text[16];
    std::snprintf(text, sizeof text, "0x%08X", value);
    return text;
}

std::u16string widened(const std::string &text) {
    return {text.begin(), text.end()};
}

} // namespace

Plugin::Plugin(std::string name)
    : name_(std::move(name)), driver_name_(widened("\\Driver\\" + name_)),
      registry_path_(widened("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\" + name_)),
      registry_(view(registry_path_)) {
    driver_.Size = sizeof driver_;
    driver_.DriverName = view(driver_name_);
}

UNICODE_STRING Plugin::view(std::u16string &text) {
    UNICODE_STRING out{};
    out.Length = static_cast<USHORT>(text.size() * sizeof(WCHAR));
    out.MaximumLength = static_cast<USHORT>(out.Length + sizeof(WCHAR));
    out.Buffer = reinterpret_cast<PWSTR>(text.data());
    return out;
}

Result<std::unique_ptr<Plugin>> Plugin::load(const std::string &file) {
    std::error_code ignored;
    const auto path = std::filesystem::absolute(
        file, ignored); // a bare name would be searched in library folders
    if (!std::filesystem::exists(path, ignored)) return Error(ENOENT, "load plugin", file);
    void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) return Error(0, std::string("load plugin: ") + ::dlerror());
    auto *entry = reinterpret_cast<DRIVER_INITIALIZE *>(::dlsym(library, "DriverEntry"));
    if (!entry) return Error(0, "plugin has no DriverEntry", file);
    std::unique_ptr<Plugin> plugin(new Plugin(path.stem().string()));
    if (auto started = plugin->start(entry, file); !started) return started.error();
    return plugin;
}

Result<std::unique_ptr<Plugin>> Plugin::load(const std::string &name, DRIVER_INITIALIZE *entry) {
    std::unique_ptr<Plugin> plugin(new Plugin(name));
    if (auto started = plugin->start(entry, name); !started) return started.error();
    return plugin;
}

Result<void> Plugin::start(DRIVER_INITIALIZE *entry, const std::string &file) {
    driver_.DriverInit = entry;
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    try {
        status = entry(&driver_, &registry_);
    } catch (...) {
        return Error(0, "DriverEntry of plugin threw an exception", file);
    }
    if (!NT_SUCCESS(status))
        return Error::status(static_cast<std::uint32_t>(status),
                             "DriverEntry failed with " + status_name(status), file);
    started_ = true;
    return {};
}

Plugin::~Plugin() {
    if (started_ && driver_.DriverUnload) driver_.DriverUnload(&driver_);
    SluiceDriverEnd0(&driver_);
}

} // namespace sluice::host
