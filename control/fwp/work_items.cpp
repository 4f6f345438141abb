// SPDX-License-Identifier: Apache-2.0
#include "fwp/work_items.h"

#include <map>

#include "fwp/instance.h"

struct _IO_WORKITEM {
    PDEVICE_OBJECT device;
};

namespace sluice::fwp {

namespace {

struct Work {
    Mutex mutex;
    Condition done;
    std::map<const DEVICE_OBJECT *, std::size_t> open GUARDED_BY(mutex);
};
Work &work() {
    static auto *const w = new Work; // outlives the threads of the program
    return *w;
}
thread_local const DEVICE_OBJECT *working_for = nullptr;

void run(PDEVICE_OBJECT device, PIO_WORKITEM_ROUTINE routine, PVOID context) {
    working_for = device;
    try {
        routine(device, context);
    } catch (...) {
        ++engine().counters().callout_exceptions;
    }
    working_for = nullptr;
    Lock lock(work().mutex);
    if (--work().open[device] == 0) work().open.erase(device);
    work().done.notify_all();
}

} // namespace

void wait_for_work(const DEVICE_OBJECT *device) {
    if (working_for == device) return;
    Lock lock(work().mutex);
    while (work().open.count(device) != 0)
        work().done.wait(lock);
}

} // namespace sluice::fwp

using namespace sluice;

PIO_WORKITEM IoAllocateWorkItem(PDEVICE_OBJECT device) {
    if (!fwp::engine().devices().alive(device)) return nullptr;
    return new (std::nothrow) _IO_WORKITEM{device};
}

VOID IoFreeWorkItem(PIO_WORKITEM item) {
    delete item;
}

VOID IoQueueWorkItem(PIO_WORKITEM item, PIO_WORKITEM_ROUTINE routine, WORK_QUEUE_TYPE,
                     PVOID context) {
    (void)fwp::guarded([&] {
        const PDEVICE_OBJECT device = item->device; // the routine may free the item
        {
            Lock lock(fwp::work().mutex);
            ++fwp::work().open[device];
        }
        fwp::engine().defer([=] { fwp::run(device, routine, context); });
        return STATUS_SUCCESS;
    });
}
