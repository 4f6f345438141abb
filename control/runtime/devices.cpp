// SPDX-License-Identifier: Apache-2.0
#include "runtime/devices.h"

#include <algorithm>

namespace sluice::runtime {

namespace {
constexpr CSHORT io_type_device = 3; // what Windows writes into Type
}

Result<DEVICE_OBJECT *> Devices::make(DRIVER_OBJECT &driver, std::size_t extension_bytes,
                                      std::string name, DEVICE_TYPE type, ULONG characteristics) {
    auto device = std::make_unique<Device>();
    device->name = std::move(name);
    device->extension.resize((extension_bytes + sizeof(Block) - 1) / sizeof(Block)); // zeroed
    DEVICE_OBJECT &object = device->object;
    object.Type = io_type_device;
    object.Size =
        static_cast<USHORT>(std::min<std::size_t>(sizeof object + extension_bytes, 0xFFFF));
    object.DriverObject = &driver;
    object.Flags = DO_DEVICE_INITIALIZING;
    object.Characteristics = characteristics;
    object.DeviceExtension = extension_bytes ? device->extension.data() : nullptr;
    object.DeviceType = type;
    object.StackSize = 1;

    Lock lock(mutex_);
    for (const auto &[address, other] : devices_)
        if (!device->name.empty() && other->name == device->name)
            return Error::status(std::uint32_t(STATUS_OBJECT_NAME_COLLISION), "make device",
                                 device->name);
    object.NextDevice = driver.DeviceObject;
    driver.DeviceObject = &object;
    devices_.emplace(&object, std::move(device));
    return &object;
}

void Devices::remove(DEVICE_OBJECT *device) {
    Lock lock(mutex_);
    const auto at = devices_.find(device);
    if (at == devices_.end()) {
        ++counters_.foreign_devices;
        return;
    }
    for (DEVICE_OBJECT **link = &device->DriverObject->DeviceObject; *link;
         link = &(*link)->NextDevice) {
        if (*link != device) continue;
        *link = device->NextDevice;
        break;
    }
    devices_.erase(at);
}

bool Devices::alive(const void *device) const {
    Lock lock(mutex_);
    return device && devices_.count(device) != 0;
}

} // namespace sluice::runtime
