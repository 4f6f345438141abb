// SPDX-License-Identifier: Apache-2.0
// `sluice boot`: the boot-time filters of the store hold before sluiced runs. The work is that of
// `sluiced --boot` (the command is linked without the data plane); here its report is read.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/boot.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "core/fd.h"

namespace sluice::cli {

namespace {

struct Given {
    std::vector<std::string> nics;
    std::string database, state, pin_root, program;
};

std::string program_of(const Given &given) {
    if (!given.program.empty()) return given.program;
    std::error_code error;
    const auto own = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    // Installed: bin and sbin are neighbours. In a build tree each program has its folder.
    for (const char *place : {"sluiced", "../sbin/sluiced", "../daemon/sluiced"})
        if (std::filesystem::exists(own / place, error)) return (own / place).lexically_normal();
    return "sluiced";
}

std::vector<std::string> words_of(const Given &given, const Context &context) {
    std::vector<std::string> words{program_of(given), "--boot"};
    const auto add = [&words](const char *option, const std::string &value) {
        if (value.empty()) return;
        words.emplace_back(option);
        words.push_back(value);
    };
    // A socket elsewhere is another instance, whose files are beside it.
    if (context.socket != protocol::default_socket) add("--socket", context.socket);
    add("--database", given.database);
    add("--state", given.state);
    add("--pin-root", given.pin_root);
    for (const auto &nic : given.nics)
        add("--nic", nic);
    return words;
}

[[noreturn]] void become(std::vector<std::string> words, int report) {
    std::vector<char *> argv;
    for (auto &word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    ::dup2(report, STDOUT_FILENO);
    ::execvp(argv[0], argv.data());
    std::fprintf(stderr, "sluice: start '%s': %s\n", argv[0], std::strerror(errno));
    ::_exit(exit_refused);
}

// What the program printed; it has ended.
std::string run(const std::vector<std::string> &words) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw Failure{exit_refused, std::string("make a pipe: ") + std::strerror(errno)};
    const Fd from(ends[0]);
    Fd to(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) throw Failure{exit_refused, std::string("fork: ") + std::strerror(errno)};
    if (pid == 0) become(words, to.get());
    to.reset();
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t n = ::read(from.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(buffer, static_cast<std::size_t>(n));
    }
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return text;
}

void boot(CLI::App &app, Context &context) {
    auto given = std::make_shared<Given>();
    app.add_option("--nic", given->nics, "interfaces to load (those that sluiced had loaded)");
    app.add_option("--database", given->database, "persistent objects (/var/lib/sluice/policy.db)");
    app.add_option("--state", given->state, "state file of sluiced (/run/sluice/state)");
    app.add_option("--pin-root", given->pin_root, "where pins are (/sys/fs/bpf/sluice)");
    app.add_option("--sluiced", given->program, "the program that does it (beside this one)");
    context.run = [given](Context &c) {
        const auto report = read_boot_report(run(words_of(*given, c)));
        if (c.json)
            std::fputs((print(to_json(report)) + "\n").c_str(), stdout);
        else if (!c.quiet && report.error.empty())
            std::fputs((summary(report) + "\n").c_str(), stdout);
        if (!c.quiet)
            for (const auto &note : report.notes)
                std::fprintf(stderr, "sluice: %s\n", note.c_str());
        if (!report.error.empty()) throw Failure{report.exit_code, report.error};
        if (!report.lost.empty()) throw Failure{exit_refused, losses(report)};
    };
}

} // namespace

std::vector<Command> boot_commands() {
    return {{"boot", nullptr, "let the boot-time filters hold until sluiced runs", boot}};
}

} // namespace sluice::cli
