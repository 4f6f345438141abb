#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a packet of an established flow costs. Called by bench/run with: build tree, COUNT (not used). Prints one JSON row
# a figure.
#
#   case                            program_ns, under BPF_PROG_TEST_RUN
#   parse/FLOWS/FILTERS             to read the headers of a TCP segment
#   sluice/FLOWS/FILTERS            more than that: to find it in the flow cache, count it, and let it pass
#   kernel-hash/FLOWS/FILTERS       more than parse: one look-up in a hash map of the kernel, and counted
#
# FLOWS: hot (one), 64k-flows (65,536, one after the other); FILTERS: how many the policy has. Fifteen turns, medians.
set -euo pipefail
cd "$(dirname "$0")/.."
"$1/bench/bench_established"
