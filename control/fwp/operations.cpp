// SPDX-License-Identifier: Apache-2.0
#include "fwp/instance.h"

using namespace sluice;

NTSTATUS FwpsPendOperation0(HANDLE completion, HANDLE *context) {
    return fwp::guarded([&] { return fwp::engine().pend(completion, context); });
}

// The list stays the caller's: it injects or frees it.
VOID FwpsCompleteOperation0(HANDLE context, PNET_BUFFER_LIST) {
    (void)fwp::guarded([&] {
        fwp::engine().complete(context);
        return STATUS_SUCCESS;
    });
}
