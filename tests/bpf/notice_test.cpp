// SPDX-License-Identifier: Apache-2.0
// Notices, as their reader finds them in the ring.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/fd.h"
#include "shared/config.h"
#include "shared/port.h"
#include "notice_probe.skel.h" // after the types it names

namespace {

using namespace sluice;

constexpr std::uint32_t host = 1;

dp_host known(std::uint32_t alive) {
    dp_host h{};
    h.port_ifindex = 1;
    h.alive = alive;
    return h;
}

class Notices : public testing::Test {
protected:
    void SetUp() override {
        probe_.reset(notice_probe_bpf::open());
        ASSERT_TRUE(probe_);
        if (const int error = notice_probe_bpf::load(probe_.get()); error == -EPERM)
            GTEST_SKIP() << "skipped: needs CAP_BPF to load programs";
        else
            ASSERT_EQ(error, 0);
        ring_ =
            Fd(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "notices", 0, 0, DP_NOTICES_BYTES, nullptr));
        set(probe_->maps.notices, host, ring_.get());
        set(probe_->maps.hosts, host, known(1));
        reader_.reset(ring_buffer__new(ring_.get(), take, &read_, nullptr));
        ASSERT_TRUE(reader_);
    }

    template <typename K, typename V>
    static void set(bpf_map *map, K key, const V &value) {
        ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY), 0)
            << bpf_map__name(map);
    }

    std::uint32_t send(const dp_upcall &up) {
        set(probe_->maps.probe, 0u, up);
        const char frame[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof frame);
        EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(probe_->progs.dp_notice_probe), &run), 0);
        return run.retval;
    }

    const std::vector<std::string> &read() {
        read_.clear();
        ring_buffer__consume(reader_.get());
        return read_;
    }

    std::uint64_t count(std::uint32_t reason) {
        std::vector<dp_reason_count> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        bpf_map_lookup_elem(bpf_map__fd(probe_->maps.reasons), &reason, cpus.data());
        std::uint64_t sum = 0;
        for (const auto &cpu : cpus)
            sum += cpu.packets;
        return sum;
    }

private:
    static int take(void *into, void *data, std::size_t bytes) {
        static_cast<std::vector<std::string> *>(into)->emplace_back(static_cast<char *>(data),
                                                                    bytes);
        return 0;
    }
    struct Destroy {
        void operator()(notice_probe_bpf *p) const { notice_probe_bpf::destroy(p); }
        void operator()(ring_buffer *r) const { ring_buffer__free(r); }
    };

protected:
    std::unique_ptr<notice_probe_bpf, Destroy> probe_;
    Fd ring_;
    std::unique_ptr<ring_buffer, Destroy> reader_;
    std::vector<std::string> read_;
};

dp_upcall tell() {
    dp_upcall up{};
    up.magic = DP_UPCALL_MAGIC;
    up.kind = DP_UPCALL_TELL;
    up.header_bytes = sizeof up;
    up.ticket = 4711;
    return up;
}

TEST_F(Notices, AreAsLongAsTheirHeaderSays) {
    ASSERT_EQ(send(tell()), 1u);
    ASSERT_EQ(read().size(), 1u);
    dp_upcall seen{};
    ASSERT_EQ(read_[0].size(), sizeof seen);
    std::memcpy(&seen, read_[0].data(), sizeof seen);
    EXPECT_EQ(seen.ticket, 4711u);
    EXPECT_EQ(seen.header_bytes, sizeof seen);
    EXPECT_EQ(seen.flags & DP_UPCALL_HAS_PATH, 0);
    EXPECT_EQ(count(DP_REASON_UPCALL), 1u);
}

TEST_F(Notices, BringThePathOfTheirProgram) {
    dp_exe exe{};
    std::strcpy(exe.path, "/usr/bin/server");
    exe.length = 15;
    set(probe_->maps.exes, dp_exe_key{.inode = 9, .dev = 8, .pad = 0}, exe);
    dp_upcall up = tell();
    up.process.exe_inode = 9;
    up.process.exe_dev = 8;
    ASSERT_EQ(send(up), 1u);
    ASSERT_EQ(read().size(), 1u);
    dp_upcall seen{};
    ASSERT_EQ(read_[0].size(), std::size_t{DP_NOTICE_BYTES});
    std::memcpy(&seen, read_[0].data(), sizeof seen);
    EXPECT_EQ(seen.header_bytes, std::size_t{DP_NOTICE_BYTES});
    EXPECT_EQ(seen.flags & DP_UPCALL_HAS_PATH, DP_UPCALL_HAS_PATH);
    EXPECT_STREQ(read_[0].data() + sizeof seen, "/usr/bin/server");
}

TEST_F(Notices, OfAnEndedHostAreNotSent) {
    set(probe_->maps.hosts, host, known(0));
    EXPECT_EQ(send(tell()), 0u);
    EXPECT_TRUE(read().empty());
    EXPECT_EQ(count(DP_REASON_NOTICES_FULL), 0u);
}

TEST_F(Notices, AFullRingIsToldAndCountedExceptForEnds) {
    std::uint32_t sent = 0;
    while (send(tell()) == 1)
        ++sent;
    EXPECT_EQ(count(DP_REASON_NOTICES_FULL), 1u);
    EXPECT_EQ(sent, DP_NOTICES_BYTES / (sizeof(dp_upcall) + 8)) << "8 bytes of header each";
    dp_upcall end = tell();
    end.kind = DP_UPCALL_END;
    EXPECT_EQ(send(end), 0u);
    EXPECT_EQ(count(DP_REASON_NOTICES_FULL), 1u);
    EXPECT_EQ(read().size(), sent);
    EXPECT_EQ(send(end), 1u);
}

} // namespace
