// SPDX-License-Identifier: Apache-2.0
// watcher PORT: a program with a dynamic session. It blocks TCP connections to PORT (0: none), says
// "ready", and prints each net event of a drop or an allowance: "drop LAYER FILTER".
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sluice.hpp>

using namespace sluice;

namespace {

void NTAPI heard(void *, const FWPM_NET_EVENT1 *event) {
    if (event->type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP)
        std::printf("drop %u %llu\n", unsigned{event->classifyDrop->layerId},
                    static_cast<unsigned long long>(event->classifyDrop->filterId));
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) try {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr); // before the library starts its threads
    const int port = argc > 1 ? std::atoi(argv[1]) : 0;

    Engine engine("watcher", Engine::Lifetime::dynamic);
    if (port != 0) {
        Filter filter("of the watcher");
        engine.add(filter.layer(FWPM_LAYER_ALE_AUTH_CONNECT_V4)
                       .block()
                       .protocol(6)
                       .remote_port(static_cast<UINT16>(port)));
    }
    FWPM_NET_EVENT_SUBSCRIPTION0 all{};
    HANDLE events = nullptr;
    check(FwpmNetEventSubscribe0(engine.get(), &all, heard, nullptr, &events),
          "FwpmNetEventSubscribe0");
    std::puts("ready");
    std::fflush(stdout);
    int signal = 0;
    sigwait(&stop, &signal);
    check(FwpmNetEventUnsubscribe0(engine.get(), events), "FwpmNetEventUnsubscribe0");
} catch (const Error &error) {
    std::fprintf(stderr, "watcher: %s\n", error.what());
    return 1;
}
