// SPDX-License-Identifier: Apache-2.0
// Holds under everything at once: threads that bring packets, let deadlines pass, end flows,
// publish policies, complete, order, attach contexts and unregister, in an order that a seed gives,
// against the model of the kernel. SLUICE_MACHINE_RUNS: how many runs (6); SLUICE_MACHINE_SEED: the
// first's seed (the clock's); a failure names its own.
#include <random>

#include "host_fixture.h"
#include "model_kernel.h"
#include "runtime/net_buffer.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr std::uint16_t flows = 24;
constexpr std::uint32_t frames = 2048; // enough: a question that gets none says nothing here
constexpr int steps = 1500;
constexpr std::uint32_t slot = 3;

std::uint64_t number_of(const char *name, std::uint64_t otherwise) {
    const char *text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Random numbers for threads that nobody made: those of the port, and of whoever completes.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : random_(seed) {}
    std::uint64_t operator()(std::uint64_t below) {
        Lock lock(mutex_);
        return random_() % below;
    }
    bool chance(unsigned percent) { return (*this)(100) < percent; }

private:
    Mutex mutex_;
    std::mt19937_64 random_ GUARDED_BY(mutex_);
};

// How often flowDeleteFn was called for each value; values are never used twice.
Mutex ends_mutex;
std::map<UINT64, int> ends GUARDED_BY(ends_mutex);
void NTAPI noting_end(UINT16, UINT32, UINT64 context) {
    Lock lock(ends_mutex);
    ++ends[context];
}

class HoldMachine : public HostTest {
protected:
    void SetUp() override {}
    void TearDown() override {}

    void open_run(std::uint64_t seed);
    void close_run(bool detach);
    void check_run();
    void run(std::uint64_t seed, bool detach);
    void take_away(bool detach);
    void answer(const Asked &a);
    void pend(const Asked &a);
    void associate(UINT64 flow);
    void keep_clone(const Asked &a);
    void complete_one(bool again);
    void complete_all();
    void change_something(std::mt19937_64 &random);
    void decide_something(std::mt19937_64 &random);
    void register_callout();
    std::vector<std::uint64_t> install_filters(); // one callout's, their ids
    template <typename Step>
    void repeat(std::uint64_t seed, Step step) {
        std::mt19937_64 random(seed);
        for (int i = 0; i < steps; ++i) {
            step(random);
            if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    }

    std::unique_ptr<Dice> dice;
    std::unique_ptr<ModelKernel> kernel;
    std::shared_ptr<runtime::PortLink> link;
    std::atomic<bool> finishing{false};
    std::atomic<int> drivers{0}; // that have not finished
    std::atomic<std::uint64_t> pends{0}, last_value{0};
    Mutex mutex;
    std::vector<HANDLE> open GUARDED_BY(mutex), used GUARDED_BY(mutex);
    std::vector<runtime::BufferList *> clones GUARDED_BY(mutex);
    std::vector<UINT64> made GUARDED_BY(mutex); // values whose association succeeded
};

void HoldMachine::register_callout() {
    auto spec = scripted_callout();
    std::get<FWPS_CALLOUT3>(spec).flowDeleteFn = noting_end;
    const auto id = engine->register_callout(spec);
    ASSERT_TRUE(id);
    ASSERT_EQ(*id, callout_id) << "a key keeps its id";
    engine->callouts().find(callout_id)->slot = slot;
}

std::vector<std::uint64_t> HoldMachine::install_filters() {
    const std::vector<std::uint64_t> ids{101, 102, 103};
    protocol::FilterTable table;
    for (const std::uint64_t id : ids) {
        auto *f = table.add_filters();
        f->set_id(id);
        f->set_key(std::string(16, 'k'));
        f->set_layer(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
        f->set_flags(id == 102 ? FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED : 0);
        f->set_action(FWP_ACTION_CALLOUT_TERMINATING);
    }
    engine->filters().install(table, [&](const auto &) { return callout_id; });
    return ids;
}

void HoldMachine::open_run(std::uint64_t seed) {
    dice = std::make_unique<Dice>(seed);
    finishing = false;
    pends = 0;
    {
        Lock lock(ends_mutex);
        ends.clear();
    }
    port = std::make_shared<FakePort>(frames);
    engine = std::make_unique<runtime::Engine>(
        runtime::Engine::Options{"/nonexistent/sluice-test.sock", "test", {}, -1});
    callout_id = 1; // the first of a process
    register_callout();
    kernel = std::make_unique<ModelKernel>(port, install_filters(), seed + 1);
    port->acknowledges = false; // the model does
    port->kernel = [this](const Sent &sent) { kernel->apply(sent); };
    script = [this](const Asked &a) { answer(a); };
    engine->attach(1, 5, port);
    link = engine->port(1);
}

// ---- the callout ----

void HoldMachine::answer(const Asked &a) {
    if (dice->chance(15)) keep_clone(a);
    if (dice->chance(20)) associate(a.metadata->flowHandle);
    const bool wants = !finishing && dice->chance(70);
    if (wants && !a.reauthorize()) return pend(a);
    HANDLE untouched = reinterpret_cast<HANDLE>(0x77);
    if (a.reauthorize() && wants) {
        EXPECT_EQ(engine->pend(a.metadata->completionHandle, &untouched), STATUS_FWP_CANNOT_PEND);
        EXPECT_EQ(untouched, reinterpret_cast<HANDLE>(0x77));
    }
    a.answer(dice->chance(70) ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK);
}

void HoldMachine::pend(const Asked &a) {
    const UINT64 ticket = a.metadata->flowHandle;
    HANDLE context = nullptr;
    EXPECT_EQ(engine->pend(nullptr, &context), STATUS_FWP_NULL_POINTER);
    EXPECT_EQ(engine->pend(a.metadata->completionHandle, nullptr), STATUS_FWP_NULL_POINTER);
    const bool may = kernel->may_pend(ticket);
    const NTSTATUS status = engine->pend(a.metadata->completionHandle, &context);
    a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    if (status != STATUS_SUCCESS) {
        EXPECT_EQ(context, nullptr);
        const bool over = kernel->decided_without_host(ticket);
        if (status == STATUS_FWP_TCPIP_NOT_READY) {
            EXPECT_TRUE(over || port->closed());
        } else {
            EXPECT_EQ(status, STATUS_FWP_CANNOT_PEND);
        }
        EXPECT_TRUE(!may || over || port->closed()) << std::hex << status;
        return;
    }
    ++pends;
    HANDLE second = nullptr;
    EXPECT_EQ(engine->pend(a.metadata->completionHandle, &second), STATUS_FWP_CANNOT_PEND);
    {
        Lock lock(mutex);
        open.push_back(context);
    }
    if (dice->chance(20)) complete_one(false); // this one, perhaps
}

void HoldMachine::associate(UINT64 flow) {
    const UINT64 value = ++last_value;
    if (engine->contexts().associate(flow, FWPS_LAYER_ALE_AUTH_CONNECT_V4, callout_id, value) !=
        STATUS_SUCCESS)
        return;
    Lock lock(mutex);
    made.push_back(value);
}

void HoldMachine::keep_clone(const Asked &a) {
    auto *list = runtime::BufferList::of(static_cast<NET_BUFFER_LIST *>(a.layer_data));
    if (list == nullptr) return; // a TCP connect
    auto *clone = runtime::BufferList::clone(*list, false);
    Lock lock(mutex);
    clones.push_back(clone);
}

// ---- who drives ----

void HoldMachine::complete_one(bool again) {
    HANDLE context = nullptr;
    {
        Lock lock(mutex);
        auto &from = again ? used : open;
        if (from.empty()) return;
        const auto at = from.begin() + static_cast<std::ptrdiff_t>((*dice)(from.size()));
        context = *at;
        if (!again) {
            from.erase(at);
            used.push_back(context);
        }
    }
    engine->complete(context);
}

void HoldMachine::decide_something(std::mt19937_64 &random) {
    const auto what = random() % 100;
    if (what < 35) return complete_one(false);
    if (what < 50) return complete_one(true); // again, or what the kernel has ended
    const std::uint64_t ticket =
        kernel->ticket_of(static_cast<std::uint16_t>(1 + random() % flows));
    if (what < 70) {
        (void)engine->holds().order(1, ticket, random() % 2 ? DP_ACTION_PERMIT : DP_ACTION_BLOCK);
    } else if (what < 85) {
        runtime::BufferList *clone = nullptr;
        {
            Lock lock(mutex);
            if (clones.empty()) return;
            clone = clones.back();
            clones.pop_back();
        }
        clone->release();
    } else if (what < 93 && ticket) {
        associate(ticket);
    } else if (ticket) {
        (void)engine->contexts().remove(ticket, FWPS_LAYER_ALE_AUTH_CONNECT_V4, callout_id);
    }
}

void HoldMachine::change_something(std::mt19937_64 &random) {
    const auto flow = static_cast<std::uint16_t>(1 + random() % flows);
    const auto what = random() % 1000;
    if (what < 700) return kernel->packet(flow);
    if (what < 800) return kernel->inject_clone(flow);
    if (what < 880) return kernel->expire(flow, random() % 2);
    if (what < 990) return kernel->end(flow);
    kernel->publish();
}

void HoldMachine::complete_all() {
    for (;;) {
        {
            Lock lock(mutex);
            if (open.empty()) return;
        }
        complete_one(false);
    }
}

// ---- the end of a run ----

void HoldMachine::close_run(bool detach) {
    finishing = true;
    complete_all();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < until) {
        if ((detach || kernel->open() == 0) && engine->holds().open() == 0) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        complete_all();
    }
    EXPECT_TRUE(detach || kernel->open() == 0) << kernel->text_of_open();
    EXPECT_EQ(engine->holds().open(), 0u);
    for (std::uint16_t flow = 1; flow <= flows; ++flow)
        kernel->end(flow);
    {
        Lock lock(mutex);
        for (auto *clone : clones)
            clone->release();
        clones.clear();
    }
    while (detach && port->receive()) // what came when nobody read any more
        ;
    while (std::chrono::steady_clock::now() < until) {
        if (port->free_frames() == port->frames() && link->kept == 0 &&
            engine->contexts().count() == 0)
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

void HoldMachine::check_run() {
    EXPECT_EQ(engine->holds().open(), 0u);
    EXPECT_EQ(port->free_frames(), port->frames());
    EXPECT_EQ(link->kept, 0u);
    EXPECT_EQ(engine->contexts().count(), 0u);
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
    const auto n = kernel->counts();
    EXPECT_GT(n.opened, 0u);
    EXPECT_EQ(n.opened, n.permitted + n.blocked + n.expired + n.abandoned);
    EXPECT_EQ(n.asked, n.answered + n.watchdog + n.ended_asked + n.opened);
    const auto &c = engine->counters();
    EXPECT_EQ(c.holds, pends);
    EXPECT_LE(n.opened, c.holds) << "each was pended, not each was heard of in time";
    EXPECT_LE(c.holds_completed, c.holds);
    EXPECT_LE(c.holds - c.holds_completed, c.holds_decided + c.holds_superseded + c.holds_dropped);
    EXPECT_EQ(c.callout_exceptions + c.invalid_answers + c.unexpected_frames + c.pend_mismatches,
              0u);
    std::map<UINT64, int> ended;
    {
        Lock lock(ends_mutex);
        ended = ends;
    }
    Lock lock(mutex);
    for (const UINT64 value : made)
        EXPECT_EQ(ended[value], 1) << "flowDeleteFn of context " << value;
    EXPECT_EQ(ended.size(), made.size()) << "a context that could not be made was deleted";
    made.clear();
    used.clear();
}

// Its callout goes and comes back from time to time; the whole host goes once, if it does.
void HoldMachine::take_away(bool detach) {
    for (std::uint64_t held = 10; held <= 60; held += 10) {
        while (kernel->counts().opened < held && drivers > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (engine->unregister_callout(callout_id) == STATUS_SUCCESS) register_callout();
    }
    if (detach) engine->detach(1);
}

void HoldMachine::run(std::uint64_t seed, bool detach) {
    open_run(seed);
    std::vector<std::thread> threads;
    const auto drive = [&](std::uint64_t own, auto step) {
        ++drivers;
        threads.emplace_back([this, own, step] {
            repeat(own, step);
            --drivers;
        });
    };
    for (std::uint64_t t = 0; t < 2; ++t) {
        drive(seed * 10 + t, [this](auto &random) { change_something(random); });
        drive(seed * 10 + 5 + t, [this](auto &random) { decide_something(random); });
    }
    threads.emplace_back([this, detach] { take_away(detach); });
    for (auto &thread : threads)
        thread.join();
    close_run(detach);
    check_run();
    script = {};
    engine.reset();
}

} // namespace

TEST_F(HoldMachine, EveryHoldEndsOnceWhateverHappensInWhateverOrder) {
    const auto runs = number_of("SLUICE_MACHINE_RUNS", 6);
    const auto first = number_of("SLUICE_MACHINE_SEED", std::random_device{}());
    for (std::uint64_t seed = first; seed < first + runs && !HasFailure(); ++seed) {
        SCOPED_TRACE("SLUICE_MACHINE_RUNS=1 SLUICE_MACHINE_SEED=" + std::to_string(seed));
        std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
        run(seed, seed % 3 == 0);
    }
}
