// SPDX-License-Identifier: Apache-2.0
#include "interleave.h"

#include <array>
#include <memory>
#include <string_view>
#include <ucontext.h>
#include <unordered_set>

namespace sluice::interleave {
namespace {

constexpr std::size_t stack_bytes = 32 * 1024;

struct Piece {
    ucontext_t context{};
    std::unique_ptr<std::array<char, stack_bytes>> stack =
        std::make_unique<std::array<char, stack_bytes>>();
    const std::function<void()> *work = nullptr;
    bool done = false;
};

struct Run {
    ucontext_t home{};
    std::vector<Piece> pieces;
    std::size_t at = 0;
    bool inside = false;
} run;

void begin_piece() {
    Piece &mine = run.pieces[run.at];
    (*mine.work)();
    mine.done = true;
    swapcontext(&mine.context, &run.home); // not come back to
}

void prepare(Piece &piece, const std::function<void()> &work) {
    piece.work = &work;
    piece.done = false;
    piece.stack->fill(0); // what is left there would tell equal states apart
    piece.context = {};
    getcontext(&piece.context);
    piece.context.uc_stack.ss_sp = piece.stack->data();
    piece.context.uc_stack.ss_size = stack_bytes;
    piece.context.uc_link = nullptr;
    makecontext(&piece.context, begin_piece, 0);
}

// A place where more than one piece could go on: which of them did, and how many there are.
struct Choice {
    std::size_t taken = 0, of = 0;
};

std::size_t mix(std::size_t seed, const void *data, std::size_t bytes) {
    const auto one = std::hash<std::string_view>{}({static_cast<const char *>(data), bytes});
    return (seed ^ one) * 0x9e3779b97f4a7c15 + (seed >> 29);
}

// What decides all that can still come: the used part of each stack, and the registers.
std::size_t state_of(std::span<const std::byte> shared) {
    std::size_t seed = mix(0, shared.data(), shared.size());
    for (const Piece &piece : run.pieces) {
        seed = mix(seed, &piece.done, sizeof piece.done);
        if (piece.done) continue;
        const auto &registers = piece.context.uc_mcontext.gregs;
        const auto *top = piece.stack->data() + stack_bytes;
        const auto *at = reinterpret_cast<const char *>(registers[REG_RSP]);
        seed = mix(seed, at, static_cast<std::size_t>(top - at));
        for (const int name : {REG_RIP, REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15})
            seed = mix(seed, &registers[name], sizeof registers[name]);
    }
    return seed;
}

std::vector<std::size_t> able() {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < run.pieces.size(); ++i)
        if (!run.pieces[i].done) out.push_back(i);
    return out;
}

// False: it has come to a state that was there before.
bool run_once(std::vector<Choice> &choices, std::span<const std::byte> shared,
              std::unordered_set<std::size_t> &met) {
    std::size_t depth = 0;
    for (;;) {
        const auto options = able();
        if (options.empty()) return true;
        std::size_t taken = 0;
        if (options.size() > 1) {
            if (depth == choices.size()) {
                if (!met.insert(state_of(shared)).second) return false;
                choices.push_back({0, options.size()});
            }
            taken = choices[depth++].taken;
        }
        run.at = options[taken];
        swapcontext(&run.home, &run.pieces[run.at].context);
    }
}

// The next order that was not tried. False: there is none.
bool advance(std::vector<Choice> &choices) {
    while (!choices.empty()) {
        if (++choices.back().taken < choices.back().of) return true;
        choices.pop_back();
    }
    return false;
}

} // namespace

void step() {
    if (run.inside) swapcontext(&run.pieces[run.at].context, &run.home);
}

Explored explore(std::span<const std::byte> shared,
                 const std::vector<std::function<void()>> &pieces,
                 const std::function<void()> &begin, const std::function<void()> &check) {
    Explored explored;
    std::vector<Choice> choices;
    std::unordered_set<std::size_t> met;
    run.pieces = std::vector<Piece>(pieces.size());
    do {
        begin();
        for (std::size_t i = 0; i < pieces.size(); ++i)
            prepare(run.pieces[i], pieces[i]);
        run.inside = true;
        const bool ended = run_once(choices, shared, met);
        run.inside = false;
        if (!ended) continue;
        check();
        ++explored.ends;
    } while (advance(choices));
    explored.states = met.size();
    return explored;
}

} // namespace sluice::interleave
