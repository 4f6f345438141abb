// SPDX-License-Identifier: Apache-2.0
// Options of holds: ours, Windows has none.
#include <cstring>

#include "fwp/requests.h"

using namespace sluice;

namespace {

NTSTATUS to_message(const SLUICE_HOLD_OPTIONS0 *options, protocol::HoldOptions &out) {
    if (!options) return STATUS_FWP_NULL_POINTER;
    // The caller's memory may hold any number there: an enumeration may not be read from it.
    int outcome;
    static_assert(sizeof outcome == sizeof options->outcome);
    std::memcpy(&outcome, &options->outcome, sizeof outcome);
    if (!protocol::Outcome_IsValid(outcome)) return STATUS_FWP_INVALID_ENUMERATOR;
    out.set_deadline_ms(options->deadlineInMSec);
    out.set_outcome(static_cast<protocol::Outcome>(outcome));
    return STATUS_SUCCESS;
}

} // namespace

NTSTATUS SluiceFilterSetHold0(HANDLE engine, UINT64 filter, const SLUICE_HOLD_OPTIONS0 *options) {
    return fwp::guarded([&] {
        protocol::HoldOptions hold;
        if (const NTSTATUS status = to_message(options, hold); status != STATUS_SUCCESS)
            return status;
        return fwp::ask(engine, [&](protocol::Request &r, std::uint64_t session) {
            auto &set = *r.mutable_filter_hold_set();
            set.set_session(session);
            set.set_filter(filter);
            *set.mutable_hold() = hold;
        });
    });
}

NTSTATUS SluiceHostSetHoldDefaults0(const SLUICE_HOLD_OPTIONS0 *options) {
    return fwp::guarded([&] {
        protocol::HoldOptions hold;
        if (const NTSTATUS status = to_message(options, hold); status != STATUS_SUCCESS)
            return status;
        return fwp::engine().set_hold_defaults(hold);
    });
}
