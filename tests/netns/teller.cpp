// SPDX-License-Identifier: Apache-2.0
// Permits everything and writes down what it is asked about connections: one JSON object a line in
// the file TELLER_LOG. Callouts teller_connect_v4, teller_accept_v4 and so on.
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <list>
#include <string>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

struct Place {
    const char *name;
    const GUID &key;
    UINT32 reason, interface, arrival, nexthop, luid, type, tunnel;
};
#define TELLER_PLACE(word, layer)                                                                  \
    {                                                                                              \
        word, FWPM_LAYER_##layer, FWPS_FIELD_##layer##_REAUTHORIZE_REASON,                         \
            FWPS_FIELD_##layer##_INTERFACE_INDEX, FWPS_FIELD_##layer##_ARRIVAL_INTERFACE_INDEX,    \
            FWPS_FIELD_##layer##_NEXTHOP_INTERFACE_INDEX, FWPS_FIELD_##layer##_IP_LOCAL_INTERFACE, \
            FWPS_FIELD_##layer##_INTERFACE_TYPE, FWPS_FIELD_##layer##_TUNNEL_TYPE                  \
    }
const Place places[] = {
    TELLER_PLACE("connect_v4", ALE_AUTH_CONNECT_V4),
    TELLER_PLACE("connect_v6", ALE_AUTH_CONNECT_V6),
    TELLER_PLACE("accept_v4", ALE_AUTH_RECV_ACCEPT_V4),
    TELLER_PLACE("accept_v6", ALE_AUTH_RECV_ACCEPT_V6),
};

struct Teller {
    explicit Teller(Driver &driver) : device(driver, "teller") {
        for (const Place &place : places)
            callouts.emplace_back(device, engine, std::string("teller_") + place.name, place.key,
                                  [this, &place](Classification &asked) {
                                      note(place, asked);
                                      return soft_permit();
                                  });
    }
    ~Teller() {
        callouts.clear();
        if (log >= 0) close(log);
    }

    void note(const Place &place, const Classification &asked) const {
        std::string line = std::string("{\"place\":\"") + place.name + '"';
        const auto put = [&](const char *name, UINT64 value) {
            line += std::string(",\"") + name + "\":" + std::to_string(value);
        };
        put("again", asked.reauthorizing() ? 1 : 0);
        put("reason", asked[place.reason].uint32);
        put("interface", asked[place.interface].uint32);
        put("arrival", asked[place.arrival].uint32); // empty: 0
        put("nexthop", asked[place.nexthop].uint32);
        put("type", asked[place.type].uint32);
        put("tunnel", asked[place.tunnel].uint32);
        const FWP_VALUE0 &luid = asked[place.luid];
        put("luid", luid.type == FWP_UINT64 ? *luid.uint64 : 0);
        line += "}\n";
        if (write(log, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    const char *const file = std::getenv("TELLER_LOG");
    const int log = open(file ? file : "", O_WRONLY | O_CREAT | O_APPEND, 0644);
    Device device;
    Engine engine{"teller"};
    std::list<Callout> callouts;
};

} // namespace

SLUICE_PLUGIN(Teller);
