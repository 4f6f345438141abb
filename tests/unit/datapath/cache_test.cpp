// SPDX-License-Identifier: Apache-2.0
// The protocol of the flow cache (bpf/lib/cache.h), as the kernel's programs run it, in every order
// in which two or three processors can come to its accesses.
#include <gtest/gtest.h>

#include <iostream>
#include <span>

#include "interleave.h"

#define DP_CACHED_IN_SET 2
#define DP_CACHE_STEP() sluice::interleave::step()
#include "lib/cache.h"

namespace {

using sluice::interleave::explore;
using sluice::interleave::Explored;
using sluice::interleave::step;

constexpr std::uint32_t now = 1000, idle = 10;

struct Flow {
    dp_flow_key key{};
    std::uint32_t tag = 0;
    std::uint16_t mark = 0;
    bool permitted = true;
    std::uint32_t generation = 1;
    std::uint64_t packets = 0, bytes = 0; // folded
    std::uint64_t passed = 0;             // by the cache
};

Flow flow(std::uint16_t n) {
    Flow f;
    f.key.local.lo = n;
    f.key.remote.lo = 100u + n;
    f.key.local_port = n;
    f.key.protocol = 17;
    f.tag = 2u * n + 1;
    f.mark = n;
    return f;
}

class CacheTest : public testing::Test {
protected:
    void SetUp() override { reset(); }

    void reset() {
        set_ = {};
        k_ = flow(1);
        l_ = flow(2);
        m_ = flow(3);
        torn_ = shared_.puts = 0;
    }

    Flow &of(const dp_cached &e) { return e.seen == 1 ? k_ : e.seen == 2 ? l_ : m_; }

    static void fold(Flow &f, std::uint64_t counts) {
        f.packets += (counts & DP_CACHED_PACKETS) / DP_CACHED_PACKET;
        f.bytes += counts & DP_CACHED_BYTES;
    }

    bool put(Flow &f, bool inbound = false, std::uint32_t at = now) {
        dp_cache_write w{};
        step();
        if (!f.permitted) return false;
        w.value.local = f.key.local;
        w.value.remote = f.key.remote;
        w.value.local_port = f.key.local_port;
        w.value.protocol = f.key.protocol;
        w.value.seen = f.mark;
        w.value.generation = f.generation;
        (inbound ? w.value.arrival : w.value.nexthop) = 7;
        w.value.used = at;
        w.tag = f.tag;
        w.jiffies = at;
        w.idle = idle;
        if (!dp_cache_put(&set_, &f.key, &w)) return false;
        ++shared_.puts;
        if (w.before.word & DP_CACHED_VALID) fold(of(w.before), w.before.word);
        step();
        if (!f.permitted) fold(f, dp_cache_drop(&set_, &f.key, f.tag));
        return true;
    }

    void block(Flow &f) {
        step();
        f.permitted = false;
        fold(f, dp_cache_drop(&set_, &f.key, f.tag));
    }

    bool hit(Flow &f, std::uint32_t generation = 1, bool inbound = false) {
        dp_cache_use use{};
        std::uint16_t seen = 0;
        use.generation = generation;
        use.jiffies = now;
        use.bytes = 100;
        use.ifindex = 7;
        use.inbound = inbound;
        if (!dp_cache_hit(&set_, f.tag, &f.key, &use, &seen)) return false;
        if (seen != f.mark) ++torn_;
        ++f.passed;
        return true;
    }

    void take(std::size_t at) {
        dp_cached copy{};
        const auto counts = dp_cached_take(&set_.entry[at], &copy);
        if (counts != 0) fold(of(copy), counts);
    }

    std::size_t entries(const Flow &f) {
        std::size_t n = 0;
        for (auto &e : set_.entry)
            n += (e.word & DP_CACHED_VALID) != 0 && dp_cached_is(&e, &f.key) != 0;
        return n;
    }

    void fold_all() {
        for (std::size_t i = 0; i < DP_CACHED_IN_SET; ++i)
            take(i);
    }

    // What must hold after every order.
    void expect_sound() {
        for (const Flow *f : {&k_, &l_, &m_}) {
            ASSERT_LE(entries(*f), 1u) << "a key is there twice";
            ASSERT_TRUE(f->permitted || entries(*f) == 0) << "a verdict survives a block";
        }
        for (const auto &e : set_.entry)
            ASSERT_EQ(e.word & DP_CACHED_BUSY, 0u);
        ASSERT_EQ(set_.lock, 0u);
        ASSERT_EQ(torn_, 0u);
        fold_all();
        for (const Flow *f : {&k_, &l_, &m_}) {
            ASSERT_EQ(f->packets, f->passed);
            ASSERT_EQ(f->bytes, 100 * f->passed);
        }
    }

    Explored all(
        const std::vector<std::function<void()>> &pieces,
        const std::function<void()> &begin = [] {}, const std::function<void()> &more = [] {}) {
        const auto explored = explore(
            std::as_bytes(std::span(&shared_, 1)), pieces,
            [&] {
                reset();
                begin();
            },
            [&] {
                if (HasFatalFailure()) return;
                expect_sound();
                more();
            });
        std::cout << explored.states << " states, " << explored.ends << " orders to their end\n";
        EXPECT_GT(explored.states, 20u);
        return explored;
    }

    struct Shared {
        dp_cached_set set{};
        Flow k, l, m;
        std::uint32_t torn = 0, puts = 0;
    } shared_;
    dp_cached_set &set_ = shared_.set;
    Flow &k_ = shared_.k, &l_ = shared_.l, &m_ = shared_.m;
    std::uint32_t &torn_ = shared_.torn;
};

TEST_F(CacheTest, OneEntryServesBothDirections) {
    EXPECT_FALSE(hit(k_));
    EXPECT_TRUE(put(k_));
    EXPECT_TRUE(hit(k_));
    EXPECT_FALSE(hit(k_, 1, true)); // it has not come in by that interface yet
    EXPECT_TRUE(put(k_, true));
    EXPECT_TRUE(hit(k_, 1, true));
    EXPECT_TRUE(hit(k_));
    EXPECT_FALSE(hit(k_, 2)); // a newer policy
    expect_sound();
    EXPECT_EQ(k_.packets, 3u);
}

TEST_F(CacheTest, AFullSetKeepsWhatIsInUse) {
    EXPECT_TRUE(put(k_));
    EXPECT_TRUE(put(l_));
    EXPECT_FALSE(put(m_));
    EXPECT_TRUE(hit(k_));
    EXPECT_TRUE(hit(l_));
    EXPECT_FALSE(hit(m_));
    EXPECT_TRUE(put(m_, false, now + idle + 1)); // by then both are idle
    EXPECT_TRUE(hit(m_));
    expect_sound();
}

TEST_F(CacheTest, AFlowWithTheTagOfAnotherWaitsForIt) {
    m_.tag = k_.tag;
    EXPECT_TRUE(put(k_));
    EXPECT_FALSE(put(m_));
    EXPECT_FALSE(hit(m_));
    EXPECT_TRUE(hit(k_));
    block(m_);
    EXPECT_TRUE(hit(k_));
    block(k_);
    EXPECT_EQ(entries(k_), 0u);
}

TEST_F(CacheTest, CountersThatAreFullSendAPacketTheLongWay) {
    EXPECT_TRUE(put(k_));
    set_.entry[0].word |= DP_CACHED_BYTES;
    EXPECT_FALSE(hit(k_));
    set_.entry[0].word &= ~DP_CACHED_BYTES;
    set_.entry[0].word |= DP_CACHED_PACKETS;
    EXPECT_FALSE(hit(k_));
    take(0);
    EXPECT_TRUE(hit(k_));
}

TEST_F(CacheTest, AFlowIsBlockedWhileItIsWritten) {
    all({[&] { put(k_); }, [&] { block(k_); }});
}

TEST_F(CacheTest, TwoWriteTheSameFlow) {
    all(
        {[&] { put(k_); }, [&] { put(k_, true); }}, [] {},
        [&] {
            ASSERT_GE(shared_.puts, 1u);
            ASSERT_EQ(entries(k_), 1u);
        });
}

TEST_F(CacheTest, TwoWriteFlowsOfOneSet) {
    all({[&] { put(k_); }, [&] { put(l_); }});
}

TEST_F(CacheTest, AFlowIsBlockedWhileItsPacketsPass) {
    all({[&] {
             hit(k_);
             hit(k_);
         },
         [&] { block(k_); }},
        [&] { put(k_); });
}

TEST_F(CacheTest, AnEntryGivesWayWhileItsPacketsPass) {
    all({[&] {
             hit(k_);
             hit(l_);
         },
         [&] { put(l_); }},
        [&] {
            put(k_, false, now - 2 * idle);
            put(m_);
        });
}

TEST_F(CacheTest, AnEntryGivesWayWhileItsFlowIsBlocked) {
    all({[&] { put(l_); }, [&] { block(k_); }}, [&] {
        put(k_, false, now - 2 * idle);
        put(m_);
        hit(k_);
    });
}

TEST_F(CacheTest, CountersAreTakenWhilePacketsPass) {
    all({[&] {
             hit(k_);
             hit(k_);
         },
         [&] {
             take(0);
             take(0);
         }},
        [&] { put(k_); });
}

TEST_F(CacheTest, ANewerPolicyIsWrittenWhilePacketsOfTheOlderPass) {
    all({[&] {
             hit(k_, 1);
             hit(k_, 2);
         },
         [&] {
             k_.generation = 2;
             put(k_);
         }},
        [&] { put(k_); });
}

TEST_F(CacheTest, ThreeProcessorsWriteBlockAndRead) {
    all({[&] { put(k_); }, [&] { block(k_); },
         [&] {
             hit(k_);
             hit(k_);
         }},
        [] {});
}

TEST_F(CacheTest, ThreeProcessorsEvictBlockAndRead) {
    all({[&] { put(l_); }, [&] { block(k_); },
         [&] {
             hit(k_);
             hit(l_);
         }},
        [&] {
            put(k_, false, now - 2 * idle);
            put(m_);
        });
}

} // namespace
