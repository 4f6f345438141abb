// SPDX-License-Identifier: Apache-2.0
// Told when user code begins and ends, so that a slow one gives its port to another thread.
#pragma once

namespace sluice::runtime {

class Pace {
public:
    virtual ~Pace() = default;
    virtual void entering() = 0;
    virtual void left() = 0;
    virtual void give_way() = 0;

    // To be called before a thread waits for what comes by a port: the port that this thread reads,
    // if it does and is in user code, goes to another thread at once.
    static void give_way_here() {
        if (here_) here_->give_way();
    }

    class InUserCode {
    public:
        explicit InUserCode(Pace &pace) : pace_(pace), before_(here_) {
            here_ = &pace;
            pace.entering();
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
