// SPDX-License-Identifier: Apache-2.0
#include "cli/names.h"

#include "policyfile/values_text.h"
#include "sluice/fwp.h"

namespace sluice::cli {

std::string action_name(std::uint32_t action) {
    switch (action) {
    case FWP_ACTION_PERMIT:
        return "permit";
    case FWP_ACTION_BLOCK:
        return "block";
    case FWP_ACTION_CONTINUE:
        return "continue";
    case FWP_ACTION_CALLOUT_TERMINATING:
        return "callout_terminating";
    case FWP_ACTION_CALLOUT_INSPECTION:
        return "callout_inspection";
    case FWP_ACTION_CALLOUT_UNKNOWN:
        return "callout_unknown";
    default:
        return std::to_string(action);
    }
}

std::string user_name(std::uint32_t uid) {
    return policyfile::user_text(uid);
}

std::string guid_text(const std::string &bytes) {
    const auto key = Guid::from_bytes(bytes);
    return key ? key->text() : "";
}

} // namespace sluice::cli
