// SPDX-License-Identifier: Apache-2.0
// Told when user code begins and ends, so that a slow one gives its port to another thread. Where
// calls of a callout were slow just now, the next one gives the port away before it begins: many
// that sleep cost others no more than one does.
#pragma once

#include <atomic>
#include <memory>

namespace sluice::runtime {

class Pace {
public:
    virtual ~Pace() = default;
    // Of one callout; shared, since the thread that finds a call slow is not the one inside.
    using Slow = std::shared_ptr<std::atomic<bool>>;
    virtual void entering(const Slow &slow) = 0;
    virtual void left() = 0;
    virtual void give_way() = 0;

    // To be called before a thread waits for what comes by a port: the port that this thread reads,
    // if it does and is in user code, goes to another thread at once.
    static void give_way_here() {
        if (here_) here_->give_way();
    }

    class InUserCode {
    public:
        explicit InUserCode(Pace &pace, const Slow &slow = {}) : pace_(pace), before_(here_) {
            here_ = &pace;
            pace.entering(slow);
        }
        ~InUserCode() {
            pace_.left();
            here_ = before_;
        }
        InUserCode(const InUserCode &) = delete;
        InUserCode &operator=(const InUserCode &) = delete;

    private:
        Pace &pace_;
        Pace *before_;
    };

private:
    static inline thread_local Pace *here_ = nullptr;
};

} // namespace sluice::runtime
