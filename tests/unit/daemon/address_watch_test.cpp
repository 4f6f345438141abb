// SPDX-License-Identifier: Apache-2.0
#include "daemon/address_watch.h"

#include <cerrno>
#include <gtest/gtest.h>

namespace sluice::daemon {
namespace {

constexpr dp_addr one{0, 0xffff0a000001}, other{0xfd91000000000000, 1};

// Is the second of these the only address of `changed`.
bool only(const AddressWatch::Changed &changed, const dp_addr &address) {
    return changed.size() == 1 && changed.count(address) == 1;
}

TEST(Addresses, AreChangedWhereTheirInterfacesAre) {
    bool stirred = false;
    int lists = 0;
    Result<Addresses> now = Addresses{{2, one}};
    AddressWatch watch({.stirred = [&] { return std::exchange(stirred, false); },
                        .list =
                            [&] {
                                ++lists;
                                return now;
                            }});
    now = Addresses{{2, one}, {2, other}};
    EXPECT_TRUE(watch.look().empty()) << "nobody said that anything happened";
    EXPECT_EQ(lists, 1);
    stirred = true;
    EXPECT_TRUE(only(watch.look(), other)) << "it came";
    stirred = true;
    EXPECT_TRUE(watch.look().empty()) << "a new life time";
    stirred = true;
    now = Addresses{{3, one}, {2, other}};
    EXPECT_TRUE(only(watch.look(), one)) << "it moved";
    stirred = true;
    now = Error{EIO, "list addresses"};
    EXPECT_TRUE(watch.look().empty()) << "what cannot be read is no change";
    stirred = true;
    now = Addresses{{3, one}};
    EXPECT_TRUE(only(watch.look(), other)) << "it went";
}

} // namespace
} // namespace sluice::daemon
