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
    python3 -c 'import json, re, sys
kib = int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{sys.argv[1]}/status").read()).group(1))
print(json.dumps({"bench": "commit", "case": f"sluice/memory/{sys.argv[2]}", "metric": "mib", "value": kib / 1024, "unit": "MiB"}))' \
        "${processes[0]}" "$rules" >>"$run/rows"
done

medians
