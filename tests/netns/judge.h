// SPDX-License-Identifier: Apache-2.0
// What a filter's raw context tells judge.cpp to answer.
#pragma once

#include <cstdint>

constexpr std::uint64_t judge_permits = 1, judge_blocks = 2, judge_continues = 3, judge_pends = 4;
constexpr std::uint64_t judge_answer_mask = 0xff;
constexpr std::uint64_t judge_hard = 0x100; // and clears the right to change it
constexpr int judge_place_shift = 16;       // above: the filter's place, for the log
