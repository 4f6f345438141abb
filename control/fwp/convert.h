// SPDX-License-Identifier: Apache-2.0
// Structures of the API to messages. Only what a message cannot carry is refused here; whether an
// object makes sense is sluiced's to judge, in one place for every client.
#pragma once

#include "core/result.h"
#include "protocol/sluice.pb.h"
#include "sluice/fwp.h"

namespace sluice::fwp {

Result<void> to_message(const FWP_CONDITION_VALUE0 &value, protocol::Value &out);
Result<void> to_message(const FWP_VALUE0 &value, protocol::Value &out);
Result<void> to_message(const FWPM_FILTER0 &filter, protocol::Filter &out);
Result<void> to_message(const FWPM_SUBLAYER0 &sublayer, protocol::SubLayer &out);
Result<void> to_message(const FWPM_CALLOUT0 &callout, protocol::Callout &out);

} // namespace sluice::fwp
