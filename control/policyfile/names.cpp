// SPDX-License-Identifier: Apache-2.0
#include "policyfile/names.h"

#include <cstring>

#include "core/guid.h"
#include "policy/built_in.h"
#include "sluice/detail/fwp_tables.hpp"

namespace sluice::policyfile {

const std::string &universal_sublayer() {
    static const std::string key = [] {
        for (const auto &row : tables::named_guids)
            if (std::strcmp(row.name, "FWPM_SUBLAYER_UNIVERSAL") == 0)
                return std::string(reinterpret_cast<const char *>(&row.key), sizeof row.key);
        return std::string();
    }();
    return key;
}

Names::Names(const protocol::Objects &known) {
    known_[{"sublayer", "universal"}].insert(universal_sublayer());
    for (const auto &ask : policy::ask_callouts())
        known_[{"callout", ask.name}].insert(ask.key.bytes());
    const auto add_all = [this](const char *kind, const auto &objects) {
        for (const auto &object : objects)
            known_[{kind, object.name()}].insert(object.key());
    };
    add_all("provider", known.providers());
    add_all("provider context", known.provider_contexts());
    add_all("sublayer", known.sublayers());
    add_all("callout", known.callouts());
}

void Names::add(const std::string &kind, const std::string &name, const std::string &key) {
    own_[{kind, name}].insert(key);
}

Result<std::string> Names::key(const std::string &kind, const std::string &name) const {
    for (const Keys *keys : {&own_, &known_}) {
        const auto found = keys->find({kind, name});
        if (found == keys->end()) continue;
        if (found->second.size() > 1)
            return Error(0, "several of kind " + kind + " are called '" + name + "': give the key");
        return *found->second.begin();
    }
    if (const auto key = Guid::parse(name)) return key->bytes();
    return Error(0, "no " + kind + " '" + name + "': neither a name in the file nor a key" +
                        (kind == "callout" || kind == "sublayer"
                             ? "; declare it, with external: true if it exists elsewhere"
                             : ""));
}

} // namespace sluice::policyfile
