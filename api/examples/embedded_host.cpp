// SPDX-License-Identifier: Apache-2.0
// A host without sluice-host: an ordinary program that links libsluice. It prints every new
// outbound IPv4 connection, lets it go, and takes its filter back when it ends.
#include <csignal>
#include <cstdio>

#include <sluice.hpp>

using namespace sluice;

int main() try {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr); // before the library starts its threads

    Device device("embedded_host");
    Engine engine("embedded_host", Engine::Lifetime::dynamic);
    Callout callout(
        device, engine, "embedded_host", FWPM_LAYER_ALE_AUTH_CONNECT_V4, [](Classification &c) {
            const UINT32 to = c[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_ADDRESS].uint32;
            std::printf("%llu %s to %u.%u.%u.%u port %u\n",
                        static_cast<unsigned long long>(c.pid()), c.program().c_str(), to >> 24,
                        to >> 16 & 255, to >> 8 & 255, to & 255,
                        c[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].uint16);
            std::fflush(stdout);
            return soft_permit();
        });
    Filter filter("all new connections");
    engine.add(
        filter.layer(FWPM_LAYER_ALE_AUTH_CONNECT_V4).callout(key_from_name("embedded_host")));
    int signal = 0;
    sigwait(&stop, &signal);
} catch (const Error &error) {
    std::fprintf(stderr, "embedded_host: %s\n", error.what());
    return 1;
}
