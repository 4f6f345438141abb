// SPDX-License-Identifier: Apache-2.0
// What one entry of a policy file's filters says, before it becomes a filter in each layer.
#pragma once

#include "policy/redirect.h"
#include "policyfile/objects.h"

namespace sluice::policyfile {

struct ObjectReader::Parts {
    Head head;
    protocol::Filter base; // what is the same in all layers
    FilterPlaces places;
    std::vector<std::uint16_t> layers;
    bool ordered = false;
    bool redirects = false;
    policy::Target target; // if it redirects
    Place to;              // where the target stands
};

} // namespace sluice::policyfile
