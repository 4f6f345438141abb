// SPDX-License-Identifier: Apache-2.0
#include "core/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "core/fd.h"

namespace sluice {

TEST(Result, HoldsAValue) {
    Result<int> r = 5;
    ASSERT_TRUE(r);
    EXPECT_EQ(*r, 5);
}

TEST(Result, HoldsAnErrorThatNamesWhatWasTried) {
    const Result<int> r = Error{ENOENT, "open map", "flows"};
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, ENOENT);
    EXPECT_EQ(r.error().text(), "open map 'flows': No such file or directory");
}

TEST(Result, CarriesAStatusWithoutAnErrno) {
    const Result<void> r = Error::status(0xC0220009u, "there is a filter with the key", "k");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().ntstatus, 0xC0220009u);
    EXPECT_EQ(r.error().text(), "there is a filter with the key 'k'");
}

TEST(Result, OfNothingSucceedsByDefault) {
    EXPECT_TRUE(Result<void>{});
}

TEST(Result, MovesOutWhatCannotBeCopied) {
    Result<std::unique_ptr<int>> r = std::make_unique<int>(7);
    const std::unique_ptr<int> taken = std::move(r).value();
    EXPECT_EQ(*taken, 7);
}

TEST(Fd, ClosesWhatItOwnsOnce) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Fd other;
    {
        Fd read_end(ends[0]);
        Fd write_end(ends[1]);
        other = std::move(read_end);
        EXPECT_FALSE(read_end.valid()); // NOLINT: what moving leaves is what is tested
    }
    char c = 0;
    EXPECT_EQ(read(other.get(), &c, 1), 0); // the writer is gone, the reader lives on
}

} // namespace sluice
