#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""delivered_rules.py DIRECTORY MOST: for 10 ... 100,000 rules that do not overlap, which nft's sets would refuse, the
rules as a policy, as one nft set, as nft rules and as iptables rules, and the traces first, hit and miss."""
import ipaddress
import random
import struct
import sys

RECORDS = 16384


def packet(choose, remote, local, port):
    source = int(ipaddress.ip_address(remote)) + choose.randrange(256)
    return struct.pack("!IIHH", source, int(ipaddress.ip_address(local)), choose.randrange(1024, 65535), port)


def make(directory, count):
    choose = random.Random(count)
    found = {}
    while len(found) < count:
        local = f"172.16.{choose.randrange(256)}.{choose.randrange(256)}"
        found[local, choose.randrange(1, 65535)] = f"10.{choose.randrange(256)}.{choose.randrange(256)}.0"
    rules = [(remote, local, port) for (local, port), remote in found.items()]
    base = f"{directory}/{count}"
    chain = "chain in { type filter hook prerouting priority raw; policy drop;"
    with open(base + ".yaml", "w") as out:
        out.write("version: 1\nfilters:\n")
        for i, (remote, local, port) in enumerate(rules):
            out.write(f"  - name: rule {i}\n    layer: inbound_transport_v4\n    action: block\n    conditions:\n"
                      f"      remote_address: {remote}/24\n      local_address: {local}\n"
                      f"      protocol: tcp\n      local_port: {port}\n")
        out.write("  - name: the rest\n    layer: inbound_transport_v4\n    action: block\n    weight: 0\n")
    with open(base + ".nft-set", "w") as out:
        out.write("table ip bench {\nset s {\ntype ipv4_addr . ipv4_addr . inet_service; flags interval; elements = {\n")
        out.write(",\n".join(f"{remote}/24 . {local} . {port}" for remote, local, port in rules))
        out.write(f"}}\n}}\n{chain}\nip saddr . ip daddr . tcp dport @s drop\n}}\n}}\n")
    with open(base + ".nft-linear", "w") as out:
        out.write(f"table ip bench {{\n{chain}\n")
        for remote, local, port in rules:
            out.write(f"ip saddr {remote}/24 ip daddr {local} tcp dport {port} drop\n")
        out.write("}\n}\n")
    with open(base + ".iptables", "w") as out:
        out.write("*raw\n:PREROUTING DROP [0:0]\n")
        for remote, local, port in rules:
            out.write(f"-A PREROUTING -s {remote}/24 -d {local}/32 -p tcp -m tcp --dport {port} -j DROP\n")
        out.write("COMMIT\n")
    for name, among in (("first", rules[:max(1, count // 100)]), ("hit", rules)):
        with open(f"{base}.{name}", "wb") as out:
            for _ in range(RECORDS):
                out.write(packet(choose, *choose.choice(among)))
    with open(base + ".miss", "wb") as out:
        for _ in range(RECORDS):
            out.write(packet(choose, f"192.0.{choose.randrange(256)}.0", f"198.18.{choose.randrange(256)}.1", 9))


for size in (10, 100, 1000, 10000, 100000):
    if size <= int(sys.argv[2]):
        make(sys.argv[1], size)
