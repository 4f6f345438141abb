// SPDX-License-Identifier: Apache-2.0
// What `sluiced --boot` says of itself is what `sluice boot` shows.
#include "boot/report.h"

#include <cerrno>
#include <gtest/gtest.h>

#include "cli/boot.h"
#include "cli/daemon_client.h"

namespace sluice::boot {
namespace {

datapath::NicInfo nic(const char *name, const char *mode) {
    datapath::NicInfo info;
    info.name = name;
    info.mode = mode;
    return info;
}

TEST(BootReport, SaysWhatHoldsAndWhere) {
    Outcome outcome;
    outcome.filters = 2;
    outcome.loaded = {nic("eth0", "native"), nic("eth1", "generic")};
    outcome.lost = {{"eth2", "find interface 'eth2': No such device"}};
    outcome.notes = {"generic mode on eth1: Operation not\nsupported\tthere"};
    const auto read = cli::read_boot_report(report(outcome));
    EXPECT_EQ(read.error, "");
    EXPECT_EQ(cli::summary(read), "2 boot-time filters hold on eth0 (native), eth1 (generic)");
    EXPECT_EQ(cli::losses(read), "boot-time filters do not hold on eth2: find interface 'eth2': "
                                 "No such device");
    EXPECT_EQ(read.notes,
              std::vector<std::string>{"generic mode on eth1: Operation not supported there"});
    EXPECT_EQ(cli::to_json(read).dump(),
              R"({"schema":1,"boot":{"filters":2,"nics":[{"name":"eth0","mode":"native"},)"
              R"({"name":"eth1","mode":"generic"}],"lost":[{"name":"eth2",)"
              R"("why":"find interface 'eth2': No such device"}]}})");
}

TEST(BootReport, SaysThatThereIsNothingToDo) {
    const auto read = cli::read_boot_report(report(Outcome{}));
    EXPECT_EQ(read.error, "");
    EXPECT_EQ(cli::summary(read), "there are no boot-time filters");
}

TEST(BootReport, CarriesErrorsWithTheirExitCode) {
    auto read = cli::read_boot_report(report(Error(EBADMSG, "policy store", "/x")));
    EXPECT_EQ(read.error, "policy store '/x': Bad message");
    EXPECT_EQ(read.exit_code, cli::exit_refused);
    read = cli::read_boot_report(report(Error(EPERM, "pin: needs root", "/y")));
    EXPECT_EQ(read.exit_code, cli::exit_permission);
}

TEST(BootReport, AReportThatWasCutShortIsAnError) {
    Outcome outcome;
    outcome.filters = 1;
    outcome.loaded = {nic("eth0", "native")};
    const std::string whole = report(outcome);
    for (std::size_t n = 0; n <= whole.find("filters"); ++n)
        EXPECT_NE(cli::read_boot_report(whole.substr(0, n)).error, "") << n;
}

} // namespace
} // namespace sluice::boot
