// SPDX-License-Identifier: Apache-2.0
#include "fwp/instance.h"

using namespace sluice;

NTSTATUS FwpsFlowAssociateContext0(UINT64 flow, UINT16 layer, UINT32 callout, UINT64 context) {
    return fwp::guarded(
        [&] { return fwp::engine().contexts().associate(flow, layer, callout, context); });
}

NTSTATUS FwpsFlowRemoveContext0(UINT64 flow, UINT16 layer, UINT32 callout) {
    return fwp::guarded([&] { return fwp::engine().contexts().remove(flow, layer, callout); });
}

NTSTATUS FwpsFlowAbort0(UINT64 flow) {
    return fwp::guarded([&] { return fwp::engine().abort_flow(flow); });
}
