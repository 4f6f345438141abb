// SPDX-License-Identifier: Apache-2.0
// What objects are called: by a policy file itself, or by the engine.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

const std::string &universal_sublayer(); // its key, of filters that name none

class Names {
public:
    explicit Names(const protocol::Objects &known);

    void add(const std::string &kind, const std::string &name, const std::string &key);
    // The key of a name or of a GUID's text. The file's own names go before the engine's.
    [[nodiscard]] Result<std::string> key(const std::string &kind, const std::string &name) const;

private:
    using Keys = std::map<std::pair<std::string, std::string>, std::set<std::string>>;
    Keys own_, known_;
};

} // namespace sluice::policyfile
