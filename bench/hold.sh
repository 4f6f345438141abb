#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What it costs that somebody in user space is asked. Called by bench/run with: build tree, COUNT (0: default). Prints
# one JSON row a figure.
#
#   case            connect()                                       inbound packets
#   direct          no policy                                       no policy
#   sluice-poll     pended by a plugin and permitted at once;       let pass by the plugin's INBOUND_IPPACKET callout
#                   it sleeps in poll() between
#   sluice-busy     the same, but it spins for up to 1 ms           the same
#   nfqueue         iptables -j NFQUEUE, a program that accepts     the same in INPUT
#   nfqueue-batch                                                   with one verdict for all that wait
#
# Two namespaces and a veth pair. COUNT connections a case (2000), two seconds of packets; three times in turn, the rows
# are medians.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
[ "$count" -gt 0 ] || count=2000
mkdir -p "$tree/bench"
c++ -O2 -std=c++20 -o "$tree/bench/connect" bench/connect.cpp
c++ -O2 -std=c++20 -o "$tree/bench/packets" bench/packets.cpp
cc -O2 -o "$tree/bench/nfqueue" bench/nfqueue.c -lnetfilter_queue

. bench/rig

start server "${server[@]}" "$tree/bench/connect" --serve 7777
within "the server answers" "${client[@]}" "$tree/bench/connect" x x 10.78.0.2 7777 1
start flood "${server[@]}" "$tree/bench/packets" flood 10.78.0.1 7778
flood=${processes[-1]}
kill -STOP "$flood"
iptables=$(queueing_iptables || true)

connects() { "${client[@]}" "$tree/bench/connect" hold "$1" 10.78.0.2 7777 "$count" >>"$run/rows"; }
packets() {
    kill -CONT "$flood"
    "${client[@]}" "$tree/bench/packets" count hold "$1" 7778 2 >>"$run/rows"
    kill -STOP "$flood"
}
ended() { # process
    kill "$1"
    wait "$1" 2>/dev/null || true
}

nfqueue() { # case, rule for the queue, what is measured, options of the program...
    local name=$1 measure=$3 queue
    read -ra rule <<<"$2"
    shift 3
    : >"$run/nfqueue.log"
    start nfqueue "${client[@]}" "$tree/bench/nfqueue" 1 "$@"
    queue=${processes[-1]}
    within "the queue's program is ready" grep -q ready "$run/nfqueue.log"
    "${client[@]}" "$iptables" -I "${rule[@]}" -j NFQUEUE --queue-num 1
    "$measure" "$name"
    "${client[@]}" "$iptables" -D "${rule[@]}" -j NFQUEUE --queue-num 1
    ended "$queue"
}

asked() { # layer, callout, port option, what is measured, case
    local filter
    filter=$(sluice filter add --layer "$1" --action callout --callout "$2" "$3" "$4" --name bench)
    "$5" "$6"
    sluice filter delete "${filter##* }" >/dev/null
}

with_sluice() { # case, microseconds to spin
    local host
    SLUICE_BUSY_POLL_US=$2 start host sluice-host "$tree/plugins/hold_at_once.so"
    host=${processes[-1]}
    within "its callouts are there" registered pass_packets_v4
    asked ale_auth_connect_v4 hold_at_once_v4 --remote-port 7777 connects "$1"
    asked inbound_ippacket_v4 pass_packets_v4 --local-port 7778 packets "$1"
    ended "$host"
    within "it is gone" sh -c '! sluice host list | grep -q hold_at_once'
}

start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status

for _ in 1 2 3; do
    connects direct
    packets direct
    if [ -n "$iptables" ]; then
        nfqueue nfqueue "OUTPUT -p tcp --syn --dport 7777" connects
        nfqueue nfqueue "INPUT -p udp --dport 7778" packets
        nfqueue nfqueue-batch "INPUT -p udp --dport 7778" packets 64
    fi
    "${client[@]}" sluice nic load nic0 >/dev/null
    with_sluice sluice-poll 0
    with_sluice sluice-busy 1000
    "${client[@]}" sluice nic unload nic0 >/dev/null
done
[ -n "$iptables" ] || echo "hold: skipped nfqueue: this kernel has no NFQUEUE target" >&2

medians
