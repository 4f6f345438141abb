#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""commit_rules.py DIRECTORY COUNT: rule sets of 10,000 and 100,000, two of each, for Sluice, nft and iptables.
commit_rules.py --compare ROWS RULES TURN TOOL...: adds how many times faster Sluice was in this turn."""
import json
import random
import sys


def rules(count, seed):
    choose = random.Random(seed)
    return [(f"10.{choose.randrange(256)}.{choose.randrange(256)}.0/24",
             f"172.16.{choose.randrange(256)}.{choose.randrange(256)}", choose.randrange(1, 65535)) for _ in range(count)]


def write(path, of):
    with open(path + ".yaml", "w") as out:
        out.write("version: 1\nfilters:\n")
        for i, (remote, local, port) in enumerate(of):
            out.write(f"  - name: rule {i}\n    layer: inbound_transport_v4\n    action: block\n    conditions:\n"
                      f"      remote_address: {remote}\n      local_address: {local}\n"
                      f"      protocol: tcp\n      local_port: {port}\n")
    with open(path + ".nft", "w") as out:
        out.write("flush ruleset\ntable ip bench {\n chain in {\n  type filter hook input priority 0;\n")
        for remote, local, port in of:
            out.write(f"  ip saddr {remote} ip daddr {local} tcp dport {port} drop\n")
        out.write(" }\n}\n")
    with open(path + ".iptables", "w") as out:
        out.write("*filter\n:INPUT ACCEPT [0:0]\n")
        for remote, local, port in of:
            out.write(f"-A INPUT -s {remote} -d {local}/32 -p tcp -m tcp --dport {port} -j DROP\n")
        out.write("COMMIT\n")


def make(directory, most):
    for count in 10000, 100000:
        if count <= most:
            for seed in 0, 1:
                write(f"{directory}/rules-{count}-{seed}", rules(count, seed))
    with open(f"{directory}/one.nft", "w") as out:
        out.write("add rule ip bench in ip saddr 198.51.100.9 tcp dport 9 drop\n")
    with open(f"{directory}/one.iptables", "w") as out:
        out.write("*filter\n-A INPUT -s 198.51.100.9/32 -p tcp -m tcp --dport 9 -j DROP\nCOMMIT\n")


def compare(path, count, turn, tools):
    figures = {}
    with open(path) as rows:
        for row in map(json.loads, rows):
            figures.setdefault((row["case"], row["metric"]), []).append(row["value"])
    of = lambda tool, what: figures[f"{tool}/{what}/{count}", "ms"][turn - 1]
    with open(path, "a") as rows:
        for tool in tools:
            for what, metric, theirs in (("replace", f"to_{tool}", of(tool, "replace")),
                                         ("add-one", f"to_{tool}", of(tool, "add-one")),
                                         ("add-one", f"to_{tool}_reload", of(tool, "replace"))):
                rows.write(json.dumps({"bench": "commit", "case": f"sluice/{what}/{count}", "metric": metric,
                                       "value": round(theirs / of("sluice", what), 3), "unit": "times faster"}) + "\n")


if sys.argv[1] == "--compare":
    compare(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
else:
    make(sys.argv[1], int(sys.argv[2]))
