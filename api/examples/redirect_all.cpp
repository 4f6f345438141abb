// SPDX-License-Identifier: Apache-2.0
// Sends each new connection that its filters match to a proxy, by default at loopback. What the
// proxy finds as redirect context is the original destination as text: 192.0.2.1:80,
// [2001:db8::1]:80.
//
//   SLUICE_REDIRECT_PORT      port of the proxy (8080); 0: the connection's own
//   SLUICE_REDIRECT_V4, _V6   its addresses (127.0.0.1, ::1)
//   SLUICE_REDIRECT_PID       its process; 0 (default): whoever listens there
//   SLUICE_REDIRECT_PEND_MS   hold each connection for so long and redirect it from another thread
//   SLUICE_REDIRECT_LEARN_MS  let the kernel decide the same by itself for so long
//   SLUICE_REDIRECT_AWAY      1: the proxy is on another machine, which needs no handle
//   SLUICE_REDIRECT_AGAIN     1: see a connection once more that others redirect further
//   SLUICE_REDIRECT_NAME      of callouts, NAME_v4 and NAME_v6, and of the provider (redirect_all)
#include <arpa/inet.h>
#include <chrono>
#include <cstdlib>
#include <future>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include <sluice.hpp>

using namespace sluice;

namespace {

std::string setting(const char *name, const char *otherwise) {
    const char *text = std::getenv(name);
    return text && *text ? text : otherwise;
}
unsigned long number(const char *name, const char *otherwise) {
    return std::strtoul(setting(name, otherwise).c_str(), nullptr, 10);
}

std::string text_of(const struct sluice_sockaddr_storage &address) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == SLUICE_AF_INET6) {
        struct sluice_sockaddr_in6 v6;
        std::memcpy(&v6, &address, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    struct sluice_sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
}

// The same family at another place; port 0: the same port.
struct sluice_sockaddr_storage moved(struct sluice_sockaddr_storage address, const std::string &v4,
                                     const std::string &v6, unsigned short port) {
    if (address.ss_family == SLUICE_AF_INET6) {
        struct sluice_sockaddr_in6 in;
        std::memcpy(&in, &address, sizeof in);
        inet_pton(AF_INET6, v6.c_str(), &in.sin6_addr);
        if (port) in.sin6_port = htons(port);
        std::memcpy(&address, &in, sizeof in);
    } else {
        struct sluice_sockaddr_in in;
        std::memcpy(&in, &address, sizeof in);
        inet_pton(AF_INET, v4.c_str(), &in.sin_addr);
        if (port) in.sin_port = htons(port);
        std::memcpy(&address, &in, sizeof in);
    }
    return address;
}

} // namespace

struct RedirectAll {
    explicit RedirectAll(Driver &driver) : device(driver, name) {}

    Redirect target(const FWPS_CONNECT_REQUEST0 &request) const {
        Redirect to{};
        to.remote = moved(request.remoteAddressAndPort, address_v4, address_v6, port);
        to.handle = away ? nullptr : handle.get();
        to.process_id = pid;
        to.learn = learn;
        to.reauthorize = again;
        const std::string original = text_of(request.remoteAddressAndPort);
        to.context.assign(original.begin(), original.end());
        return to;
    }

    Verdict decide(Classification &connection) {
        const FWPS_CONNECT_REQUEST0 &request = *connection.request();
        if (handle.knows(connection) || redirected_locally(request)) return soft_permit();
        if (pid != 0 && connection.pid() == pid) return soft_permit();
        Redirect to = target(request);
        if (text_of(to.remote) == text_of(request.remoteAddressAndPort)) return soft_permit();
        if (delay.count() == 0) return connection.redirect(to);
        std::lock_guard lock(mutex);
        waiting.remove_if([](auto &w) {
            return w.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        });
        waiting.push_back(std::async(std::launch::async, [held = connection.pend_redirect(),
                                                          to = std::move(to), d = delay]() mutable {
            std::this_thread::sleep_for(d);
            held.redirect(to);
        }));
        return pended();
    }

    const std::string name = setting("SLUICE_REDIRECT_NAME", "redirect_all");
    const std::string address_v4 = setting("SLUICE_REDIRECT_V4", "127.0.0.1");
    const std::string address_v6 = setting("SLUICE_REDIRECT_V6", "::1");
    const unsigned short port = static_cast<unsigned short>(number("SLUICE_REDIRECT_PORT", "8080"));
    const DWORD pid = static_cast<DWORD>(number("SLUICE_REDIRECT_PID", "0"));
    const std::chrono::milliseconds delay{number("SLUICE_REDIRECT_PEND_MS", "0")};
    const std::chrono::milliseconds learn{number("SLUICE_REDIRECT_LEARN_MS", "0")};
    const bool away = number("SLUICE_REDIRECT_AWAY", "0") != 0;
    const bool again = number("SLUICE_REDIRECT_AGAIN", "0") != 0;
    RedirectHandle handle{key_from_name(name)};
    std::mutex mutex;
    std::list<std::future<void>> waiting; // ends before what stands above it
    Device device;
    Engine engine{name};
    Callout::Classify ask = [this](Classification &connection) { return decide(connection); };
    Callout v4{device, engine, name + "_v4", FWPM_LAYER_ALE_CONNECT_REDIRECT_V4, ask};
    Callout v6{device, engine, name + "_v6", FWPM_LAYER_ALE_CONNECT_REDIRECT_V6, ask};
};

SLUICE_PLUGIN(RedirectAll);
