// SPDX-License-Identifier: Apache-2.0
// A callout that answers as the filter's raw context says, and writes down what it was asked: one
// line "port context running rights reauthorizing" in the file SLUICE_JUDGE_LOG. Its name, to which
// _v4 and _v6 are added, is SLUICE_JUDGE, so that several hosts can load it side by side.
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

#include "judge.h"

using namespace sluice;

namespace {

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    if (text == nullptr) throw Error(STATUS_INVALID_PARAMETER, name);
    return text;
}

UINT16 remote_port(const Classification &question) {
    return question[question.layer() == FWPS_LAYER_ALE_AUTH_CONNECT_V4
                        ? UINT32{FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT}
                        : UINT32{FWPS_FIELD_ALE_AUTH_CONNECT_V6_IP_REMOTE_PORT}]
        .uint16;
}

struct Judge {
    explicit Judge(Driver &driver) : device(driver, name) {}
    ~Judge() { close(log); }

    void note(const Classification &question) const {
        char line[128];
        const int length =
            std::snprintf(line, sizeof line, "%u %llu %u %u %d\n", unsigned{remote_port(question)},
                          static_cast<unsigned long long>(question.filter().context),
                          unsigned{question.action_so_far()}, question.may_write() ? 1U : 0U,
                          question.reauthorizing() ? 1 : 0);
        if (write(log, line, static_cast<std::size_t>(length)) != length)
            throw Error(STATUS_UNSUCCESSFUL, "writing the log");
    }

    Verdict pend(Classification &question) {
        std::lock_guard lock(mutex);
        waiting.remove_if([](auto &w) {
            return w.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        });
        waiting.push_back(std::async(std::launch::async, [hold = question.pend()]() mutable {
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
            hold.complete(soft_permit());
        }));
        return pended();
    }

    Verdict judge(Classification &question) {
        note(question);
        const UINT64 context = question.filter().context;
        const bool hard = (context & judge_hard) != 0;
        switch (context & judge_answer_mask) {
        case judge_permits:
            return {FWP_ACTION_PERMIT, hard, false};
        case judge_blocks:
            return {FWP_ACTION_BLOCK, hard, false};
        case judge_continues:
            return proceed();
        case judge_pends:
            // what another one decided for good is not to be held, nor what is open already
            return question.reauthorizing() || !question.may_write() ? soft_permit()
                                                                     : pend(question);
        default:
            throw Error(STATUS_INVALID_PARAMETER, "raw context");
        }
    }

    std::string name = setting("SLUICE_JUDGE");
    int log =
        open(setting("SLUICE_JUDGE_LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    std::mutex mutex;
    std::list<std::future<void>> waiting; // ends before what stands above it
    Device device;
    Engine engine{name};
    Callout::Classify ask = [this](Classification &question) { return judge(question); };
    Callout v4{device, engine, name + "_v4", FWPM_LAYER_ALE_AUTH_CONNECT_V4, ask};
    Callout v6{device, engine, name + "_v6", FWPM_LAYER_ALE_AUTH_CONNECT_V6, ask};
};

} // namespace

SLUICE_PLUGIN(Judge);
