// SPDX-License-Identifier: Apache-2.0
// What this kernel can do, found by trying.
#pragma once

#include <string>
#include <vector>

namespace sluice::datapath {

struct Feature {
    std::string name;
    std::string description; // what Sluice does with it, or without it
    bool works = false;
};

std::vector<Feature> features();

} // namespace sluice::datapath
