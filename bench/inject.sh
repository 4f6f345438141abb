#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What it costs to take every packet out and to put a clone of it back. Called by bench/run with: build tree, SECONDS
# (0: two). Prints one JSON row a figure.
#
#   case              small datagrams
#   direct-*          nobody looks at them
#   sluice-inbound    a plugin clones them at INBOUND_IPPACKET, blocks them and injects the clones into the receive path
#   sluice-outbound   the same at OUTBOUND_TRANSPORT, into the send path
#   sluice-forward    the same at IPFORWARD, into the forward path
#   nfqueue-*         iptables -j NFQUEUE in INPUT, OUTPUT, FORWARD; copied whole, accepted 32 at a time
#   afxdp-forward     a program with raw AF_XDP sockets moves them between the same two interfaces
#
#   metric             means
#   packets_per_s      that arrive while more are sent than can
#   cpu_us_per_packet  that all processors together were not to be had for others, for each that arrived of RATE a
#                      second; sender and receiver included: the part of a case is the difference from direct
#
# Three namespaces: server 10.78.0.2 - nic0 client nic1 - guest 10.79.0.2. Three times in turn, the rows are medians.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 seconds=$2
[ "$seconds" -gt 0 ] || seconds=2
rate=20000
mkdir -p "$tree/bench"
c++ -O2 -std=c++20 -o "$tree/bench/packets" bench/packets.cpp
cc -O2 -o "$tree/bench/nfqueue" bench/nfqueue.c -lnetfilter_queue
# shellcheck disable=SC2046
c++ -O2 -std=c++20 -o "$tree/bench/afxdp_forward" bench/afxdp_forward.cpp $(pkg-config --cflags --libs libxdp libbpf)

. bench/rig
iptables=$(queueing_iptables || true)

guest=(nsenter "--net=/run/netns/$tag-guest")
ip netns add "$tag-guest"
namespaces+=("$tag-guest")
ip -n "$tag-client" link add nic1 type veth peer name peer1 netns "$tag-guest"
ip -n "$tag-client" link set nic1 up
ip -n "$tag-client" addr add 10.79.0.1/24 dev nic1
ip -n "$tag-guest" link set lo up
ip -n "$tag-guest" link set peer1 up
ip -n "$tag-guest" addr add 10.79.0.2/24 dev peer1
ip -n "$tag-guest" route add default via 10.79.0.1
ip -n "$tag-server" route add 10.79.0.0/24 via 10.78.0.1
"${client[@]}" sysctl -qw net.ipv4.ip_forward=1
address() { ip -n "$tag-$1" -j link show "$2" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])'; }
"${server[@]}" ping -qc1 10.79.0.2 >/dev/null

ended() { # process
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
# direction, case: both figures
measure() {
    local from to at rates=("" "$rate") metrics=(count cost) i sender
    local more=("" "$rounds")
    case $1 in
    inbound) from=server to=10.78.0.1 at=client ;;
    outbound) from=client to=10.78.0.2 at=server ;;
    forward) from=server to=10.79.0.2 at=guest ;;
    esac
    local -n sends=$from counts=$at
    for i in 0 1; do
        # shellcheck disable=SC2086
        start flood "${sends[@]}" "$tree/bench/packets" flood "$to" 7778 ${rates[i]}
        sender=${processes[-1]}
        sleep 0.3
        # shellcheck disable=SC2086
        "${counts[@]}" "$tree/bench/packets" "${metrics[i]}" inject "$2" 7778 "$seconds" ${more[i]} >>"$run/rows" ||
            echo "inject: nothing arrived: $2" >&2
        ended "$sender"
        sleep 0.3
    done
}
nfqueue() { # direction, chain
    local queue
    : >"$run/nfqueue.log"
    start nfqueue "${client[@]}" "$tree/bench/nfqueue" 1 32 65535
    queue=${processes[-1]}
    within "the queue's program is ready" grep -q ready "$run/nfqueue.log"
    "${client[@]}" "$iptables" -I "$2" -p udp --dport 7778 -j NFQUEUE --queue-num 1
    measure "$1" "nfqueue-$1"
    "${client[@]}" "$iptables" -D "$2" -p udp --dport 7778 -j NFQUEUE --queue-num 1
    ended "$queue"
}
afxdp() {
    : >"$run/afxdp.log"
    start afxdp "${client[@]}" "$tree/bench/afxdp_forward" "$tree/bpf/port_far.bpf.o" nic0 nic1 \
        "$(address client nic1)" "$(address guest peer1)"
    local mover=${processes[-1]}
    within "the AF_XDP program is ready" grep -q ready "$run/afxdp.log"
    # It completes no checksums; Sluice does.
    "${server[@]}" ethtool -K peer0 tx off >/dev/null
    measure forward afxdp-forward
    "${server[@]}" ethtool -K peer0 tx on >/dev/null
    ended "$mover"
    "${client[@]}" ip link set nic0 xdpdrv off
}
sluice_case() { # direction, layer, callout, option
    local filter
    filter=$(sluice filter add --layer "$2" --action callout --callout "$3" $4 --name bench)
    measure "$1" "sluice-$1"
    sluice filter delete "${filter##* }" >/dev/null
}

rounds=$("$tree/bench/packets" spare 2)
start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status

for _ in 1 2 3; do
    for direction in inbound outbound forward; do measure $direction direct-$direction; done
    if [ -n "$iptables" ]; then
        nfqueue inbound INPUT
        nfqueue outbound OUTPUT
        nfqueue forward FORWARD
    fi
    afxdp
    "${client[@]}" sluice nic load nic0 >/dev/null
    "${client[@]}" sluice nic load nic1 >/dev/null
    start host sluice-host "$tree/plugins/inject_all.so"
    host=${processes[-1]}
    within "its callouts are there" registered inject_forward
    sluice_case inbound inbound_ippacket_v4 inject_inbound "--local-port 7778"
    sluice_case outbound outbound_transport_v4 inject_outbound "--remote-port 7778"
    sluice_case forward ipforward_v4 inject_forward ""
    ended "$host"
    "${client[@]}" sluice nic unload nic1 >/dev/null
    "${client[@]}" sluice nic unload nic0 >/dev/null
done
[ -n "$iptables" ] || echo "inject: skipped nfqueue: this kernel has no NFQUEUE target" >&2

medians
