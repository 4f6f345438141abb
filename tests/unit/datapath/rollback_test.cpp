// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <string>

#include "datapath/rollback.h"

using sluice::datapath::Rollback;

TEST(Rollback, UndoesLastStepFirst) {
    std::string order;
    {
        Rollback undo;
        undo.add([&] { order += "a"; });
        undo.add([&] { order += "b"; });
    }
    EXPECT_EQ(order, "ba");
}

TEST(Rollback, DoesNothingOnceKept) {
    std::string order;
    {
        Rollback undo;
        undo.add([&] { order += "a"; });
        undo.keep();
    }
    EXPECT_EQ(order, "");
}
