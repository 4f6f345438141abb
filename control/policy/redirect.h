// SPDX-License-Identifier: Apache-2.0
// Fixed redirections: a permit filter at a redirect layer that names a provider context redirects
// what it matches by itself; the context's data is a SLUICE_REDIRECT_TARGET0. Pure.
#pragma once

#include <optional>
#include <string>

#include "core/result.h"
#include "policy/policy.h"
#include "shared/redirect.h"

namespace sluice::policy {

// One family's end of a target. Address: 4 or 16 bytes in network order, all zero: the same as
// before; port in host order, 0: the same as before.
struct TargetEnd {
    std::string address;
    std::uint16_t port = 0;
    [[nodiscard]] bool same_address() const;
    bool operator==(const TargetEnd &) const = default;
};
struct Target {
    std::optional<TargetEnd> v4 = {}, v6 = {}; // none: the family is not redirected
    std::uint32_t flags = 0;                   // SLUICE_REDIRECT_FLAG_*
    std::uint32_t process = 0; // that must own the socket which accepts; 0: whoever does
    std::string context = {};  // what the target is told
    bool operator==(const Target &) const = default;
};

// FWP_INVALID_PARAMETER, FWP_INVALID_FLAGS, FWP_OUT_OF_BOUNDS (context), NOT_SUPPORTED; the text
// says what of `data` is wrong. A target that changes nothing is refused too.
Result<Target> read_target(const std::string &data);
std::string write_target(const Target &target); // what read_target takes
std::string end_text(const TargetEnd &end);     // 10.0.0.1:80, [::1]:80, 10.0.0.1, or :80

bool layer_redirects_connects(std::uint16_t layer);
bool layer_redirects_binds(std::uint16_t layer);
// Whether it is a fixed redirection: it has a place for a target, good or not.
bool redirects(const Filter &filter);
// The target of a fixed redirection. As read_target; also if it has none of the layer's family.
Result<Target> target_of(const Policy &policy, const Filter &filter);
// "redirects to ADDRESS"; empty: it is none.
std::string redirection_text(const Policy &policy, const Filter &filter);

// In whose name it redirects, as chains show it: the filter's provider, else the provider
// context's, else the context itself (what one target serves is one proxy's). The provider of
// policy files stands for nobody.
Guid identity_of(const Policy &policy, const Filter &filter);
// As the kernel has it.
dp_redirect_goal goal_of(const Target &target, const Guid &identity);

// The key of the provider context that was made with a filter and goes with it.
Guid own_context_key(const Guid &filter);

} // namespace sluice::policy
