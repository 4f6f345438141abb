// SPDX-License-Identifier: Apache-2.0
// A mutex that clang's thread-safety analysis understands; gcc sees plain classes.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SLUICE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define SLUICE_THREAD_ATTRIBUTE(x)
#endif
#define GUARDED_BY(m) SLUICE_THREAD_ATTRIBUTE(guarded_by(m))
#define REQUIRES(...) SLUICE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) SLUICE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace sluice {

class SLUICE_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
public:
    void lock() SLUICE_THREAD_ATTRIBUTE(acquire_capability()) { m_.lock(); }
    void unlock() SLUICE_THREAD_ATTRIBUTE(release_capability()) { m_.unlock(); }

private:
    std::mutex m_;
};

// Held from construction to destruction; unlock() and lock() bracket a pause.
class SLUICE_THREAD_ATTRIBUTE(scoped_lockable) Lock {
public:
    explicit Lock(Mutex &m) SLUICE_THREAD_ATTRIBUTE(acquire_capability(m)) : m_(m) { m_.lock(); }
    ~Lock() SLUICE_THREAD_ATTRIBUTE(release_capability()) {
        if (held_) m_.unlock();
    }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;
    void unlock() SLUICE_THREAD_ATTRIBUTE(release_capability()) {
        held_ = false;
        m_.unlock();
    }
    void lock() SLUICE_THREAD_ATTRIBUTE(acquire_capability()) {
        m_.lock();
        held_ = true;
    }

private:
    Mutex &m_;
    bool held_ = true;
};

// Waits with a Lock: `changed.wait(lock)` in a loop over the condition, which keeps the analysis
// local.
using Condition = std::condition_variable_any;

} // namespace sluice
