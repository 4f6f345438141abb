// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <map>

#include "cli/commands.h"

using namespace sluice::cli;

namespace {

void add_global_options(CLI::App &app, Context &context) {
    app.add_flag("-j,--json", context.json, "print JSON");
    app.add_option("--socket", context.socket, "control socket of sluiced")
        ->envname("SLUICE_SOCKET")
        ->capture_default_str();
    app.add_flag("-q,--quiet", context.quiet, "print only what was asked for");
    app.add_flag("-v,--verbose", context.verbose, "say more");
}

void add_commands(CLI::App &app, Context &context) {
    std::map<std::string, CLI::App *> objects;
    for (const auto &command : all_commands()) {
        CLI::App *&object = objects[command.object];
        if (object == nullptr) {
            object =
                app.add_subcommand(command.object, command.action == nullptr ? command.help : "");
            object->fallthrough(); // -j and its like may stand anywhere
            if (command.action != nullptr) object->require_subcommand(1);
        }
        CLI::App *sub = object;
        if (command.action != nullptr) {
            sub = object->add_subcommand(command.action, command.help);
            sub->fallthrough();
        }
        // Each set-up also says what will run: it is done for every command (help shows the
        // options), and the one that was named puts its own in place.
        command.set_up(*sub, context);
        sub->parse_complete_callback([&context, run = context.run] { context.run = run; });
    }
}

int fail(const Failure &failure) {
    if (failure.whole)
        std::fputs(failure.text.c_str(), stderr);
    else
        std::fprintf(stderr, "sluice: %s\n", failure.text.c_str());
    return failure.exit_code;
}

} // namespace

int main(int argc, char **argv) {
    Context context;
    CLI::App app("sluice: shows and changes what sluiced does", "sluice");
    app.require_subcommand(1);
    app.set_version_flag("--version", SLUICE_VERSION);
    add_global_options(app, context);
    auto words = expand(std::vector<std::string>(argv + 1, argv + argc), vocabulary());
    if (!words) return fail({exit_usage, words.error().text()});
    add_commands(app, context);
    try {
        std::vector<std::string> reversed(words->rbegin(), words->rend()); // as CLI11 takes them
        app.parse(reversed);
        context.run(context);
    } catch (const CLI::CallForHelp &e) {
        return app.exit(e);
    } catch (const CLI::CallForVersion &e) {
        return app.exit(e);
    } catch (const CLI::ParseError &e) {
        return fail({exit_usage, e.what()});
    } catch (const Failure &failure) {
        return fail(failure);
    }
    return exit_done;
}
