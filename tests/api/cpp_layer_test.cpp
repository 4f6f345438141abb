// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include <sluice.hpp>

#include "fake_library.h"

using namespace sluice;

class CppLayer : public testing::Test {
protected:
    CppLayer() { library = FakeLibrary{}; }
    std::unique_ptr<Callout> callout(Callout::Classify classify) {
        return std::make_unique<Callout>(device, key_from_name("test"), std::move(classify));
    }
    Device device{"test"};
    std::optional<Hold> hold;
};
using CppCallout = CppLayer;
using CppHold = CppLayer;
using CppFilter = CppLayer;

TEST_F(CppCallout, AsksForPendedDataToBeKept) {
    const auto c = callout([](Classification &) { return permit(); });
    EXPECT_EQ(library.callouts.at(c->id()).flags, SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA);
    EXPECT_EQ(library.callouts.at(c->id()).flowDeleteFn, nullptr);
}

TEST_F(CppCallout, HardPermitAndBlockClearTheRight) {
    Verdict verdict = permit();
    const auto c = callout([&](Classification &) { return verdict; });
    EXPECT_EQ(library.classify(c->id(), 1).actionType, FWP_ACTION_PERMIT);
    EXPECT_EQ(library.classify(c->id(), 1).rights, 0u);
    verdict = soft_permit();
    EXPECT_EQ(library.classify(c->id(), 1).rights, FWPS_RIGHT_ACTION_WRITE);
    verdict = block();
    EXPECT_EQ(library.classify(c->id(), 1).actionType, FWP_ACTION_BLOCK);
    EXPECT_EQ(library.classify(c->id(), 1).rights, 0u);
}

TEST_F(CppCallout, WithoutTheRightItMayOnlyVeto) {
    Verdict verdict = permit();
    const auto c = callout([&](Classification &) { return verdict; });
    EXPECT_EQ(library.classify(c->id(), 1, false, FWP_ACTION_BLOCK, 0).actionType,
              FWP_ACTION_BLOCK);
    verdict = block();
    EXPECT_EQ(library.classify(c->id(), 1, false, FWP_ACTION_PERMIT, 0).actionType,
              FWP_ACTION_BLOCK);
}

TEST_F(CppCallout, AnExceptionBlocks) {
    const auto c = callout([](Classification &) -> Verdict { throw std::runtime_error("oops"); });
    EXPECT_EQ(library.classify(c->id(), 1).actionType, FWP_ACTION_BLOCK);
}

TEST_F(CppCallout, ARefusedRegistrationLeavesNothing) {
    library.register_status = STATUS_FWP_ALREADY_EXISTS;
    for (std::size_t i = 0; i < 2 * max_callouts; ++i) {
        EXPECT_THROW(callout([](Classification &) { return permit(); }), Error);
    }
    library.register_status = STATUS_SUCCESS;
    EXPECT_NO_THROW(callout([](Classification &) { return permit(); }));
}

TEST_F(CppCallout, AManagementObjectThatIsThereAlreadyIsFine) {
    Engine engine("test");
    library.callout_add_status = STATUS_FWP_ALREADY_EXISTS;
    EXPECT_NO_THROW(Callout(device, engine, "a", FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                            [](Classification &) { return permit(); }));
    library.callout_add_status = STATUS_ACCESS_DENIED;
    EXPECT_THROW(Callout(device, engine, "a", FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                         [](Classification &) { return permit(); }),
                 Error);
    EXPECT_TRUE(library.callouts.empty());
}

TEST_F(CppHold, PendingAnswersBlockAndAbsorb) {
    const auto c = callout([&](Classification &asked) {
        hold = asked.pend();
        return permit(); // whatever it says
    });
    const auto out = library.classify(c->id(), 7);
    EXPECT_EQ(out.actionType, FWP_ACTION_BLOCK);
    EXPECT_EQ(out.flags, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    EXPECT_EQ(out.rights, 0u);
}

TEST_F(CppHold, CompletingAnswersTheReauthorizationItself) {
    int asked_times = 0;
    const auto c = callout([&](Classification &asked) {
        ++asked_times;
        hold = asked.pend();
        return pended();
    });
    library.classify(c->id(), 7);
    std::thread([&] { hold->complete(permit()); }).join();
    ASSERT_EQ(library.reauthorized.size(), 1u);
    EXPECT_EQ(library.reauthorized[0].actionType, FWP_ACTION_PERMIT);
    EXPECT_EQ(library.classify(c->id(), 7, true).actionType,
              FWP_ACTION_PERMIT); // policy changed later
    EXPECT_EQ(asked_times, 1);
}

TEST_F(CppHold, DroppingBlocks) {
    const auto c = callout([](Classification &asked) {
        asked.pend();
        return pended();
    });
    library.classify(c->id(), 7);
    ASSERT_EQ(library.reauthorized.size(), 1u);
    EXPECT_EQ(library.reauthorized[0].actionType, FWP_ACTION_BLOCK);
}

TEST_F(CppHold, IsCompletedOnce) {
    const auto c = callout([&](Classification &asked) {
        hold = asked.pend();
        return pended();
    });
    library.classify(c->id(), 7);
    Hold moved = std::move(*hold);
    hold.reset();
    moved.complete(permit());
    moved.complete(block());
    EXPECT_EQ(library.reauthorized.size(), 1u);
}

TEST_F(CppHold, ReleasedStaysSuspended) {
    const auto c = callout([](Classification &asked) {
        asked.pend().release();
        return pended();
    });
    library.classify(c->id(), 7);
    EXPECT_EQ(library.open_holds.size(), 1u);
}

TEST_F(CppHold, ThatCannotBePendedBlocks) {
    library.pend_status = STATUS_FWP_CANNOT_PEND;
    const auto c = callout([](Classification &asked) {
        asked.pend().release();
        return pended();
    });
    const auto out = library.classify(c->id(), 7);
    EXPECT_EQ(out.actionType, FWP_ACTION_BLOCK);
    EXPECT_EQ(out.flags, 0u);
}

TEST_F(CppHold, MayOutliveItsCallout) {
    auto c = callout([&](Classification &asked) {
        hold = asked.pend();
        return pended();
    });
    library.classify(c->id(), 7);
    c.reset();
    hold->complete(permit());
    EXPECT_TRUE(library.reauthorized.empty());
}

TEST_F(CppLayer, TransactionsAbortUnlessCommitted) {
    Engine engine("test");
    { Transaction dropped(engine); }
    Transaction kept(engine);
    kept.commit();
    EXPECT_EQ(library.transactions,
              (std::vector<std::string>{"begin", "abort", "begin", "commit"}));
}

TEST_F(CppFilter, CarriesItsConditions) {
    Engine engine("test");
    Filter filter("web");
    filter.layer(FWPM_LAYER_ALE_AUTH_CONNECT_V4)
        .remote(v4(10, 1, 2, 3, 8))
        .remote_port(80, 90)
        .protocol(6)
        .block();
    engine.add(filter);
    ASSERT_EQ(library.conditions.size(), 3u);
    EXPECT_EQ(library.conditions[0].v4AddrMask->addr, 0x0A000000u);
    EXPECT_EQ(library.conditions[0].v4AddrMask->mask, 0xFF000000u);
    EXPECT_EQ(library.conditions[1].rangeValue->valueHigh.uint16, 90);
    EXPECT_EQ(library.conditions[2].uint8, 6);
    EXPECT_EQ(library.filters[0].action.type, FWP_ACTION_BLOCK);
}

TEST(Text, SurvivesTheWayToUtf16AndBack) {
    const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x9A\xB0";
    Text wide(text);
    EXPECT_EQ(to_utf8(wide.data(), 100), text);
    EXPECT_EQ(Text("\xFFx").data()[0], 0xFFFD);
    EXPECT_EQ(Text("\xE2\x82").data()[0], 0xFFFD);
}

TEST(Keys, FollowTheName) {
    EXPECT_TRUE(key_from_name("ask_v4") == key_from_name("ask_v4"));
    EXPECT_TRUE(key_from_name("ask_v4") != key_from_name("ask_v6"));
}
