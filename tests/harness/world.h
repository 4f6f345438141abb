// SPDX-License-Identifier: Apache-2.0
// A small machine for random tests: its interfaces, executables, users and cgroups, and traffic in
// it, seen both as the oracle's packet and as the data path's key. Few values, so that conditions
// and packets meet.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "compiler/environment.h"
#include "policy/arbitrate.h"
#include "policy/field.h"
#include "shared/policy.h"

namespace sluice::harness {

class Dice {
public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t below(std::uint64_t n) { return engine_() % n; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    template <typename T>
    const T &of(const std::vector<T> &values) {
        return values[below(values.size())];
    }

private:
    std::mt19937_64 engine_;
};

struct Executable {
    std::string path;
    compiler::FileId id;
};
const std::vector<Executable> &executables();
const compiler::Environment &environment(); // of the machine

// Values that traffic shows in a slot, as the key has them; IPv4 addresses as 32-bit numbers.
const std::vector<std::uint64_t> &numbers_of(dp_slot slot);
const std::vector<policy::Bytes16> &addresses6();
std::string utf16(const std::string &ascii); // with a terminating NUL, as an application id

struct Sample {
    policy::Packet packet;
    dp_key key{};
};
// `all_known`: every slot has a value that is known.
Sample random_sample(std::uint16_t layer, Dice &dice, bool all_known = false);

// All layers of this release that policies may have filters at.
std::vector<std::uint16_t> all_layers();

} // namespace sluice::harness
