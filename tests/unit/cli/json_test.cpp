// SPDX-License-Identifier: Apache-2.0
// The keys that scripts rely on. A failure here is a break of a promise, not of a test.
#include "cli/json.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

template <typename Message>
void has_keys(const std::vector<std::string> &keys) {
    const Json json = to_json(Message());
    for (const auto &key : keys)
        EXPECT_TRUE(json.contains(key)) << Message().GetTypeName() << " lacks " << key;
}

TEST(JsonKeys, AreThosePromised) {
    has_keys<protocol::Hold>({"id", "state", "layer", "filter", "callout", "host", "age_ms",
                              "deadline_ms", "pid", "exe", "uid", "cgroup", "compartment",
                              "protocol", "local", "remote", "packets", "bytes"});
    has_keys<protocol::CalloutInfo>(
        {"key", "id", "name", "host", "layers", "registered", "classify_total", "local_id"});
    has_keys<protocol::Filter>(
        {"id", "key", "layer", "sublayer", "weight", "action", "callout", "hits", "lifetime"});
    has_keys<protocol::Nic>({"name", "index", "mode", "attach", "programs", "compartment"});
    has_keys<protocol::Host>(
        {"id", "pid", "uid", "capabilities", "callouts", "holds", "upcalls_total", "state"});
}

TEST(JsonDocument, NamesItsSchemaAndList) {
    const Json json = document("holds", Json::array());
    EXPECT_EQ(json.at("schema"), 1);
    EXPECT_TRUE(json.at("holds").is_array());
    EXPECT_EQ(json.size(), 2u);
}

TEST(JsonHold, HasNullWhereThereIsNoDeadline) {
    protocol::Hold hold;
    hold.set_deadline_ms(-1);
    EXPECT_TRUE(to_json(hold).at("deadline_ms").is_null());
    hold.set_deadline_ms(0);
    EXPECT_EQ(to_json(hold).at("deadline_ms"), 0);
}

TEST(JsonText, SurvivesAPathThatIsNotUtf8) {
    protocol::Hold hold;
    hold.set_exe("/tmp/\xff");
    EXPECT_NE(print(to_json(hold)).find("/tmp/"), std::string::npos);
}

} // namespace
} // namespace sluice::cli
