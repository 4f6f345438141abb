#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What it costs to send a connection to a local proxy. Called by bench/run with: build tree, COUNT (0: default). Prints
# one JSON row a figure.
#
#   case               the client's connection to 10.78.0.2:7777
#   direct             made to the proxy's own address, by nobody's help
#   iptables-redirect  iptables -t nat OUTPUT -j REDIRECT
#   tproxy             mark in mangle OUTPUT, policy route to lo, TPROXY in PREROUTING
#   sluice-loaded      as direct, with Sluice on the NIC and nothing to redirect: what every connection pays
#   sluice-kernel      a filter that names the target: connect() itself goes there
#   sluice-held        a callout that redirects: the first packet waits for it, the others are translated
#   sluice-learned     a callout whose decision was learned
#
# The proxy is a program that accepts and reads. COUNT connections a case (2000), then 1 GiB through one connection; seven
# times in turn, the rows are medians. iptables has a namespace for each case, since netfilter's hooks stay where they
# have once been. Two metrics compare with the cases of the same turn, since other work on the machine comes and goes:
# connect_added is what a case adds to direct's connect_p50_us, as a part of what iptables-redirect adds; bulk_to_direct
# is its bulk_gbit_s as a part of direct's. A case without its rows is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
[ "$count" -gt 0 ] || count=2000
mkdir -p "$tree/bench"
c++ -O2 -std=c++20 -o "$tree/bench/connect" bench/connect.cpp
c++ -O2 -std=c++20 -o "$tree/bench/bulk" bench/bulk.cpp

. bench/rig

redirect_rule=(nat OUTPUT -p tcp --dport 7777 -j REDIRECT --to-ports 7780)
mark_rule=(mangle OUTPUT -p tcp --dport 7777 -j MARK --set-mark 7)
tproxy_rule=(mangle PREROUTING -p tcp --dport 7777 -j TPROXY --on-ip 127.0.0.1 --on-port 7780 --tproxy-mark 7)

inside() { # namespace, command...
    nsenter "--net=/run/netns/$1" "${@:2}"
}
# The proxy: where connections are redirected to. It takes what TPROXY delivers too.
start_proxy() { # namespace
    start "proxy-$1" nsenter "--net=/run/netns/$1" "$tree/bench/bulk" --sink 7780
    within "the proxy answers" inside "$1" "$tree/bench/connect" x x 127.0.0.1 7780 1
}
namespace() { # name
    namespaces+=("$tag-$1")
    ip netns add "$tag-$1"
    ip -n "$tag-$1" link set lo up
    ip -n "$tag-$1" link add nic0 type veth peer name "$1" netns "$tag-server"
    ip -n "$tag-server" link set "$1" up
    ip -n "$tag-$1" link set nic0 up
    ip -n "$tag-$1" addr add 10.78.0.1/24 dev nic0
    start_proxy "$tag-$1"
}
rule() { # namespace, table, chain and rule...
    local candidate
    for candidate in iptables iptables-legacy; do
        inside "$1" "$candidate" -t "$2" -A "${@:3}" 2>>"$run/iptables.log" && return
    done
    echo "redirect: no iptables of this machine takes the rule $*:" >&2
    cat "$run/iptables.log" >&2
    exit 1
}

namespace nat
rule "$tag-nat" "${redirect_rule[@]}"
namespace tproxy
ip -n "$tag-tproxy" rule add fwmark 7 lookup 100
ip -n "$tag-tproxy" route add local 0.0.0.0/0 dev lo table 100
rule "$tag-tproxy" "${mark_rule[@]}"
rule "$tag-tproxy" "${tproxy_rule[@]}"
start_proxy "$tag-client"
"${client[@]}" ping -c1 -W2 10.78.0.2 >/dev/null

measured() { # case, namespace, address, port
    inside "$tag-$2" "$tree/bench/connect" redirect "$1" "$3" "$4" "$count" >>"$run/rows"
    inside "$tag-$2" "$tree/bench/bulk" redirect "$1" "$3" "$4" 1 >>"$run/rows"
}

with_filter() { # case, options of filter add...
    local name=$1 filter
    shift
    filter=$(sluice filter add --layer ale_connect_redirect_v4 --remote-port 7777 --protocol tcp --name bench "$@")
    if [ "$name" = sluice-learned ]; then "${client[@]}" "$tree/bench/connect" x x 10.78.0.2 7777 1 >/dev/null; fi
    measured "$name" client 10.78.0.2 7777
    sluice filter delete "${filter##* }" >/dev/null
}

with_callout() { # case, milliseconds for which it may be learned
    local host
    SLUICE_REDIRECT_PORT=7780 SLUICE_REDIRECT_LEARN_MS=$2 start host sluice-host "$tree/plugins/redirect_all.so"
    host=${processes[-1]}
    within "its callouts are there" registered redirect_all_v4
    with_filter "$1" --action callout --callout redirect_all_v4
    kill "$host"
    wait "$host" 2>/dev/null || true
    within "it is gone" sh -c '! sluice host list | grep -q redirect_all'
}

compared() { # adds the metrics that compare the cases of one turn, and misses what a case has not told
    python3 - "$run/rows" "$1" <<'P'
import json, sys
cases = ("direct", "iptables-redirect", "tproxy", "sluice-loaded", "sluice-kernel", "sluice-held", "sluice-learned")
metrics = ("connect_p50_us", "connect_p99_us", "connects_per_s", "bulk_gbit_s")
path, turn = sys.argv[1], int(sys.argv[2])
figures = {}
with open(path) as rows:
    for row in map(json.loads, rows):
        figures.setdefault((row["case"], row["metric"]), []).append(row["value"])
missing = [f"{c} {m}" for c in cases for m in metrics if len(figures.get((c, m), ())) != turn]
if missing:
    sys.exit(f"redirect: turn {turn} has no row, or more than one, for: {', '.join(missing)}")
now = {of: values[-1] for of, values in figures.items()}
added = lambda case: now[case, "connect_p50_us"] - now["direct", "connect_p50_us"]
with open(path, "a") as rows:
    for case in cases[1:]:
        for metric, value in (("connect_added", added(case) / max(added("iptables-redirect"), 0.1)),
                              ("bulk_to_direct", now[case, "bulk_gbit_s"] / now["direct", "bulk_gbit_s"])):
            row = {"bench": "redirect", "case": case, "metric": metric, "value": round(value, 3), "unit": "ratio"}
            print(json.dumps(row), file=rows)
P
}

start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status

for turn in 1 2 3 4 5 6 7; do
    measured direct client 127.0.0.1 7780
    measured iptables-redirect nat 10.78.0.2 7777
    measured tproxy tproxy 10.78.0.2 7777
    "${client[@]}" sluice nic load nic0 >/dev/null
    measured sluice-loaded client 127.0.0.1 7780
    with_filter sluice-kernel --action redirect --redirect 127.0.0.1:7780
    with_callout sluice-held 0
    with_callout sluice-learned 600000
    "${client[@]}" sluice nic unload nic0 >/dev/null
    compared "$turn"
done

medians
