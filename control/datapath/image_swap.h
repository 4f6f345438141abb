// SPDX-License-Identifier: Apache-2.0
// One image takes the place of another without a wait. The kernel's update of an array of maps
// writes the slot and then waits until no program can be in the image that stood there, some ten
// milliseconds; another thread spends them, and only who fills that image again needs its end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "datapath/image_map.h"

namespace sluice::datapath {

class ImageSwap {
public:
    ImageSwap() = default;
    ImageSwap(const ImageSwap &) = delete;
    ImageSwap &operator=(const ImageSwap &) = delete;
    ~ImageSwap() { settle(); }

    // As publish_image, but returns as soon as programs see the new image.
    Result<void> publish(int policy, int policy_large, const ImageMap &image);
    // Whether no program is in an earlier image any more; and until that is so.
    [[nodiscard]] bool settled();
    void settle();

private:
    bool wait_for(std::chrono::microseconds time); // whether it ended

    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::optional<Result<void>> result_; // of the thread
};

} // namespace sluice::datapath
