// SPDX-License-Identifier: Apache-2.0
// Gives each new socket that its filters match another local address, so that its traffic takes the
// way of that address: a split tunnel. Loopback stays, and so does what has the address already.
//
//   SLUICE_TUNNEL_V4, _V6    the addresses; none (default): sockets of that family stay as they are
//   SLUICE_TUNNEL_PORT       the local port; 0 (default): the socket's own
//   SLUICE_TUNNEL_PEND_MS    hold each socket for so long and decide from another thread
//   SLUICE_TUNNEL_LEARN_MS   let the kernel decide the same by itself for so long
//   SLUICE_TUNNEL_NAME       of callouts, NAME_v4 and NAME_v6 (split_tunnel)
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
unsigned long number(const char *name) {
    return std::strtoul(setting(name, "0").c_str(), nullptr, 10);
}

} // namespace

struct SplitTunnel {
    explicit SplitTunnel(Driver &driver) : device(driver, name) {}

    // The same socket at the tunnel's end.
    struct sluice_sockaddr_storage moved(struct sluice_sockaddr_storage local) const {
        if (local.ss_family == SLUICE_AF_INET6) {
            struct sluice_sockaddr_in6 in;
            std::memcpy(&in, &local, sizeof in);
            if (!IN6_IS_ADDR_LOOPBACK(&in.sin6_addr) && !address_v6.empty())
                inet_pton(AF_INET6, address_v6.c_str(), &in.sin6_addr);
            if (port) in.sin6_port = htons(port);
            std::memcpy(&local, &in, sizeof in);
        } else {
            struct sluice_sockaddr_in in;
            std::memcpy(&in, &local, sizeof in);
            if (in.sin_addr.S_un.S_un_b.s_b1 != 127 && !address_v4.empty())
                inet_pton(AF_INET, address_v4.c_str(), &in.sin_addr);
            if (port) in.sin_port = htons(port);
            std::memcpy(&local, &in, sizeof in);
        }
        return local;
    }

    Verdict decide(Classification &bind) {
        const struct sluice_sockaddr_storage &asked = bind.bind_request()->localAddressAndPort;
        const BindRedirect to{moved(asked), learn};
        if (std::memcmp(&to.local, &asked, sizeof asked) == 0) return soft_permit();
        if (delay.count() == 0) return bind.redirect(to);
        std::lock_guard lock(mutex);
        waiting.remove_if([](auto &w) {
            return w.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        });
        waiting.push_back(
            std::async(std::launch::async, [held = bind.pend_redirect(), to, d = delay]() mutable {
                std::this_thread::sleep_for(d);
                held.redirect(to);
            }));
        return pended();
    }

    const std::string name = setting("SLUICE_TUNNEL_NAME", "split_tunnel");
    const std::string address_v4 = setting("SLUICE_TUNNEL_V4", "");
    const std::string address_v6 = setting("SLUICE_TUNNEL_V6", "");
    const unsigned short port = static_cast<unsigned short>(number("SLUICE_TUNNEL_PORT"));
    const std::chrono::milliseconds delay{number("SLUICE_TUNNEL_PEND_MS")};
    const std::chrono::milliseconds learn{number("SLUICE_TUNNEL_LEARN_MS")};
    std::mutex mutex;
    std::list<std::future<void>> waiting; // ends before what stands above it
    Device device;
    Engine engine{name};
    Callout::Classify ask = [this](Classification &bind) { return decide(bind); };
    Callout v4{device, engine, name + "_v4", FWPM_LAYER_ALE_BIND_REDIRECT_V4, ask};
    Callout v6{device, engine, name + "_v6", FWPM_LAYER_ALE_BIND_REDIRECT_V6, ask};
};

SLUICE_PLUGIN(SplitTunnel);
