#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a change of policy costs, from the command line to being in force. Called by bench/run with: build tree, COUNT
# (0: default), here the largest number of rules (100,000). Prints one JSON row a figure.
#
#   case                                   metric
#   sluice | nft | iptables | iptables-legacy
#          /replace/RULES                  ms: a file of as many rules takes the place of another one: `sluice policy
#                                          apply`, `nft -f`, `iptables-restore`
#          /add-one/RULES                  ms: one more rule beside them: `sluice filter add`, `nft -f` of one `add rule`,
#                                          `iptables-restore --noflush`
#   sluice/add-one/RULES                   to_nft, to_iptables, to_iptables-legacy: how many times faster than theirs of
#                                          the same turn; to_..._reload: than theirs of the whole file
#   sluice/replace/RULES                   to_...: the same
#   sluice/established/RULES               idle_gbit_s, committing_gbit_s, to_idle: one established TCP connection
#                                          (iperf3, 2 s) beside nothing, then while a filter comes or goes ten times a
#                                          second; commits_per_s: how often it did. Both CPUs of the connection also run
#                                          the command and sluiced. Five turns
#   sluice/memory/RULES                    mib: what sluiced has of the machine's memory by then
#
# Rules have a network, a host, a protocol and a port each. Sluice is loaded onto a NIC of a namespace, each of the others
# has a namespace of its own. Three turns; the rows are medians. What is not installed has no rows and a line on standard
# error.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
[ "$count" -gt 0 ] || count=100000
. bench/rig

python3 bench/commit_rules.py "$run" "$count"
tools=()
for tool in nft iptables iptables-legacy; do
    restore=${tool}-restore
    [ "$tool" != nft ] || restore=nft
    if command -v "$restore" >/dev/null; then tools+=("$tool"); else echo "commit: no $tool here: no rows for it" >&2; fi
    namespaces+=("$tag-$tool")
    ip netns add "$tag-$tool"
done

took() { # case, metric, command...
    local row=$1 metric=$2 begun ended
    shift 2
    begun=$(date +%s%N)
    "$@" >/dev/null
    ended=$(date +%s%N)
    python3 -c 'import json, sys
print(json.dumps({"bench": "commit", "case": sys.argv[1], "metric": sys.argv[2], "value": int(sys.argv[3]) / 1e6, "unit": "ms"}))' \
        "$row" "$metric" $((ended - begun)) >>"$run/rows"
}
inside() { # tool, command...
    nsenter "--net=/run/netns/$tag-$1" "${@:2}"
}
their() { # tool, what, rules, file
    case $1 in
    nft) took "nft/$2/$3" ms inside nft nft -f "$4.nft" ;;
    *) took "$1/$2/$3" ms inside "$1" "$1-restore" $([ "$2" = replace ] || echo --noflush) "$4.iptables" ;;
    esac
}

start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status
"${client[@]}" sluice nic load nic0 >/dev/null

# ---- established flows meanwhile ----

mkfifo "$run/never" # nobody writes to it: reading is sleeping, without a process
commit_ten_times_a_second() { # until $run/committing goes; their number is left in $run/commits
    local begun=${EPOCHREALTIME/./} n=0 id='' left
    while [ -e "$run/committing" ]; do
        if [ -z "$id" ]; then
            id=$(sluice filter add --layer inbound_transport_v4 --action block --protocol tcp --remote 198.51.100.77 --name busy |
                grep -oE '[0-9]+' | head -1)
        else
            sluice filter delete "$id" >/dev/null
            id=''
        fi
        n=$((n + 1))
        left=$((begun + n * 100000 - ${EPOCHREALTIME/./}))
        [ "$left" -le 0 ] || read -rt "$(printf '0.%06d' "$left")" <>"$run/never" || true
    done
    echo "$n $((${EPOCHREALTIME/./} - begun))" >"$run/commits"
}
gbit_s() {
    "${client[@]}" iperf3 -c 10.78.0.2 -t 2 -J |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9)'
}
established() { # rules
    local turn idle busy committer
    for turn in 1 2 3 4 5; do
        idle=$(gbit_s)
        touch "$run/committing"
        commit_ten_times_a_second &
        committer=$!
        busy=$(gbit_s)
        rm "$run/committing"
        wait "$committer"
        python3 - "$1" "$idle" "$busy" "$run/commits" <<'P' >>"$run/rows"
import json, sys
idle, busy = float(sys.argv[2]), float(sys.argv[3])
commits, us = map(int, open(sys.argv[4]).read().split())
for metric, value, unit in (("idle_gbit_s", idle, "Gbit/s"), ("committing_gbit_s", busy, "Gbit/s"),
                            ("to_idle", busy / idle, "ratio"), ("commits_per_s", commits * 1e6 / us, "1/s")):
    print(json.dumps({"bench": "commit", "case": f"sluice/established/{sys.argv[1]}", "metric": metric,
                      "value": round(value, 3), "unit": unit}))
P
    done
}
start iperf "${server[@]}" iperf3 -s
listens() { "${server[@]}" ss -tlnH 'sport = :5201' | grep -q .; }
within "iperf3 listens" listens

for rules in 10000 100000; do
    [ "$rules" -le "$count" ] || continue
    for turn in 1 2 3; do
        # One file in place of the other, and back.
        file=$run/rules-$rules-$((turn % 2))
        took "sluice/replace/$rules" ms sluice policy apply "$file.yaml"
        took "sluice/add-one/$rules" ms sluice filter add --layer inbound_transport_v4 --action block --protocol tcp \
            --remote "198.51.100.$turn" --name bench
        for tool in "${tools[@]}"; do
            their "$tool" replace "$rules" "$file"
            their "$tool" add-one "$rules" "$run/one"
        done
        python3 bench/commit_rules.py --compare "$run/rows" "$rules" "$turn" "${tools[@]}"
    done
    established "$rules"
    python3 -c 'import json, re, sys
kib = int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{sys.argv[1]}/status").read()).group(1))
print(json.dumps({"bench": "commit", "case": f"sluice/memory/{sys.argv[2]}", "metric": "mib", "value": kib / 1024, "unit": "MiB"}))' \
        "${processes[0]}" "$rules" >>"$run/rows"
done

medians
