// SPDX-License-Identifier: Apache-2.0
// Fixed redirections as people write them, and the provider contexts that they become.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/redirect.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

// 127.0.0.1:8080, [::1]:8080, 10.0.0.5, ::1 (the port stays), :8080 (the address stays; of both
// families). At most one of each family. Errors name the word.
Result<policy::Target> target_of(const std::vector<std::string> &words);
std::vector<std::string> words_of(const policy::Target &target); // what target_of takes

// The provider context of a target, named after it, without key.
protocol::ProviderContext context_of(const policy::Target &target, bool persistent);

// As a filter of a policy file has it, whose context is one of the two: made for the target, and so
// shared by all filters that redirect there, or made with the filter.
std::string shared_context_key(const policy::Target &target, bool persistent);
// The target of a filter whose context says nothing more than the filter's own words can.
std::optional<policy::Target> plain_target(const protocol::Filter &filter,
                                           const protocol::ProviderContext &context);

} // namespace sluice::policyfile
