// SPDX-License-Identifier: Apache-2.0
// A data plane in the kernel, without a daemon. Each test has namespaces of its own:
//
//     [ peer ]  peer0 ──── nic0  [ the data plane's namespace ]  slc<host> ──── far0  [ port's ]
#include <cerrno>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <set>
#include <span>
#include <sstream>
#include <sys/socket.h>
#include <sys/wait.h>
#include <xdp/libxdp.h>

#include "bare_host.h"
#include "datapath_fixture.h"
#include "xsk/xsk_port.h"

namespace sluice::datapath {
namespace {

using namespace std::chrono_literals;

TEST_F(DatapathKernelTest, LeavesNothingWhenRemoved) {
    const std::string before = traces();
    create();
    attach();
    PortHandover handover;
    auto port = plane_->make_port(900001, 64, handover);
    ASSERT_TRUE(port) << port.error().text();
    EXPECT_NE(traces(), before);
    auto objects = kernel_objects(plane_->pin_dir());
    add_xdp(objects, plane_->ns(), nic_.ifindex);
    add_xdp(objects, (*port)->far(), handover.far_ifindex);
    EXPECT_GT(objects.size(), 30u);
    ASSERT_TRUE(plane_->detach_nic("nic0"));
    EXPECT_TRUE(plane_->nics().empty());
    ASSERT_TRUE(plane_->remove());
    handover = {};
    EXPECT_EQ(traces(), before);
    EXPECT_TRUE(no_dispatcher_pins());
    (*port)->release(); // its device went with the rest
    port->reset();
    EXPECT_EQ(what_lives(objects), "");
}

TEST_F(DatapathTest, RemovesWithNicsLoaded) {
    const std::string before = traces();
    create();
    attach();
    auto objects = kernel_objects(plane_->pin_dir());
    add_xdp(objects, plane_->ns(), nic_.ifindex);
    ASSERT_TRUE(plane_->remove());
    EXPECT_EQ(traces(), before);
    EXPECT_EQ(what_lives(objects), "");
}

TEST_F(DatapathKernelTest, AttachesAsTheKernelCan) {
    create();
    attach();
    bool tcx = false;
    for (const Feature &feature : features())
        if (feature.name == "tcx") tcx = feature.works;
    EXPECT_EQ(nic_.mode, "native") << note_;
    const std::string tc = tcx ? "tcx" : "clsact";
    EXPECT_EQ(nic_.attach, tc + (freplace() ? "+xdp-dispatcher" : "+xdp"));
    EXPECT_EQ(nic_.programs.size(), 3u);
    EXPECT_EQ(note_, "");
    EXPECT_TRUE(ping());
}

TEST_F(DatapathTest, GenericModeHasNoXdp) {
    create();
    attach(XdpMode::generic);
    EXPECT_EQ(nic_.mode, "generic");
    EXPECT_EQ(output("ip -n " + name_ + " link show nic0").find("xdp"), std::string::npos);
    EXPECT_TRUE(ping());
}

TEST_F(DatapathTest, FallsBackToGenericWhereNativeIsRefused) {
    ASSERT_EQ(run("ip -n " + name_ + " link set nic0 mtu 9000; ip -n " + peer_ +
                  " link set peer0 mtu 9000"),
              0);
    create();
    std::string note;
    auto native = plane_->attach_nic("nic0", XdpMode::native, note);
    EXPECT_FALSE(native);
    EXPECT_TRUE(plane_->nics().empty());
    attach();
    EXPECT_EQ(nic_.mode, "generic");
    EXPECT_NE(note_.find("nic0"), std::string::npos) << note_;
    EXPECT_EQ(note_.find('\n'), std::string::npos);
}

TEST_F(DatapathTest, RefusesWithOneLineAndChangesNothing) {
    create();
    const std::string before = traces();
    std::string note;
    EXPECT_EQ(plane_->attach_nic("nosuch0", XdpMode::automatic, note).error().code, ENODEV);
    EXPECT_EQ(plane_->attach_nic("too-long-a-name-", XdpMode::automatic, note).error().code,
              ENODEV);
    EXPECT_EQ(plane_->attach_nic("lo", XdpMode::automatic, note).error().code, EINVAL);
    EXPECT_EQ(plane_->detach_nic("nic0").error().code, ENOENT);
    EXPECT_EQ(traces(), before);
    attach();
    EXPECT_EQ(plane_->attach_nic("nic0", XdpMode::automatic, note).error().code, EEXIST);
    auto second = Datapath::create(ns(), options_, plan(1));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EEXIST);
}

TEST_F(DatapathTest, LoComesWithTheFirstAndGoesWithTheLastNic) {
    ASSERT_EQ(run("ip -n " + name_ + " link add nic.5 type veth peer name peer1 netns " + peer_),
              0);
    const std::string setting = "grep -q 1 /proc/sys/net/ipv4/conf/lo/route_localnet";
    create();
    EXPECT_NE(in_ns(setting), 0);
    attach();
    std::string note;
    // bpffs refuses names with a dot.
    ASSERT_TRUE(plane_->attach_nic("nic.5", XdpMode::automatic, note));
    EXPECT_EQ(plane_->nics().size(), 2u);
    EXPECT_EQ(in_ns(setting), 0);
    ASSERT_TRUE(plane_->detach_nic("nic0"));
    EXPECT_EQ(in_ns(setting), 0);
    EXPECT_TRUE(std::filesystem::exists(plane_->pin_dir() + "/l_connect4_cgroup"));
    ASSERT_TRUE(plane_->detach_nic("nic.5"));
    EXPECT_NE(in_ns(setting), 0);
    EXPECT_FALSE(std::filesystem::exists(plane_->pin_dir() + "/l_connect4_cgroup"));
}

TEST_F(DatapathTest, KeepsASettingOfLoThatWasOn) {
    ASSERT_EQ(in_ns("sysctl -qw net.ipv4.conf.lo.route_localnet=1"), 0);
    create();
    attach();
    ASSERT_TRUE(plane_->detach_nic("nic0"));
    EXPECT_EQ(in_ns("grep -q 1 /proc/sys/net/ipv4/conf/lo/route_localnet"), 0);
    EXPECT_EQ(in_ns("grep -q 0 /proc/sys/net/ipv4/conf/lo/accept_local"), 0);
}

// Somebody else's filter, at TC egress of nic0.
class ForeignFilter {
public:
    static constexpr const char *pin = "/sys/fs/bpf/sldp-foreign";
    ForeignFilter() {
        const bpf_insn ok[] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
        };
        const Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", ok, 2, nullptr));
        unlink(pin);
        EXPECT_EQ(bpf_obj_pin(program.get(), pin), 0);
    }
    ~ForeignFilter() { unlink(pin); }
    [[nodiscard]] std::string command() const {
        return std::string("tc filter add dev nic0 egress pref 7 bpf da pinned ") + pin;
    }
};

// In a process of its own, since libxdp keeps descriptors.
int foreign_xdp(bool attach) {
    const pid_t child = fork();
    if (child == 0) {
        const int ifindex = int(if_nametoindex("nic0"));
        if (attach) {
            DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = "xdp_pass",
                                .find_filename = "xdp-dispatcher.o");
            xdp_program *program = xdp_program__create(&opts);
            _exit(libxdp_get_error(program) != 0 ||
                  xdp_program__attach(program, ifindex, XDP_MODE_NATIVE, 0) != 0);
        }
        xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
        if (libxdp_get_error(all) != 0) _exit(1);
        xdp_program *program = xdp_multiprog__next_prog(nullptr, all);
        if (xdp_multiprog__program_count(all) != 1 || program == nullptr) _exit(2);
        _exit(std::strcmp(xdp_program__name(program), "xdp_pass") != 0 ||
              xdp_multiprog__detach(all) != 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

TEST_F(DatapathKernelTest, LivesBesideAnotherXdpProgram) {
    if (!freplace()) GTEST_SKIP() << "needs freplace (libxdp's dispatcher)";
    create();
    int status = -1;
    for (const bool foreign_first : {true, false}) {
        if (!foreign_first) attach();
        (void)plane_->ns().enter([&]() -> Result<void> {
            status = foreign_xdp(true);
            return {};
        });
        ASSERT_EQ(status, 0);
        if (foreign_first) attach();
        EXPECT_NE(nic_.attach.find("+xdp-dispatcher"), std::string::npos);
        EXPECT_TRUE(ping());
        ASSERT_TRUE(plane_->detach_nic("nic0"));
        (void)plane_->ns().enter([&]() -> Result<void> {
            status = foreign_xdp(false);
            return {};
        });
        EXPECT_EQ(status, 0) << "the other program is not there any more";
    }
}

TEST_F(DatapathTest, LeavesClsactAndFiltersOfOthers) {
    const ForeignFilter foreign;
    ASSERT_EQ(in_ns("tc qdisc add dev nic0 clsact"), 0);
    ASSERT_EQ(in_ns(foreign.command()), 0);
    const std::string before = traces();
    create();
    attach();
    ASSERT_TRUE(plane_->remove());
    EXPECT_EQ(traces(), before);
}

TEST_F(DatapathKernelTest, KeepsAQdiscThatOthersUseMeanwhile) {
    const ForeignFilter foreign;
    create();
    attach();
    in_ns("tc qdisc add dev nic0 clsact 2>/dev/null");
    ASSERT_EQ(in_ns(foreign.command()), 0);
    ASSERT_TRUE(plane_->remove());
    const std::string filters = output("tc -n " + name_ + " filter show dev nic0 egress");
    EXPECT_NE(filters.find("pref 7"), std::string::npos);
}

TEST_F(DatapathTest, IsTakenOverFromThePins) {
    const std::string before = traces();
    create();
    attach();
    ASSERT_TRUE(plane_->publish(plan(2, {5, 6})));
    ASSERT_TRUE(plane_->set_callout(3, {7, 0, 11, 0, 0}));
    const std::string pinned = traces();
    adopt();
    EXPECT_EQ(traces(), pinned);
    ASSERT_EQ(plane_->nics().size(), 1u);
    EXPECT_EQ(plane_->nics()[0].attach, nic_.attach);
    EXPECT_EQ(plane_->nics()[0].name, "nic0");
    EXPECT_EQ(plane_->compartment(), options_.compartment);
    EXPECT_EQ(plane_->callout(3)->local_id, 11u);
    EXPECT_EQ(entries_of_hits(), 1u); // of neighbours
    EXPECT_TRUE(ping());
    ASSERT_TRUE(plane_->remove());
    EXPECT_EQ(traces(), before);
}

TEST_F(DatapathTest, SaysWhatIsNotThereAndWhatIsOfAnotherLayout) {
    EXPECT_EQ(Datapath::adopt(ns(), options_).error().code, ENOENT);
    create();
    const std::string pin = plane_->pin_dir() + "/layout";
    plane_.reset();
    const std::uint32_t key = 0, other = DP_LAYOUT_VERSION + 1;
    const Fd layout(bpf_obj_get(pin.c_str()));
    ASSERT_EQ(bpf_map_update_elem(layout.get(), &key, &other, BPF_ANY), 0);
    auto adopted = Datapath::adopt(ns(), options_);
    ASSERT_FALSE(adopted);
    EXPECT_EQ(adopted.error().code, EPROTO);
    EXPECT_EQ(Datapath::create(ns(), options_, plan(1)).error().code, EEXIST);
}

TEST_F(DatapathTest, ForgetsDevicesThatWent) {
    create();
    attach();
    ASSERT_EQ(run("ip -n " + name_ + " link del nic0"), 0);
    plane_->forget_missing_devices();
    EXPECT_TRUE(plane_->nics().empty());
    for (const auto &entry : std::filesystem::directory_iterator(plane_->pin_dir()))
        EXPECT_FALSE(entry.path().filename().string().starts_with("l_")) << entry.path();
    EXPECT_TRUE(no_dispatcher_pins());
}

TEST_F(DatapathTest, SweepsANamespaceThatWent) {
    create();
    attach();
    const auto inode = plane_->ns().inode();
    EXPECT_TRUE(NetNs::find(inode));
    auto objects = kernel_objects(plane_->pin_dir());
    add_xdp(objects, plane_->ns(), nic_.ifindex);
    plane_.reset();
    run("ip netns del " + name_);
    EXPECT_TRUE(eventually([&] { return !NetNs::find(inode); }));
    ASSERT_EQ(Datapath::pinned(options_.pin_root), std::vector<std::uint64_t>{inode});
    Datapath::sweep(options_.pin_root, inode);
    EXPECT_FALSE(std::filesystem::exists(options_.pin_root));
    EXPECT_TRUE(no_dispatcher_pins());
    EXPECT_EQ(what_lives(objects), "");
}

TEST_F(DatapathTest, PublishesImagesOfAnySize) {
    create();
    for (const std::size_t rows : {0, 1, 5000, DP_IMAGE_CELLS_MAX})
        ASSERT_TRUE(plane_->publish(plan(rows + 2, {}, rows))) << rows;
    EXPECT_FALSE(plane_->publish(compiler::Plan{}));
}

TEST_F(DatapathTest, KeepsHitsOfFiltersThatStay) {
    create();
    ASSERT_TRUE(plane_->publish(plan(2, {10, 20})));
    EXPECT_EQ(entries_of_hits(), 1u);
    const Fd hits(bpf_obj_get((plane_->pin_dir() + "/filter_hits").c_str()));
    std::vector<dp_hits> counts(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    for (dp_hits &one : counts)
        one.count[20 % DP_HITS] = 2;
    const std::uint64_t key = 20 / DP_HITS;
    ASSERT_EQ(bpf_map_update_elem(hits.get(), &key, counts.data(), BPF_ANY), 0);
    ASSERT_TRUE(plane_->publish(plan(3, {20, 30, 7 * DP_HITS})));
    const std::map<std::uint64_t, std::uint64_t> kept{{20, 2 * counts.size()}};
    EXPECT_EQ(plane_->filter_hits(), kept);
    EXPECT_EQ(entries_of_hits(), 2u);
    ASSERT_TRUE(plane_->publish(plan(2, {7 * DP_HITS, 7 * DP_HITS + 1})));
    EXPECT_TRUE(plane_->filter_hits().empty());
    EXPECT_EQ(entries_of_hits(), 1u);
}

TEST_F(DatapathTest, WalksFlowsWhileTheyAreDeleted) {
    create();
    const Fd flows(bpf_obj_get((plane_->pin_dir() + "/flows").c_str()));
    std::vector<std::byte> value(sizeof(dp_flow));
    for (std::uint32_t i = 0; i < 3000; i++) {
        dp_flow_key key{};
        key.local_port = std::uint16_t(i);
        ASSERT_EQ(bpf_map_update_elem(flows.get(), &key, value.data(), BPF_ANY), 0);
    }
    std::set<std::uint16_t> seen;
    plane_->each_flow([&](const dp_flow_key &key, const dp_flow &) {
        EXPECT_TRUE(seen.insert(key.local_port).second) << "twice: " << key.local_port;
        plane_->delete_flow(key);
        return true;
    });
    EXPECT_EQ(seen.size(), 3000u);
    plane_->each_flow([&](const dp_flow_key &, const dp_flow &) -> bool {
        ADD_FAILURE() << "still there";
        return false;
    });
}

TEST_F(DatapathTest, DumpsCountersInWords) {
    create();
    const std::string dump = output("bpftool -j map dump pinned " + plane_->pin_dir() + "/reasons");
    EXPECT_NE(dump.find("DP_REASON_DOWNCALL_FOREIGN"), std::string::npos);
    EXPECT_EQ(packets(*plane_, "DP_REASON_UPCALL"), 0u);
    EXPECT_EQ(packets(*plane_, "DP_LAYER_ALE_AUTH_CONNECT_V4.permit"), 0u);
}

// What arrived at dp_port_down; ours are no downcalls, and counted as that.
std::uint64_t downcalls(const Datapath &plane) {
    return packets(plane, "DP_REASON_DOWNCALL_MALFORMED") + packets(plane, "DP_REASON_DOWNCALL");
}

std::string ethernet_frame(const std::string &text) {
    std::string frame(12, '\x02');
    return frame + "\x88\xb5" + text + std::string(100, '.');
}

// Sends a frame out of a device, as a redirect to it would.
void send_out(const NetNs &ns, std::uint32_t ifindex, const std::string &frame) {
    auto sent = ns.enter([&]() -> Result<void> {
        const Fd sock(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = int(ifindex);
        const int on = 1; // past the guard at TC egress, which lets only redirected frames out
        setsockopt(sock.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
        if (sendto(sock.get(), frame.data(), frame.size(), 0,
                   reinterpret_cast<const sockaddr *>(&to), sizeof to) < 0)
            return Error{errno, "send"};
        return {};
    });
    EXPECT_TRUE(sent);
}

TEST_F(DatapathKernelTest, APortCarriesFramesToAndFromAProcessWithoutRights) {
    create();
    PortHandover handover;
    auto port = plane_->make_port(900002, 64, handover);
    ASSERT_TRUE(port) << port.error().text();
    EXPECT_GE(handover.ring, handover.frames);
    const std::uint64_t before = downcalls(*plane_);
    const pid_t host = fork();
    if (host == 0) {
        if (setns((*port)->far().fd(), CLONE_NEWNET) != 0) _exit(100);
        drop_every_right();
        BareHost bare(handover.xsk.get(), handover, (*port)->umem().bytes().data());
        bare.post_frame(0);
        if (bare.bind_to(handover.far_ifindex) != 0) _exit(103);
        if (bare.receive() != ethernet_frame("up")) _exit(104);
        _exit(bare.transmit(DP_FRAME_BYTES, ethernet_frame("down")) ? 0 : 105);
    }
    int status = 0;
    for (int i = 0; i < 40 && waitpid(host, &status, WNOHANG) == 0; i++) {
        send_out(plane_->ns(), (*port)->near_ifindex(), ethernet_frame("up"));
        std::this_thread::sleep_for(100ms);
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_TRUE(eventually([&] { return downcalls(*plane_) == before + 1; }));
}

// A host's ring of notices: the two halves as a reader maps them.
bool maps_notices(int ring) {
    const auto page = sysconf(_SC_PAGESIZE);
    const std::size_t data = 2 * DP_NOTICES_BYTES;
    void *mine = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    void *theirs = mmap(nullptr, page + data, PROT_READ, MAP_SHARED, ring, page);
    pollfd wait{ring, POLLIN, 0};
    return mine != MAP_FAILED && theirs != MAP_FAILED && poll(&wait, 1, 0) == 0;
}

std::uint32_t notices_of(const Datapath &plane, std::uint32_t host) { // id of the ring; 0: none
    const Fd outer(bpf_obj_get((plane.pin_dir() + "/notices").c_str()));
    std::uint32_t id = 0;
    return bpf_map_lookup_elem(outer.get(), &host, &id) == 0 ? id : 0;
}

TEST_F(DatapathKernelTest, AHostReadsItsNoticesWithoutRights) {
    create();
    PortHandover handover;
    auto port = plane_->make_port(900007, 8, handover);
    ASSERT_TRUE(port) << port.error().text();
    const pid_t host = fork();
    if (host == 0) {
        drop_every_right();
        _exit(maps_notices(handover.notices.get()) ? 0 : 104);
    }
    int status = 0;
    ASSERT_EQ(waitpid(host, &status, 0), host);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    const KernelObject ring{true, notices_of(*plane_, 900007)};
    EXPECT_NE(ring.id, 0u);
    EXPECT_EQ(notices_of(*plane_, 900008), 0u);
    adopt();
    EXPECT_EQ(notices_of(*plane_, 900007), ring.id) << "the same ring after a restart";
    ASSERT_TRUE(plane_->delete_host(900007));
    EXPECT_EQ(notices_of(*plane_, 900007), 0u);
    EXPECT_TRUE(lives(ring)) << "its host has it still";
    handover = {};
    EXPECT_EQ(what_lives({ring}), "");
}

// What one thread sends goes by one system call for as many as there are, a full batch at once, and
// is not kept back from anybody who does not batch.
TEST_F(DatapathTest, ABatchGoesDownAtOnce) {
    create();
    PortHandover handover;
    auto made = plane_->make_port(900009, 128, handover);
    ASSERT_TRUE(made) << made.error().text();
    auto port = xsk::XskPort::open({std::move(handover.xsk), Fd(dup((*made)->umem().fd())),
                                    *(*made)->far().dup(), std::move(handover.notices),
                                    handover.far_ifindex, handover.frames, handover.ring,
                                    DP_NOTICES_BYTES});
    ASSERT_TRUE(port) << port.error().text();
    const std::uint64_t before = downcalls(*plane_);
    const auto came = [&](std::uint64_t count) {
        return eventually([&] { return downcalls(*plane_) >= before + count; }) &&
               downcalls(*plane_) == before + count;
    };
    const auto send = [&port](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::string bytes = ethernet_frame("down");
            auto frame = (*port)->allocate();
            ASSERT_TRUE(frame && frame->set_bounds(0, std::uint32_t(bytes.size())));
            std::memcpy(frame->bytes().data(), bytes.data(), bytes.size());
            ASSERT_TRUE((*port)->send(*std::move(frame)));
        }
    };
    send(3);
    EXPECT_TRUE(came(3)) << "nobody batches";
    {
        const xsk::PortIo::Batch batch(**port);
        send(10);
        std::this_thread::sleep_for(200ms);
        EXPECT_TRUE(came(3)) << "kept back";
        (*port)->flush();
        EXPECT_TRUE(came(13));
        send(xsk::PortIo::send_batch + 5);
        EXPECT_TRUE(came(13 + xsk::PortIo::send_batch)) << "a full batch waits for nothing";
        std::thread(send, 1).join();
        EXPECT_TRUE(came(13 + xsk::PortIo::send_batch + 6)) << "another thread's takes all along";
        send(2);
    }
    EXPECT_TRUE(came(13 + xsk::PortIo::send_batch + 8)) << "its end";
    // More than there are frames: nobody waits for a frame that nobody has sent.
    const xsk::PortIo::Batch batch(**port);
    send(3 * handover.frames);
}

TEST_F(DatapathTest, TheCustodianSendsDownWithoutAQueue) {
    create();
    PortHandover handover;
    auto port = plane_->make_port(900003, 8, handover);
    ASSERT_TRUE(port) << port.error().text();
    const std::uint64_t before = downcalls(*plane_);
    const std::string frame = ethernet_frame("down");
    ASSERT_TRUE((*port)->send_down(std::as_bytes(std::span(frame))));
    EXPECT_TRUE(eventually([&] { return downcalls(*plane_) == before + 1; }));
}

TEST_F(DatapathTest, APortIsQuietByItself) {
    create();
    PortHandover handover;
    auto port = plane_->make_port(900004, 8, handover);
    ASSERT_TRUE(port) << port.error().text();
    std::this_thread::sleep_for(2s);
    const std::string near = output("cat /proc/self/net/dev; nsenter --net=/run/netns/" + name_ +
                                    " sh -c 'grep slc900004 /proc/self/net/dev'");
    const std::string line = near.substr(near.find("slc900004:") + 10);
    std::istringstream numbers(line);
    std::vector<std::uint64_t> columns(16);
    for (auto &column : columns)
        numbers >> column;
    EXPECT_EQ(columns[1], 0u) << "received: " << line;
    EXPECT_EQ(columns[9], 0u) << "sent: " << line;
}

TEST_F(DatapathTest, APortOutlivesItsDaemon) {
    create();
    PortHandover handover;
    auto port = plane_->make_port(900005, 8, handover);
    ASSERT_TRUE(port) << port.error().text();
    (*port)->umem().bytes()[0] = std::byte{42};
    Fd memfd(dup((*port)->umem().fd()));
    auto far = NetNs::from_fd(std::move(*(*port)->far().dup()));
    const std::uint32_t near = (*port)->near_ifindex();
    (*port)->release();
    port->reset();
    adopt();
    EXPECT_EQ(plane_->ports().at(near), 900005u);
    EXPECT_FALSE(plane_->adopt_port(900006, Fd(dup(memfd.get())), std::move(*NetNs::make())));
    auto again = plane_->adopt_port(900005, std::move(memfd), std::move(*far));
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ((*again)->near_ifindex(), near);
    EXPECT_EQ((*again)->umem().bytes()[0], std::byte{42});
    plane_->delete_port(near);
    EXPECT_TRUE(plane_->ports().empty());
    EXPECT_EQ(output("ip -n " + name_ + " link").find("slc900005"), std::string::npos);
}

TEST_F(DatapathTest, TwoDataPlanesLiveBesideEachOther) {
    create();
    attach();
    auto other_ns = NetNs::from_fd(Fd(open(("/run/netns/" + peer_).c_str(), O_RDONLY | O_CLOEXEC)));
    ASSERT_TRUE(other_ns);
    Datapath::Options second = options_;
    second.compartment = 2;
    auto other = Datapath::create(std::move(*other_ns), second, plan(1));
    ASSERT_TRUE(other) << other.error().text();
    std::string note;
    ASSERT_TRUE((*other)->attach_nic("peer0", XdpMode::automatic, note));
    EXPECT_TRUE(ping());
    EXPECT_EQ(Datapath::pinned(options_.pin_root).size(), 2u);
    ASSERT_TRUE((*other)->remove());
    EXPECT_TRUE(ping());
    EXPECT_EQ(plane_->nics().size(), 1u);
}

} // namespace
} // namespace sluice::datapath
