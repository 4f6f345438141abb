#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What established traffic pays for what stands beside it. Called by bench/run with: build tree, COUNT (0: default), here
# the number of filters (100,000). Prints one JSON row a figure.
#
#   case            iperf3, one TCP connection, 2 s
#   nothing         nothing is attached
#   sluice          Sluice on the NIC, which attaches to lo too, with COUNT filters at the layers of connections
#   sluice-packets  the same, half of the filters at the transport layers, which judge every packet
#   conntrack       iptables with one rule that tracks connections, in a namespace of its own
#   CASE-loopback   the same over lo
#
# bulk_gbit_s and, of the same turn, to_nothing: the part of nothing's that is left. Seven turns, medians: other work on
# the machine comes and goes.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$1 count=$2
[ "$count" -gt 0 ] || count=100000
. bench/rig

namespaces+=("$tag-tracked")
ip netns add "$tag-tracked"
ip -n "$tag-tracked" link set lo up
ip -n "$tag-tracked" link add nic0 type veth peer name tracked netns "$tag-server"
ip -n "$tag-tracked" link set nic0 up
ip -n "$tag-tracked" addr add 10.79.0.1/24 dev nic0
ip -n "$tag-server" link set tracked up
ip -n "$tag-server" addr add 10.79.0.2/24 dev tracked

inside() { # namespace, command...
    nsenter "--net=/run/netns/$tag-$1" "${@:2}"
}
tracked=''
for candidate in iptables iptables-legacy; do
    if [ -z "$tracked" ] && inside tracked "$candidate" -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT 2>>"$run/iptables.log" &&
        inside tracked "$candidate" -A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT 2>>"$run/iptables.log"; then
        tracked=$candidate
    fi
done
[ -n "$tracked" ] || echo "bulk: no iptables here tracks connections: no rows for it" >&2

# not by `inside`: what `start` notes must be the process itself
for namespace in server client tracked; do start "iperf-$namespace" nsenter "--net=/run/netns/$tag-$namespace" iperf3 -s; done
listens() { inside "$1" ss -tlnH "sport = :5201" | grep -q .; }
for namespace in server client tracked; do within "iperf3 listens" listens "$namespace"; done

policy() { # layers
    python3 - "$count" "$@" <<'P'
import random, sys
choose = random.Random(1)
layers = sys.argv[2:]
print("version: 1\nfilters:")
for n in range(int(sys.argv[1])):
    print(f"  - {{name: rule {n}, layer: {layers[n % len(layers)]}, action: block, conditions: {{remote_address: "
          f"172.{choose.randrange(16, 32)}.{choose.randrange(256)}.0/24, protocol: tcp, remote_port: {choose.randrange(1, 65535)}}}}}")
P
}
policy ale_auth_connect_v4 ale_auth_recv_accept_v4 >"$run/connections.yaml"
policy ale_auth_connect_v4 ale_auth_recv_accept_v4 inbound_transport_v4 outbound_transport_v4 >"$run/packets.yaml"
start sluiced sluiced --socket "$SLUICE_SOCKET" --state "$run/state" --database "$run/policy.db" --pin-root "$pins"
within "sluiced answers" sluice status

measure() { # case, namespace, address
    inside "$2" iperf3 -c "$3" -t 2 -J | python3 -c 'import json, sys
rate = json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9
print(json.dumps({"bench": "bulk", "case": sys.argv[1], "metric": "bulk_gbit_s", "value": round(rate, 3), "unit": "Gbit/s"}))' \
        "$1" >>"$run/rows"
}
compared() { # turn
    python3 - "$run/rows" "$1" <<'P'
import json, sys
figures = {}
with open(sys.argv[1]) as rows:
    for row in map(json.loads, rows):
        if row["metric"] == "bulk_gbit_s":
            figures.setdefault(row["case"], []).append(row["value"])
turn = int(sys.argv[2])
with open(sys.argv[1], "a") as rows:
    for case, values in figures.items():
        if case.startswith("nothing"):
            continue
        base = figures["nothing-loopback" if case.endswith("-loopback") else "nothing"]
        rows.write(json.dumps({"bench": "bulk", "case": case, "metric": "to_nothing",
                               "value": round(values[turn - 1] / base[turn - 1], 3), "unit": "ratio"}) + "\n")
P
}
for turn in 1 2 3 4 5 6 7; do
    measure nothing client 10.78.0.2
    measure nothing-loopback client 127.0.0.1
    sluice policy apply "$run/connections.yaml" >/dev/null
    "${client[@]}" sluice nic load nic0 >/dev/null
    measure sluice client 10.78.0.2
    measure sluice-loopback client 127.0.0.1
    sluice policy apply "$run/packets.yaml" >/dev/null
    measure sluice-packets client 10.78.0.2
    measure sluice-packets-loopback client 127.0.0.1
    "${client[@]}" sluice nic unload nic0 >/dev/null
    if [ -n "$tracked" ]; then
        measure conntrack tracked 10.79.0.2
        measure conntrack-loopback tracked 127.0.0.1
    fi
    compared "$turn"
done

medians
