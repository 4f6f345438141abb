// SPDX-License-Identifier: Apache-2.0
// Lists that contradict themselves, handles that are not there (any more), lists given twice: each
// function that injects refuses them, with the status of its contract, takes nothing and touches
// nothing that it may not; a list that was refused is as good as before.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "fwp/instance.h"
#include "packets.h"

namespace sluice::test {

namespace {

struct Call {
    HANDLE handle;
    NET_BUFFER_LIST *list;
    FWPS_INJECT_COMPLETE0 done;
    void *context;
};

struct Function {
    const char *name;
    UINT32 kind; // of its handle
    ADDRESS_FAMILY family;
    NTSTATUS (*call)(const Call &);
    bool of_frames = false;
    bool has_header = true; // its data begins with the IP header
};

UCHAR somewhere[4] = {10, 0, 0, 2};
constexpr auto any = UNSPECIFIED_COMPARTMENT_ID;

// The endpoint of the transport functions is known by the IP header that is given with the data.
UCHAR header[20] = {0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

NTSTATUS with_header(const Call &c) {
    FWPS_TRANSPORT_SEND_PARAMS1 args{};
    args.remoteAddress = somewhere;
    args.headerIncludeHeader = header;
    args.headerIncludeHeaderLength = sizeof header;
    return FwpsInjectTransportSendAsync1(c.handle, nullptr, 0, 0, &args, SLUICE_AF_INET, any,
                                         c.list, c.done, c.context);
}

const Function functions[] = {
    {"NetworkSend", FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET,
     [](const Call &c) {
         return FwpsInjectNetworkSendAsync0(c.handle, nullptr, 0, any, c.list, c.done, c.context);
     }},
    {"NetworkReceive", FWPS_INJECTION_TYPE_NETWORK, SLUICE_AF_INET,
     [](const Call &c) {
         return FwpsInjectNetworkReceiveAsync0(c.handle, nullptr, 0, any, 3, 0, c.list, c.done,
                                               c.context);
     }},
    {"TransportReceive", FWPS_INJECTION_TYPE_TRANSPORT, SLUICE_AF_INET,
     [](const Call &c) {
         return FwpsInjectTransportReceiveAsync0(c.handle, nullptr, nullptr, 0, SLUICE_AF_INET, any,
                                                 3, 0, c.list, c.done, c.context);
     }},
    {"TransportSend", FWPS_INJECTION_TYPE_TRANSPORT, SLUICE_AF_INET, with_header, false, false},
    {"Forward", FWPS_INJECTION_TYPE_FORWARD, SLUICE_AF_INET,
     [](const Call &c) {
         return FwpsInjectForwardAsync0(c.handle, nullptr, 0, SLUICE_AF_INET, any, 0, c.list,
                                        c.done, c.context);
     }},
    {"MacSend", FWPS_INJECTION_TYPE_L2, SLUICE_AF_UNSPEC,
     [](const Call &c) {
         return FwpsInjectMacSendAsync0(c.handle, nullptr, 0,
                                        FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 3, 0, c.list,
                                        c.done, c.context);
     },
     true, false},
    {"MacReceive", FWPS_INJECTION_TYPE_L2, SLUICE_AF_UNSPEC,
     [](const Call &c) {
         return FwpsInjectMacReceiveAsync0(c.handle, nullptr, 0,
                                           FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 3, 0, c.list,
                                           c.done, c.context);
     },
     true, false},
};

class OddInputs : public testing::TestWithParam<Function> {
protected:
    void SetUp() override {
        port = std::make_shared<FakePort>();
        fwp::engine().attach(1, 1, port);
        handle = make_handle();
    }
    void TearDown() override {
        (void)FwpsInjectionHandleDestroy0(handle);
        fwp::engine().detach(1);
        EXPECT_EQ(port->free_frames(), 64u);
        EXPECT_EQ(completed, accepted);
    }
    static HANDLE make_handle() {
        HANDLE h = nullptr;
        EXPECT_EQ(FwpsInjectionHandleCreate0(GetParam().family, GetParam().kind, &h),
                  STATUS_SUCCESS);
        return h;
    }
    static VOID NTAPI count(VOID *context, NET_BUFFER_LIST *, BOOLEAN) {
        ++*static_cast<std::atomic<int> *>(context);
    }
    NTSTATUS inject(NET_BUFFER_LIST *list, HANDLE by = nullptr) {
        const NTSTATUS status = GetParam().call({by ? by : handle, list, count, &completed});
        if (status == STATUS_SUCCESS) ++accepted;
        return status;
    }
    void refuses(NET_BUFFER_LIST *list, const std::string &what) {
        EXPECT_EQ(inject(list), STATUS_INVALID_PARAMETER) << what;
        EXPECT_TRUE(port->sent().empty()) << what;
    }
    void drain() { // what is forwarded completes in another thread
        for (int i = 0; completed < accepted && i < 1000; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }

    std::shared_ptr<FakePort> port;
    Packets packets;
    HANDLE handle = nullptr;
    std::atomic<int> completed{0};
    int accepted = 0;
};

TEST_P(OddInputs, LengthsThatNoMemoryStandsBehind) {
    NET_BUFFER_LIST *list = packets.udp_packet();
    NET_BUFFER *buffer = list->FirstNetBuffer;
    for (const ULONG bytes : {0u, 65u, 3273u, 65535u, 65536u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
        buffer->DataLength = bytes;
        refuses(list, "length " + std::to_string(bytes));
    }
    buffer->DataLength = 32;
    buffer->CurrentMdlOffset = 60; // so that four bytes are left
    refuses(list, "offset 60");
    buffer->CurrentMdlOffset = 0xFFFFFFFF;
    refuses(list, "offset -1");
    buffer->CurrentMdlOffset = 0;
    list->FirstNetBuffer = nullptr;
    refuses(list, "no buffer");
    list->FirstNetBuffer = buffer;
    EXPECT_EQ(inject(list), STATUS_SUCCESS);
    drain();
    FwpsFreeNetBufferList0(list);
}

// A packet of one-byte pieces, whose chain ends before each of them in turn.
TEST_P(OddInputs, ChainsThatEndTooEarly) {
    NET_BUFFER_LIST *list = packets.udp_packet();
    NET_BUFFER *buffer = list->FirstNetBuffer;
    MDL *const whole = buffer->CurrentMdl;
    std::array<MDL, 32> pieces{};
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        pieces[i].StartVa = pieces[i].MappedSystemVa = packets.bytes.data() + i;
        pieces[i].ByteCount = 1;
        if (i) pieces[i - 1].Next = &pieces[i];
    }
    for (std::size_t cut = 0; cut < pieces.size(); ++cut) {
        if (cut) pieces[cut - 1].Next = nullptr;
        buffer->CurrentMdl = buffer->MdlChain = cut ? pieces.data() : nullptr;
        refuses(list, "cut before piece " + std::to_string(cut));
        if (cut) pieces[cut - 1].Next = &pieces[cut];
    }
    // An empty piece, and one without memory, among them.
    buffer->CurrentMdl = buffer->MdlChain = pieces.data();
    MDL empty{};
    empty.Next = &pieces[9];
    pieces[8].Next = &empty;
    EXPECT_EQ(inject(list), STATUS_SUCCESS);
    drain();
    buffer->CurrentMdl = buffer->MdlChain = whole;
    FwpsFreeNetBufferList0(list);
}

TEST_P(OddInputs, HeadersThatLieAboutLengths) {
    NET_BUFFER_LIST *list = packets.udp_packet();
    if (!GetParam().has_header) { // frames, and what stands behind a header, are not looked into
        EXPECT_EQ(inject(list), STATUS_SUCCESS);
    } else {
        UCHAR *const ip = packets.bytes.data();
        const auto lie = [&](std::size_t at, std::initializer_list<UCHAR> bytes, const char *what) {
            const auto before = packets.bytes;
            std::copy(bytes.begin(), bytes.end(), ip + at);
            refuses(list, what);
            packets.bytes = before;
        };
        lie(2, {0, 33}, "longer than it is");
        lie(2, {0xFF, 0xFF}, "64 KiB");
        lie(2, {0, 19}, "shorter than its header");
        lie(2, {0, 0}, "nothing");
        lie(0, {0x44}, "a header of 16 bytes");
        lie(0, {0x4F}, "a header of 60 bytes");
        lie(0, {0x65}, "IPv6");
        lie(0, {0x00}, "no IP at all");
        ip[3] = 30; // the rest pads it
        EXPECT_EQ(inject(list), STATUS_SUCCESS);
    }
    drain();
    FwpsFreeNetBufferList0(list);
}

TEST_P(OddInputs, ListsGivenTwice) {
    NET_BUFFER_LIST *list = packets.udp_packet();
    list->Next = list;
    refuses(list, "behind itself");
    list->Next = nullptr;
    EXPECT_EQ(inject(list), STATUS_SUCCESS);
    drain();
    EXPECT_EQ(inject(list), STATUS_SUCCESS) << "it is the caller's again";
    drain();
    // Once more while it is the engine's: in another thread, from inside the completion of which it
    // is the caller's.
    static std::atomic<NTSTATUS> inside;
    inside = STATUS_PENDING;
    const Call again{handle, list,
                     [](VOID *, NET_BUFFER_LIST *done, BOOLEAN) {
                         inside = done->Next ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
                     },
                     nullptr};
    EXPECT_EQ(GetParam().call(again), STATUS_SUCCESS);
    for (int i = 0; inside == STATUS_PENDING && i < 1000; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(inside, STATUS_SUCCESS);
    FwpsFreeNetBufferList0(list);
    EXPECT_EQ(inject(list), STATUS_INVALID_PARAMETER) << "freed";
}

TEST_P(OddInputs, HandlesOfOthers) {
    NET_BUFFER_LIST *list = packets.udp_packet();
    const auto number = reinterpret_cast<std::uintptr_t>(handle);
    for (const std::uintptr_t other : {std::uintptr_t{0}, number + 1, number - 1, number + 0x100000,
                                       number | std::uintptr_t{1} << 32, ~std::uintptr_t{0},
                                       reinterpret_cast<std::uintptr_t>(list)}) {
        EXPECT_EQ(GetParam().call({reinterpret_cast<HANDLE>(other), list, count, &completed}),
                  STATUS_INVALID_HANDLE)
            << other;
    }
    HANDLE stream = nullptr;
    ASSERT_EQ(FwpsInjectionHandleCreate0(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &stream),
              STATUS_SUCCESS);
    EXPECT_EQ(inject(list, stream), STATUS_FWP_INJECT_HANDLE_STALE);
    EXPECT_EQ(FwpsInjectionHandleDestroy0(stream), STATUS_SUCCESS);
    if (!GetParam().of_frames && GetParam().has_header) {
        HANDLE v6 = nullptr;
        ASSERT_EQ(FwpsInjectionHandleCreate0(SLUICE_AF_INET6, GetParam().kind, &v6),
                  STATUS_SUCCESS);
        EXPECT_EQ(inject(list, v6), STATUS_INVALID_PARAMETER) << "of the other family";
        EXPECT_EQ(FwpsInjectionHandleDestroy0(v6), STATUS_SUCCESS);
    }
    EXPECT_TRUE(port->sent().empty());
    FwpsFreeNetBufferList0(list);
}

// Threads inject while the handle ends: each call is taken and completed, or refused, and when the
// end has returned nothing completes any more.
TEST_P(OddInputs, HandlesThatEndMeanwhile) {
    for (int round = 0; round < 20; ++round) {
        const HANDLE by = make_handle();
        std::atomic<int> taken{0}, done{0};
        std::atomic<bool> ended{false}, late{false};
        struct Told {
            std::atomic<int> *done;
            std::atomic<bool> *ended, *late;
        } told{&done, &ended, &late};
        std::vector<std::thread> threads;
        std::array<Packets, 3> of_each;
        std::vector<NET_BUFFER_LIST *> lists;
        for (Packets &own : of_each)
            threads.emplace_back([&, list = lists.emplace_back(own.udp_packet())] {
                const Function &f = GetParam();
                for (NTSTATUS status = STATUS_SUCCESS;
                     status != STATUS_FWP_INJECT_HANDLE_CLOSING;) {
                    status = f.call({by, list,
                                     [](VOID *context, NET_BUFFER_LIST *, BOOLEAN) {
                                         const auto &t = *static_cast<Told *>(context);
                                         if (*t.ended) *t.late = true;
                                         ++*t.done;
                                     },
                                     &told});
                    if (status == STATUS_SUCCESS) ++taken;
                    // Forwarded still, or no frame is free just now.
                    const bool waits = status == STATUS_INVALID_PARAMETER ||
                                       status == STATUS_INSUFFICIENT_RESOURCES;
                    if (status != STATUS_SUCCESS && !waits) {
                        EXPECT_EQ(status, STATUS_FWP_INJECT_HANDLE_CLOSING);
                        break;
                    }
                }
            });
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        EXPECT_EQ(FwpsInjectionHandleDestroy0(by), STATUS_SUCCESS);
        ended = true;
        for (std::thread &t : threads)
            t.join();
        for (NET_BUFFER_LIST *list : lists)
            FwpsFreeNetBufferList0(list);
        EXPECT_EQ(taken, done);
        EXPECT_FALSE(late);
        EXPECT_EQ(FwpsInjectionHandleDestroy0(by), STATUS_FWP_INJECT_HANDLE_CLOSING);
    }
}

INSTANTIATE_TEST_SUITE_P(Functions, OddInputs, testing::ValuesIn(functions),
                         [](const auto &f) { return f.param.name; });

} // namespace

} // namespace sluice::test
