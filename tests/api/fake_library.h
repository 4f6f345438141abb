// SPDX-License-Identifier: Apache-2.0
// The library's functions, faked: just enough for what the C++ layer does with their results.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <sluice/fwp.h>

struct FakeLibrary {
    std::map<UINT32, FWPS_CALLOUT3> callouts; // by run-time id
    std::set<HANDLE> open_holds;
    std::vector<FWPS_CLASSIFY_OUT0> reauthorized; // answers given inside FwpsCompleteOperation0
    std::vector<FWPM_FILTER0> filters;
    std::vector<FWP_CONDITION_VALUE0> conditions; // of the last filter
    SLUICE_HOLD_OPTIONS0 hold{};                  // of the last filter that has some
    int devices = 0;
    int sessions = 0;
    int allocations = 0; // that the caller is to free
    int pages = 0;
    std::string context_data;
    std::function<void(const FWPM_FILTER_CHANGE0 &)> tell_change;
    std::function<void(const FWPM_NET_EVENT3 &)> tell_event;
    std::vector<std::string> transactions;
    struct Injection {
        bool receive;
        UINT64 endpoint;
        UINT32 interface;
        ADDRESS_FAMILY family;
        std::vector<UINT8> remote;
    };
    std::vector<Injection> injections;
    NTSTATUS inject_status = STATUS_SUCCESS;
    NTSTATUS clone_status = STATUS_SUCCESS;
    int injection_handles = 0, clones = 0; // that are open
    NTSTATUS pend_status = STATUS_SUCCESS;
    NTSTATUS register_status = STATUS_SUCCESS;
    NTSTATUS callout_add_status = STATUS_SUCCESS;

    // (flow, layer, callout) and the value; what a classify looks at is removed when it returns.
    std::map<std::tuple<UINT64, UINT16, UINT32>, UINT64> contexts;
    int removals_that_wait = 0;

    // One classify of the given flow, as the engine would make it.
    FWPS_CLASSIFY_OUT0 classify(UINT32 callout, UINT64 flow, bool reauthorize = false,
                                FWP_ACTION_TYPE so_far = FWP_ACTION_CONTINUE,
                                UINT32 rights = FWPS_RIGHT_ACTION_WRITE);
    // One of a listen, which has an endpoint and no flow.
    FWPS_CLASSIFY_OUT0 classify_listen(UINT32 callout, UINT64 endpoint, bool reauthorize = false);
    void end_flow(UINT64 flow);
};

extern FakeLibrary library;
