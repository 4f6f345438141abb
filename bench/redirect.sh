#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What it costs to send a connection to a local proxy. Called by bench/run with: build tree, COUNT (0: default). Prints
# one JSON row a figure.
#
#   case               the client's connection to 10.78.0.2:7777
#   direct             made to the proxy's own address, by nobody's help
#   iptables-redirect  iptables -t nat OUTPUT -j REDIRECT
#   tproxy             mark in mangle OUTPUT, policy route to lo, TPROXY in PREROUTING
#   sluice-kernel      a filter that names the target: connect() itself goes there
#   sluice-held        a callout that redirects: the first packet waits for it, the others are translated
#   sluice-learned     a callout whose decision was learned
#
# The proxy is a program that accepts and reads. COUNT connections a case (2000), then 2 GiB through one connection; three times in
# turn, the rows are medians. What a case adds is its figure less direct's.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
[ "$count" -gt 0 ] || count=2000
mkdir -p "$tree/bench"
c++ -O2 -std=c++20 -o "$tree/bench/connect" bench/connect.cpp
c++ -O2 -std=c++20 -o "$tree/bench/bulk" bench/bulk.cpp

. bench/rig

# The proxy: where connections are redirected to. It takes what TPROXY delivers too.
start proxy "${client[@]}" "$tree/bench/bulk" --sink 7780
within "the proxy answers" "${client[@]}" "$tree/bench/connect" x x 127.0.0.1 7780 1
"${client[@]}" ping -c1 -W2 10.78.0.2 >/dev/null

measured() { # case, address, port
    "${client[@]}" "$tree/bench/connect" redirect "$1" "$2" "$3" "$count" >>"$run/rows"
    "${client[@]}" "$tree/bench/bulk" redirect "$1" "$2" "$3" 2 >>"$run/rows"
}

iptables=''
for candidate in iptables iptables-legacy; do
    "${client[@]}" "$candidate" -t nat -L >/dev/null 2>&1 && { iptables=$candidate; break; }
done
rules() { # -A or -D, table, rule...
    "${client[@]}" "$iptables" -t "$2" "$1" "${@:3}"
}
redirect_rule=(nat OUTPUT -p tcp --dport 7777 -j REDIRECT --to-ports 7780)
mark_rule=(mangle OUTPUT -p tcp --dport 7777 -j MARK --set-mark 7)
tproxy_rule=(mangle PREROUTING -p tcp --dport 7777 -j TPROXY --on-ip 127.0.0.1 --on-port 7780 --tproxy-mark 7)

with_tproxy() {
    ip -n "$tag-client" rule add fwmark 7 lookup 100
    ip -n "$tag-client" route add local 0.0.0.0/0 dev lo table 100
    rules -A "${mark_rule[@]}"
    rules -A "${tproxy_rule[@]}"
    measured tproxy 10.78.0.2 7777
    rules -D "${tproxy_rule[@]}"
    rules -D "${mark_rule[@]}"
    ip -n "$tag-client" rule delete fwmark 7 lookup 100
    ip -n "$tag-client" route flush table 100
}

with_filter() { # case, options of filter add...
    local name=$1 filter
    shift
    filter=$(sluice filter add --layer ale_connect_redirect_v4 --remote-port 7777 --protocol tcp --name bench "$@")
    if [ "$name" = sluice-learned ]; then "${client[@]}" "$tree/bench/connect" x x 10.78.0.2 7777 1 >/dev/null; fi
    measured "$name" 10.78.0.2 7777
    sluice filter delete "${filter##* }" >/dev/null
}

with_callout() { # case, milliseconds for which it may be learned
    local host
    SLUICE_REDIRECT_PORT=7780 SLUICE_REDIRECT_LEARN_MS=$2 start host sluice-host "$tree/plugins/redirect_all.so"
    host=${processes[-1]}
    within "its callouts are there" sh -c 'sluice callout list | grep -q redirect_all_v4'
    with_filter "$1" --action callout --callout redirect_all_v4
    kill "$host"
    wait "$host" 2>/dev/null || true
    within "it is gone" sh -c '! sluice host list | grep -q redirect_all'
}

start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status

for _ in 1 2 3; do
    measured direct 127.0.0.1 7780
    if [ -n "$iptables" ]; then
        if rules -A "${redirect_rule[@]}" 2>/dev/null; then
            measured iptables-redirect 10.78.0.2 7777
            rules -D "${redirect_rule[@]}"
        fi
        with_tproxy
    fi
    "${client[@]}" sluice nic load nic0 >/dev/null
    with_filter sluice-kernel --action redirect --redirect 127.0.0.1:7780
    with_callout sluice-held 0
    with_callout sluice-learned 600000
    "${client[@]}" sluice nic unload nic0 >/dev/null
done
[ -n "$iptables" ] || echo "redirect: skipped iptables-redirect and tproxy: this kernel has no iptables" >&2

medians
