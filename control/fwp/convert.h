// SPDX-License-Identifier: Apache-2.0
// Structures of the API to messages. Only what a message cannot carry is refused here; whether an
// object makes sense is sluiced's to judge, in one place for every client.
#pragma once

#include "core/result.h"
#include "protocol/sluice.pb.h"
#include "sluice/fwp.h"

namespace sluice::fwp {

inline Error refuse(NTSTATUS status, const char *what) {
    return Error::status(std::uint32_t(status), what);
}

Result<void> to_message(const FWP_CONDITION_VALUE0 &value, protocol::Value &out);
Result<void> to_message(const FWP_VALUE0 &value, protocol::Value &out);
Result<void> to_message(const FWPM_FILTER_CONDITION0 &condition, protocol::Condition &out);
Result<void> to_message(const FWPM_PROVIDER0 &provider, protocol::Provider &out);
Result<void> to_message(const FWPM_PROVIDER_CONTEXT0 &context, protocol::ProviderContext &out);
Result<void> to_message(const FWPM_FILTER0 &filter, protocol::Filter &out);
Result<void> to_message(const FWPM_SUBLAYER0 &sublayer, protocol::SubLayer &out);
Result<void> to_message(const FWPM_CALLOUT0 &callout, protocol::Callout &out);

// What limits an enumeration or a subscription. The kind is the caller's to say.
Result<void> to_message(const FWPM_PROVIDER_ENUM_TEMPLATE0 &limits, protocol::ObjectEnum &out);
Result<void> to_message(const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 &limits,
                        protocol::ObjectEnum &out);
Result<void> to_message(const FWPM_SUBLAYER_ENUM_TEMPLATE0 &limits, protocol::ObjectEnum &out);
Result<void> to_message(const FWPM_CALLOUT_ENUM_TEMPLATE0 &limits, protocol::ObjectEnum &out);
Result<void> to_message(const FWPM_FILTER_ENUM_TEMPLATE0 &limits, protocol::ObjectEnum &out);

} // namespace sluice::fwp
