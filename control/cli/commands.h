// SPDX-License-Identifier: Apache-2.0
// The commands: one row each in a table; objects, help, completion of words and options come from
// it.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "cli/daemon_client.h"
#include "cli/words.h"

namespace sluice::cli {

struct Context {
    std::string socket = protocol::default_socket;
    bool json = false, quiet = false, verbose = false;
    std::function<void(Context &)> run; // set by the command that was named
};

struct Command {
    const char *object;
    const char *action; // null: the object is the command
    const char *help;
    void (*set_up)(CLI::App &app, Context &context); // options and context.run
};

inline void put(const std::string &text) {
    std::fputs(text.c_str(), stdout);
}

template <void (*Run)(Context &)>
void no_options(CLI::App &, Context &context) {
    context.run = Run;
}

std::vector<Command> query_commands();
std::vector<Command> change_commands();
std::vector<Command> hold_commands();
std::vector<Command> redirect_commands();
std::vector<Command> boot_commands();
std::vector<Command> object_commands();
std::vector<Command> policy_commands();
std::vector<Command> event_commands();
std::vector<Command> explain_commands();
std::vector<Command> all_commands();
Vocabulary vocabulary();

} // namespace sluice::cli
