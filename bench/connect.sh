#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a connect() costs. Called by bench/run with: build tree, COUNT (0: default). Prints one JSON row a figure.
#
#   case              what stands between connect() and the server
#   plain             nothing
#   loaded            Sluice on the NIC, no filter for it
#   filter_permit     a filter that permits it, decided in the kernel
#   held_permitted    a callout that pends it, and completes it with permit from another thread at once
#   nfqueue_accept    iptables -j NFQUEUE for the SYN, and a program that accepts everything
#
# Two namespaces and a veth pair. COUNT connections a case (2000), each case three times in turn; the rows are medians.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
[ "$count" -gt 0 ] || count=2000
mkdir -p "$tree/bench"
c++ -O2 -std=c++20 -o "$tree/bench/connect" bench/connect.cpp
cc -O2 -o "$tree/bench/nfqueue" bench/nfqueue.c -lnetfilter_queue

. bench/rig

start server "${server[@]}" "$tree/bench/connect" --serve 7777
within "the server answers" "${client[@]}" "$tree/bench/connect" x x 10.78.0.2 7777 1

iptables=$(queueing_iptables || true)
measure() { "${client[@]}" "$tree/bench/connect" connect "$1" 10.78.0.2 7777 "$count" >>"$run/rows"; }

start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status
SLUICE_ALLOW_AFTER_MS=0 start host sluice-host "$tree/plugins/allow_after.so"
within "its callout is there" registered allow_after_v4

for _ in 1 2 3; do
    measure plain
    if [ -n "$iptables" ]; then
        start nfqueue "${client[@]}" "$tree/bench/nfqueue" 1
        queue=${processes[-1]}
        within "the queue's program is ready" grep -q ready "$run/nfqueue.log"
        "${client[@]}" "$iptables" -I OUTPUT -p tcp --syn --dport 7777 -j NFQUEUE --queue-num 1
        measure nfqueue_accept
        "${client[@]}" "$iptables" -D OUTPUT -p tcp --syn --dport 7777 -j NFQUEUE --queue-num 1
        kill "$queue"
        wait "$queue" 2>/dev/null || true
        : >"$run/nfqueue.log"
    fi
    "${client[@]}" sluice nic load nic0 >/dev/null
    measure loaded
    filter=$(sluice filter add --layer ale_auth_connect_v4 --action permit --remote-port 7777 --name bench)
    measure filter_permit
    sluice filter delete "${filter##* }" >/dev/null
    filter=$(sluice filter add --layer ale_auth_connect_v4 --action callout --callout allow_after_v4 --remote-port 7777 --name bench)
    measure held_permitted
    sluice filter delete "${filter##* }" >/dev/null
    "${client[@]}" sluice nic unload nic0 >/dev/null
done
[ -n "$iptables" ] || echo "connect: skipped nfqueue_accept: this kernel has no NFQUEUE target" >&2

medians
