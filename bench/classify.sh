#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a search of the policy costs. Called by bench/run with: build tree, COUNT (0: default), here the largest number
# of rules (100,000). Prints one JSON row a figure.
#
#   case                                      metric
#   kernel-hash/hot                           program_ns: one look-up of a flow's key in a hash map of the kernel,
#                                             the machine's unit
#   sluice/SET/RULES[/x4]/first|hit|miss      program_ns: dp_next_match under BPF_PROG_TEST_RUN less an empty program;
#                                             x4: of four sublayers, the first match of each
#   sluice/SET/RULES[/x4]                     layout_ms, image_mib: to build the image, and its size
#
# SET: acl, acl6 (IPv6), firewall, chain. Headers of `first` come from the first hundredth of the rules, of `hit` from
# all, of `miss` from networks that no rule names. 2,000 of each trace are compared with a search from rule to rule.
set -euo pipefail
tree=$1 count=$2
"$tree/bench/bench_classify" "$count"
