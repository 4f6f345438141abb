// SPDX-License-Identifier: Apache-2.0
// Redirects what it has not redirected yet to the proxy at 127.0.0.1:WITNESS_PORT, and writes down
// for each connection that it is asked about what its redirect handle says of it: a line of JSON in
// the file WITNESS_LOG. Callout WITNESS_NAME. Its context for each redirection is "from
// WITNESS_NAME".
#include <arpa/inet.h>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <sluice.hpp>

using namespace sluice;

namespace {

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text ? text : "";
}

const char *word(FWPS_CONNECTION_REDIRECT_STATE state) {
    switch (state) {
    case FWPS_CONNECTION_NOT_REDIRECTED:
        return "not";
    case FWPS_CONNECTION_REDIRECTED_BY_SELF:
        return "self";
    case FWPS_CONNECTION_REDIRECTED_BY_OTHER:
        return "other";
    case FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF:
        return "self before";
    default:
        return "?";
    }
}

struct Witness {
    explicit Witness(Driver &driver) : device(driver, name) {}
    ~Witness() {
        if (log >= 0) close(log);
    }

    Verdict decide(Classification &connection) {
        void *context = nullptr;
        const auto state = handle.state(connection, &context);
        note(word(state), static_cast<const char *>(context));
        if (handle.knows(connection) || redirected_locally(*connection.request()))
            return soft_permit();
        Redirect to{};
        to.remote = connection.request()->remoteAddressAndPort;
        struct sluice_sockaddr_in in;
        std::memcpy(&in, &to.remote, sizeof in);
        inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
        in.sin_port =
            htons(static_cast<unsigned short>(std::atoi(setting("WITNESS_PORT").c_str())));
        std::memcpy(&to.remote, &in, sizeof in);
        to.handle = handle.get();
        const std::string from = "from " + name;
        to.context.assign(from.c_str(), from.c_str() + from.size() + 1); // it is read as a string
        return connection.redirect(to);
    }

    void note(const char *state, const char *context) const {
        const std::string line = R"({"name":")" + name + R"(","state":")" + state +
                                 R"(","context":)" +
                                 (context ? '"' + std::string(context) + '"' : "null") + "}\n";
        if (write(log, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    const std::string name = setting("WITNESS_NAME");
    const int log = open(setting("WITNESS_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    RedirectHandle handle{key_from_name(name)};
    Device device;
    Engine engine{name};
    Callout callout{device, engine, name, FWPM_LAYER_ALE_CONNECT_REDIRECT_V4,
                    [this](Classification &connection) { return decide(connection); }};
};

} // namespace

SLUICE_PLUGIN(Witness);
