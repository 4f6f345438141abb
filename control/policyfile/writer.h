// SPDX-License-Identifier: Apache-2.0
// Objects -> policy file, as YAML or JSON. What is written reads back to the same objects.
#pragma once

#include "policyfile/conditions.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

struct WriteOptions {
    // Objects that filters name and that are not to be written; callouts and sublayers among them
    // are declared external.
    protocol::Objects external;
    // A provider that is not mentioned: the one of policy files.
    std::string own_provider;
};

Json to_tree(const protocol::Objects &objects, const WriteOptions &options = {});
std::string to_yaml(const Json &tree);
std::string to_json_text(const Json &tree);

// One filter as it stands in a policy file.
Json filter_tree(const protocol::Filter &filter, const protocol::Objects &names);

// Options of holds as a filter has them there; null: none.
Json hold_tree(const protocol::HoldOptions &hold);

} // namespace sluice::policyfile
