// SPDX-License-Identifier: Apache-2.0
// Steps to undo, last first, unless the whole succeeded.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace sluice::datapath {

class Rollback {
public:
    Rollback() = default;
    Rollback(const Rollback &) = delete;
    Rollback &operator=(const Rollback &) = delete;
    ~Rollback() {
        for (auto step = steps_.rbegin(); step != steps_.rend(); ++step)
            (*step)();
    }
    void add(std::function<void()> undo) { steps_.push_back(std::move(undo)); }
    void keep() { steps_.clear(); }

private:
    std::vector<std::function<void()>> steps_;
};

} // namespace sluice::datapath
