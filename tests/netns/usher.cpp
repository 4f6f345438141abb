// SPDX-License-Identifier: Apache-2.0
// Holds every bind and listen, and writes down what it is asked and told about sockets: one JSON
// object a line in the file USHER_LOG. Whoever wants decides; with USHER_MS it decides itself after
// that many milliseconds: USHER_VERDICT, "permit" or "block". Callouts usher_bind_v4 and so on.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <future>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

struct Place {
    const char *name;
    UINT16 layer;
    const GUID &key;
    bool holds;
    int local, port, protocol, remote, remote_port; // fields; -1: the layer has none
};
#define USHER_PLACE(word, layer, holds, protocol, remote, remote_port)                             \
    {                                                                                              \
        word, FWPS_LAYER_##layer, FWPM_LAYER_##layer, holds,                                       \
            FWPS_FIELD_##layer##_IP_LOCAL_ADDRESS, FWPS_FIELD_##layer##_IP_LOCAL_PORT, protocol,   \
            remote, remote_port                                                                    \
    }
#define USHER_BIND(word, layer, holds)                                                             \
    USHER_PLACE(word, layer, holds, FWPS_FIELD_##layer##_IP_PROTOCOL, -1, -1)
#define USHER_CLOSURE(word, layer)                                                                 \
    USHER_PLACE(word, layer, false, FWPS_FIELD_##layer##_IP_PROTOCOL,                              \
                FWPS_FIELD_##layer##_IP_REMOTE_ADDRESS, FWPS_FIELD_##layer##_IP_REMOTE_PORT)
const Place places[] = {
    USHER_BIND("bind_v4", ALE_RESOURCE_ASSIGNMENT_V4, true),
    USHER_BIND("bind_v6", ALE_RESOURCE_ASSIGNMENT_V6, true),
    USHER_PLACE("listen_v4", ALE_AUTH_LISTEN_V4, true, -1, -1, -1),
    USHER_PLACE("listen_v6", ALE_AUTH_LISTEN_V6, true, -1, -1, -1),
    USHER_BIND("release_v4", ALE_RESOURCE_RELEASE_V4, false),
    USHER_BIND("release_v6", ALE_RESOURCE_RELEASE_V6, false),
    USHER_CLOSURE("closure_v4", ALE_ENDPOINT_CLOSURE_V4),
    USHER_CLOSURE("closure_v6", ALE_ENDPOINT_CLOSURE_V6),
};

std::string text_of(const FWP_VALUE0 &value) {
    switch (value.type) {
    case FWP_UINT8:
        return std::to_string(value.uint8);
    case FWP_UINT16:
        return std::to_string(value.uint16);
    case FWP_UINT32:
        return std::to_string(value.uint32);
    case FWP_BYTE_ARRAY16_TYPE: {
        std::string hex;
        char two[3];
        for (const UINT8 byte : value.byteArray16->byteArray16) {
            std::snprintf(two, sizeof two, "%02x", unsigned{byte});
            hex += two;
        }
        return '"' + hex + '"';
    }
    default:
        return "null";
    }
}

std::string setting(const char *name, const char *otherwise) {
    const char *text = std::getenv(name);
    return text != nullptr ? text : otherwise;
}

struct Usher {
    explicit Usher(Driver &driver) : device(driver, "usher") {
        for (const Place &place : places)
            callouts.emplace_back(
                device, engine, std::string("usher_") + place.name, place.key,
                [this, &place](Classification &asked) { return ask(place, asked); });
    }
    ~Usher() {
        callouts.clear();
        if (log >= 0) close(log);
    }

    Verdict ask(const Place &place, Classification &asked) {
        note(place, asked);
        if (!place.holds || asked.reauthorizing()) return soft_permit();
        if (ms == 0) {
            asked.pend().release();
            return pended();
        }
        std::lock_guard lock(mutex);
        deciding.push_back(std::async(std::launch::async, [this, hold = asked.pend()]() mutable {
            std::this_thread::sleep_for(std::chrono::milliseconds(ms));
            hold.complete(permits ? soft_permit() : block());
        }));
        return pended();
    }

    void note(const Place &place, const Classification &asked) const {
        if (log < 0) return;
        std::string line = std::string("{\"layer\":\"") + place.name + '"';
        const auto put = [&](const char *name, const std::string &value) {
            line += std::string(",\"") + name + "\":" + value;
        };
        const auto put_field = [&](const char *name, int field) {
            if (field >= 0) put(name, text_of(asked[static_cast<UINT32>(field)]));
        };
        put_field("local", place.local);
        put_field("port", place.port);
        put_field("protocol", place.protocol);
        put_field("remote", place.remote);
        put_field("remote_port", place.remote_port);
        put("flags", std::to_string(asked.flags()));
        put("pid", std::to_string(asked.pid()));
        put("endpoint", std::to_string(asked.endpoint()));
        put("parent", std::to_string(asked.parent_endpoint()));
        put("metadata", std::to_string(asked.metadata().currentMetadataValues));
        line += "}\n";
        if (write(log, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    const int log = open(setting("USHER_LOG", "").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const unsigned long ms = std::strtoul(setting("USHER_MS", "0").c_str(), nullptr, 10);
    const bool permits = setting("USHER_VERDICT", "permit") == "permit";
    std::mutex mutex;
    std::list<std::future<void>> deciding;
    Device device;
    Engine engine{"usher"};
    std::list<Callout> callouts;
};

} // namespace

SLUICE_PLUGIN(Usher);
