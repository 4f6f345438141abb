// SPDX-License-Identifier: Apache-2.0
// What the lists of the command line show, as messages; sent in pages.
#pragma once

#include "daemon/client.h"
#include "shared/flow.h"

namespace sluice::daemon {

struct Core;

void nic_list(Core &core, const Responder &to);
void plugin_list(Core &core, const Responder &to);
void host_list(Core &core, const Responder &to);
void callout_list(Core &core, const Responder &to);
void filter_list(Core &core, const Responder &to);
void sublayer_list(Core &core, const Responder &to);
void redirect_list(Core &core, const protocol::ListGet &message, const Responder &to);
void stats_get(Core &core, const Responder &to);
void status_get(Core &core, const Responder &to);

// A hold's number among all compartments: 40 bits of ticket.
constexpr std::uint64_t hold_id(std::uint32_t compartment, std::uint64_t ticket) {
    return static_cast<std::uint64_t>(compartment - 1) << 40 | ticket;
}
std::string address_text(const dp_addr &address, std::uint16_t port);
std::string protocol_text(std::uint8_t protocol);

// Sends `all` as replies of at most `page` entries, at least one. add: puts one entry into a reply.
template <typename Entry, typename Add>
void send_pages(const std::vector<Entry> &all, const Responder &to, const Add &add,
                std::size_t page = protocol::list_page) {
    std::size_t i = 0;
    do {
        protocol::Reply reply;
        add(reply, nullptr);
        for (std::size_t n = 0; n < page && i < all.size(); ++n, ++i)
            add(reply, &all[i]);
        reply.set_more(i < all.size());
        to.done(std::move(reply));
    } while (i < all.size());
}

} // namespace sluice::daemon
