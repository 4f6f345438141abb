// SPDX-License-Identifier: Apache-2.0
#include "core/guid.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace sluice {

TEST(Guid, PrintsWhatItParsed) {
    const std::string text = "d9ee00de-c1ef-4617-bfe3-ffd8f5a08957";
    const auto guid = Guid::parse(text);
    ASSERT_TRUE(guid);
    EXPECT_EQ(guid->data1, 0xd9ee00deu);
    EXPECT_EQ(guid->data2, 0xc1ef);
    EXPECT_EQ(guid->data3, 0x4617);
    EXPECT_EQ(guid->data4[0], 0xbf);
    EXPECT_EQ(guid->data4[7], 0x57);
    EXPECT_EQ(guid->text(), text);
}

TEST(Guid, ParsesBracesAndUpperCase) {
    EXPECT_EQ(Guid::parse("{D9EE00DE-C1EF-4617-BFE3-FFD8F5A08957}"),
              Guid::parse("d9ee00de-c1ef-4617-bfe3-ffd8f5a08957"));
}

TEST(Guid, RefusesWhatIsNotOne) {
    for (const char *text :
         {"", "d9ee00de", "{d9ee00de-c1ef-4617-bfe3-ffd8f5a08957",
          "d9ee00de-c1ef-4617-bfe3-ffd8f5a0895", "d9ee00dec1ef-4617-bfe3-ffd8f5a089579-",
          "d9ee00de-c1ef-4617-bfe3-ffd8f5a0895g", "d9ee00de-c1ef-4617-bfe3-ffd8f5a089570",
          "d9ee00de-c1ef-4617-bfe3-ffd8f5a0895-"})
        EXPECT_FALSE(Guid::parse(text)) << text;
}

TEST(Guid, SurvivesItsBytes) {
    const Guid guid = Guid::random();
    EXPECT_EQ(Guid::from_bytes(guid.bytes()), guid);
    EXPECT_FALSE(Guid::from_bytes("short"));
}

TEST(Guid, RandomOnesDifferAndSayTheirVersion) {
    std::unordered_set<Guid> seen;
    for (int i = 0; i < 1000; ++i) {
        const Guid guid = Guid::random();
        EXPECT_EQ(guid.data3 >> 12, 4);
        EXPECT_EQ(guid.data4[0] >> 6, 2);
        EXPECT_TRUE(seen.insert(guid).second);
    }
}

TEST(Guid, IsNullOnlyWhenZero) {
    EXPECT_TRUE(Guid{}.is_null());
    EXPECT_FALSE(Guid::random().is_null());
}

} // namespace sluice
