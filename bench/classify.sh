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
#   sluice|nft-set|nft-linear|iptables
#      /nets/RULES/first|hit|miss             cpu_ns_per_packet: sent over a veth pair and dropped, all of it: sending,
#                                             the pair, the judgement
#   nothing/first|hit|miss                    cpu_ns_per_packet: to another link address, so that IP drops it first of all
#
# SET: acl, acl6 (IPv6), firewall, chain. Headers of `first` come from the first hundredth of the rules, of `hit` from
# all, of `miss` from networks that no rule names. 2,000 of each trace are compared with a search from rule to rule.
# `nets` are rules that do not overlap (a network, a host, TCP, a port): nft's sets take no others. What matches no rule is
# dropped too, by the chain's policy or one filter more. Three turns, medians. Linear chains go to the end as well: each
# measurement takes 0.3 s, however few packets that are. Up to 100,000 rules that is six minutes in all.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
"$tree/bench/bench_classify" "$count"
. bench/rig
. bench/delivered
