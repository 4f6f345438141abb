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

tag=sluice-bench-$$
run=/run/$tag pins=/sys/fs/bpf/$tag
client=(nsenter "--net=/run/netns/$tag-client")
server=(nsenter "--net=/run/netns/$tag-server")
export SLUICE_SOCKET=$run/control.sock PATH=$tree/control/cli:$tree/control/daemon:$tree/control/host:/usr/sbin:/sbin:$PATH
processes=()
start() {
    local log=$run/$1.log
    shift
    "$@" >>"$log" 2>&1 &
    processes+=($!)
}
within() { # what command...
    local what=$1
    shift
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    echo "connect: not in time: $what" >&2
    cat "$run"/*.log >&2
    exit 1
}
clean_up() {
    local status=$?
    trap - EXIT INT TERM
    "${client[@]}" sluice nic unload nic0 >/dev/null 2>&1
    for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${processes[@]}"; do wait "$pid" 2>/dev/null; done
    ip netns delete "$tag-client" 2>/dev/null
    ip netns delete "$tag-server" 2>/dev/null
    rm -rf "$run" "$pins"
    exit $status
}
trap 'set +e; clean_up' EXIT
trap 'exit 130' INT TERM

mkdir -p "$run"
chmod 755 "$run"
ip netns add "$tag-client"
ip netns add "$tag-server"
ip -n "$tag-client" link add nic0 type veth peer name peer0 netns "$tag-server"
for end in "client nic0 1" "server peer0 2"; do
    read -r side device host <<<"$end"
    ip -n "$tag-$side" link set lo up
    ip -n "$tag-$side" link set "$device" up
    ip -n "$tag-$side" addr add "10.78.0.$host/24" dev "$device"
done
start server "${server[@]}" "$tree/bench/connect" --serve 7777
within "the server answers" "${client[@]}" "$tree/bench/connect" x x 10.78.0.2 7777 1

iptables=
for candidate in iptables iptables-legacy; do
    if "${client[@]}" "$candidate" -I OUTPUT -p tcp --syn --dport 7777 -j NFQUEUE --queue-num 1 2>/dev/null; then
        iptables=$candidate
        "${client[@]}" "$iptables" -D OUTPUT -p tcp --syn --dport 7777 -j NFQUEUE --queue-num 1
        break
    fi
done

measure() { "${client[@]}" "$tree/bench/connect" connect "$1" 10.78.0.2 7777 "$count" >>"$run/rows"; }

start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --pin-root "$pins"
within "sluiced answers" sluice status
SLUICE_ALLOW_AFTER_MS=0 start host sluice-host "$tree/plugins/allow_after.so"
within "its callout is there" sh -c 'sluice callout list | grep -q allow_after_v4'

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

python3 - "$run/rows" <<'P'
import json, statistics, sys
rows = {}
for line in open(sys.argv[1]):
    row = json.loads(line)
    rows.setdefault((row["bench"], row["case"], row["metric"], row["unit"]), []).append(row["value"])
for (bench, case, metric, unit), values in rows.items():
    print(json.dumps({"bench": bench, "case": case, "metric": metric, "value": statistics.median(values), "unit": unit}))
P
