// SPDX-License-Identifier: Apache-2.0
// Objects of messages as the structures of the API, with all that they point to in one arena.
#pragma once

#include "runtime/values.h"
#include "sluice/detail/fwp_tables.hpp"

namespace sluice::fwp {

void fill(runtime::Arena &arena, const protocol::Provider &from, FWPM_PROVIDER0 &to);
void fill(runtime::Arena &arena, const protocol::SubLayer &from, FWPM_SUBLAYER0 &to);
void fill(runtime::Arena &arena, const protocol::Callout &from, FWPM_CALLOUT0 &to);
void fill(runtime::Arena &arena, const protocol::Filter &from, FWPM_FILTER0 &to);
void fill(runtime::Arena &arena, const protocol::SessionInfo &from, FWPM_SESSION0 &to);
void fill(runtime::Arena &arena, const tables::Layer &from, FWPM_LAYER0 &to);
// The four versions of a provider context have one layout.
void fill(runtime::Arena &arena, const protocol::ProviderContext &from, FWPM_PROVIDER_CONTEXT0 &to);

void fill(runtime::Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT0 &to);
void fill(runtime::Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT1 &to);
void fill(runtime::Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT2 &to);
void fill(runtime::Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT3 &to);
void fill(runtime::Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT4 &to);
void fill(runtime::Arena &arena, const protocol::NetEvent &from, FWPM_NET_EVENT5 &to);

SID *user_sid(runtime::Arena &arena, std::uint32_t uid); // S-1-22-1-uid
// 100 ns since 1601, and back; 0 since 1970 for what lies before it.
FILETIME to_filetime(std::uint64_t ns_since_1970);
std::uint64_t from_filetime(const FILETIME &time);

template <typename Struct, typename From>
Struct *make(runtime::Arena &arena, const From &from) {
    auto *to = arena.make<Struct>();
    fill(arena, from, *to);
    return to;
}

// A copy for the caller, who frees it.
template <typename Struct, typename From>
Struct *copy_out(const From &from) {
    return static_cast<Struct *>(
        runtime::one_allocation([&](runtime::Arena &arena) { make<Struct>(arena, from); }));
}

} // namespace sluice::fwp
