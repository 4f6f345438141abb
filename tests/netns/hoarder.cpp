// SPDX-License-Identifier: Apache-2.0
// Holds every connection; once told to, several threads complete what is held, in random order, and
// what comes later too. HOARDER_NAME: its callouts are NAME_v4 and NAME_v6. HOARDER_GO: a file whose
// existence is the word. HOARDER_PAUSE_US: of each thread after each completion.
//
// Permitted are local ports whose second bit is set: whoever opened the connection knows what
// becomes of it.
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <sluice.hpp>

using namespace sluice;

namespace {

constexpr int threads = 4;
constexpr std::chrono::milliseconds between_looks{20};

std::string text(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

class Hoard {
public:
    Hoard() {
        for (int i = 0; i < threads; ++i)
            threads_.emplace_back([this] { work(); });
        boss_ = std::thread([this] { wait_for_word(); });
    }
    // What is held still is blocked with the object.
    ~Hoard() {
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        boss_.join();
        for (auto &thread : threads_)
            thread.join();
    }
    Hoard(const Hoard &) = delete;
    Hoard &operator=(const Hoard &) = delete;

    void keep(Hold hold, UINT16 local_port) {
        std::lock_guard lock(mutex_);
        held_.push_back({std::move(hold), (local_port & 2) != 0});
        changed_.notify_one();
    }

private:
    struct Kept {
        Hold hold;
        bool permit;
    };

    void wait_for_word() {
        const std::string word = text("HOARDER_GO");
        std::unique_lock lock(mutex_);
        while (!ending_) {
            go_ = std::filesystem::exists(word);
            if (go_) changed_.notify_all();
            changed_.wait_for(lock, between_looks);
        }
    }

    void work() {
        const std::chrono::microseconds pause(
            std::strtoul(text("HOARDER_PAUSE_US").c_str(), nullptr, 10));
        std::mt19937 random(std::random_device{}());
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return ending_ || (go_ && !held_.empty()); });
            if (ending_) return;
            std::swap(held_[random() % held_.size()], held_.back());
            Kept kept = std::move(held_.back());
            held_.pop_back();
            lock.unlock();
            kept.hold.complete(kept.permit ? permit() : block());
            std::this_thread::sleep_for(pause);
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Kept> held_;
    bool go_ = false, ending_ = false;
    std::vector<std::thread> threads_;
    std::thread boss_;
};

struct Hoarder {
    explicit Hoarder(Driver &driver) : device(driver, text("HOARDER_NAME")) {}

    Verdict wait(Classification &connection, UINT32 port_field) {
        if (connection.reauthorizing()) return soft_permit();
        hoard.keep(connection.pend(), connection[port_field].uint16);
        return pended();
    }

    Device device;
    Engine engine{text("HOARDER_NAME")};
    Hoard hoard;
    Callout v4{device, engine, text("HOARDER_NAME") + "_v4", FWPM_LAYER_ALE_AUTH_CONNECT_V4,
               [this](Classification &connection) {
                   return wait(connection, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT);
               }};
    Callout v6{device, engine, text("HOARDER_NAME") + "_v6", FWPM_LAYER_ALE_AUTH_CONNECT_V6,
               [this](Classification &connection) {
                   return wait(connection, FWPS_FIELD_ALE_AUTH_CONNECT_V6_IP_LOCAL_PORT);
               }};
};

} // namespace

SLUICE_PLUGIN(Hoarder);
