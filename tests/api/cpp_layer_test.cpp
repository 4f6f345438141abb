// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include <sluice.hpp>
#include <sluice/detail/fwp_tables.hpp>

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
class CppContext : public CppLayer {
protected:
    static constexpr UINT16 layer = FWPS_LAYER_ALE_AUTH_CONNECT_V4;
    struct Counted {
        explicit Counted(int &all) : counter(all) { ++counter; }
        Counted(const Counted &) = delete;
        Counted &operator=(const Counted &) = delete;
        ~Counted() { --counter; }
        int &counter;
    };
    using Context = FlowContext<Counted>;
    std::unique_ptr<Callout> with_contexts(std::function<void(Counted &)> before = {}) {
        return std::make_unique<Callout>(
            device, key_from_name("test"),
            [this](Classification &asked) {
                found = Context::of(asked);
                return permit();
            },
            Callout::Notify{}, Context::deleter(std::move(before)));
    }
    void attach(const Callout &c, UINT64 flow) {
        Context::attach(c, flow, layer, std::make_unique<Counted>(alive));
    }
    int alive = 0;
    Counted *found = nullptr;
};

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

TEST_F(CppHold, OfAListenIsKnownByItsEndpoint) {
    int asked_times = 0;
    const auto c = callout([&](Classification &asked) {
        ++asked_times;
        EXPECT_EQ(asked.endpoint(), 9u);
        EXPECT_EQ(asked.flow(), 0u);
        hold = asked.pend();
        return pended();
    });
    EXPECT_EQ(library.classify_listen(c->id(), 9).flags, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    EXPECT_EQ(hold->flow(), 0u);
    hold->complete(permit());
    ASSERT_EQ(library.reauthorized.size(), 1u);
    EXPECT_EQ(library.reauthorized[0].actionType, FWP_ACTION_PERMIT);
    EXPECT_EQ(asked_times, 1);
    EXPECT_EQ(library.classify_listen(c->id(), 9, true).actionType, FWP_ACTION_PERMIT);
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

TEST_F(CppContext, LivesAsLongAsItsFlow) {
    int seen = 0;
    const auto c = with_contexts([&](Counted &) { ++seen; });
    attach(*c, 7);
    library.classify(c->id(), 7);
    EXPECT_NE(found, nullptr);
    library.classify(c->id(), 8);
    EXPECT_EQ(found, nullptr);
    library.end_flow(7);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(seen, 1);
}

TEST_F(CppContext, IsRemovedOnce) {
    const auto c = with_contexts();
    attach(*c, 7);
    EXPECT_TRUE(Context::remove(*c, 7, layer));
    EXPECT_EQ(alive, 0);
    EXPECT_THROW(Context::remove(*c, 7, layer), Error);
    attach(*c, 7);
    library.removals_that_wait = 1;
    EXPECT_FALSE(Context::remove(*c, 7, layer));
    EXPECT_EQ(alive, 1);
}

TEST_F(CppContext, ThatIsRefusedIsDeleted) {
    const auto c = with_contexts();
    attach(*c, 7);
    EXPECT_THROW(attach(*c, 7), Error);
    EXPECT_EQ(alive, 1);
    const Callout without(device, key_from_name("other"),
                          [](Classification &) { return permit(); });
    EXPECT_THROW(attach(without, 8), Error);
    EXPECT_EQ(alive, 1);
}

// The engine refuses to unregister a callout that has some; a removal may have to wait.
TEST_F(CppContext, EndsWithItsCallout) {
    auto c = with_contexts();
    for (UINT64 flow = 1; flow <= 3; ++flow)
        attach(*c, flow);
    library.removals_that_wait = 2;
    c.reset();
    EXPECT_EQ(alive, 0);
    EXPECT_TRUE(library.callouts.empty());
}

// Those are not ours to remove: the callbacks stay where the engine can call them.
TEST_F(CppContext, OfAnotherMakingKeepsTheCalloutAlive) {
    auto c = with_contexts();
    const UINT32 id = c->id();
    auto mine = std::make_unique<Counted>(alive);
    ASSERT_EQ(FwpsFlowAssociateContext0(7, layer, id, reinterpret_cast<ULONG_PTR>(mine.release())),
              STATUS_SUCCESS);
    c.reset();
    EXPECT_EQ(library.callouts.count(id), 1u);
    library.end_flow(7);
    EXPECT_EQ(alive, 0);
}

TEST(Flags, StandWhereTheTablesSay) {
    for (const auto &row : tables::layers) {
        const int field = flags_field(row.id);
        if (field < 0) continue;
        ASSERT_LT(field, row.field_count) << row.name;
        const auto condition = tables::fields[row.first_field + field].condition;
        EXPECT_STREQ(tables::conditions[condition].name, "FWPM_CONDITION_FLAGS") << row.name;
    }
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

TEST_F(CppFilter, NamesWhoAndWhere) {
    Engine engine("test");
    Filter filter("who");
    filter.layer(FWPM_LAYER_ALE_AUTH_CONNECT_V4)
        .app("/usr/bin/curl")
        .user(1000)
        .group(100)
        .cgroup("/system.slice")
        .container("web")
        .interface_name("eth0")
        .flags_none(FWP_CONDITION_FLAG_IS_LOOPBACK)
        .packet_length(40, 1500)
        .provider(key_from_name("provider"))
        .provider_context(key_from_name("context"))
        .persistent();
    engine.add(filter);
    const FWPM_FILTER_CONDITION0 *c = filter.get().filterCondition;
    ASSERT_EQ(filter.get().numFilterConditions, 8u);
    EXPECT_EQ(c[0].conditionValue.byteBlob->size, 4u);
    EXPECT_EQ(c[0].conditionValue.byteBlob->data[0], '/');
    EXPECT_EQ(library.allocations, 0);
    EXPECT_EQ(c[1].conditionValue.uint32, 1000u);
    EXPECT_TRUE(c[2].fieldKey == SLUICE_CONDITION_ALE_GROUP_ID);
    EXPECT_EQ(to_utf8(c[3].conditionValue.unicodeString, 100), "/system.slice");
    EXPECT_EQ(to_utf8(c[5].conditionValue.unicodeString, 100), "eth0");
    EXPECT_EQ(c[6].matchType, FWP_MATCH_FLAGS_NONE_SET);
    EXPECT_EQ(c[7].conditionValue.rangeValue->valueHigh.uint32, 1500u);
    EXPECT_TRUE(filter.get().providerContextKey == key_from_name("context"));
    EXPECT_TRUE(*filter.get().providerKey == key_from_name("provider"));
    EXPECT_EQ(filter.get().flags,
              FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    EXPECT_THROW(filter.app(""), Error);
}

TEST_F(CppLayer, WhatTheEngineHandsOutIsFreed) {
    Engine engine("test");
    engine.add_provider(key_from_name("p"), "p");
    EXPECT_EQ(engine.add_provider_context(key_from_name("c"), "c", "data"), 5u);
    EXPECT_EQ(library.context_data, "data");
    EXPECT_EQ(engine.filter(9)->filterId, 9u);
    EXPECT_THROW(engine.filter(0), Error);
    std::size_t seen = 0;
    engine.for_each_filter(nullptr, [&](const FWPM_FILTER0 &) { ++seen; });
    EXPECT_EQ(seen, 257u);
    const auto stop = [](const FWPM_FILTER0 &) { throw std::runtime_error("enough"); };
    EXPECT_THROW(engine.for_each_filter(nullptr, stop), std::runtime_error);
    EXPECT_EQ(library.allocations, 0);
}

TEST_F(CppLayer, SubscriptionsEndWithTheirObject) {
    Engine engine("test");
    int changes = 0, events = 0;
    {
        const FilterChanges filters(engine, [&](const FWPM_FILTER_CHANGE0 &) { ++changes; });
        const NetEvents all(engine, [&](const FWPM_NET_EVENT3 &) {
            ++events;
            throw std::runtime_error("stays here");
        });
        library.tell_change({});
        library.tell_event({});
    }
    EXPECT_FALSE(library.tell_change || library.tell_event);
    EXPECT_TRUE(changes == 1 && events == 1);
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
