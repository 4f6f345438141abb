// SPDX-License-Identifier: Apache-2.0
#include "fwp/custody.h"
#include "fwp/instance.h"
#include "fwp/work_items.h"
#include "runtime/text.h"

using namespace sluice;

NTSTATUS IoCreateDevice(PDRIVER_OBJECT driver, ULONG extension_bytes, PUNICODE_STRING name,
                        DEVICE_TYPE type, ULONG characteristics, BOOLEAN, PDEVICE_OBJECT *device) {
    return fwp::guarded([&] {
        if (!driver || !device) return STATUS_INVALID_PARAMETER;
        if (name && name->Length > 0 && !name->Buffer) return STATUS_INVALID_PARAMETER;
        std::string text;
        if (name && name->Buffer)
            text = runtime::to_utf8(name->Buffer, name->Length / sizeof(WCHAR));
        auto made = fwp::engine().devices().make(*driver, extension_bytes, std::move(text), type,
                                                 characteristics);
        if (!made) return fwp::status_of(made.error());
        *device = *made;
        return STATUS_SUCCESS;
    });
}

VOID IoDeleteDevice(PDEVICE_OBJECT device) {
    (void)fwp::guarded([&] {
        fwp::wait_for_work(device);
        fwp::engine().devices().remove(device);
        return STATUS_SUCCESS;
    });
}

VOID SluiceDriverEnd0(PDRIVER_OBJECT driver) {
    (void)fwp::guarded([&] {
        if (!driver) return STATUS_SUCCESS;
        constexpr std::chrono::seconds patience{5};
        fwp::engine().end_driver(driver, patience);
        while (driver->DeviceObject)
            IoDeleteDevice(driver->DeviceObject);
        fwp::end_lists_of(*driver);
        return STATUS_SUCCESS;
    });
}
