# SPDX-License-Identifier: Apache-2.0
"""Redirection beside what else a host has: programs on lo, a strict firewall with NAT, reverse path filters. Connections work
without a rule added, and what was there stays as it was."""
import json
import subprocess
import unittest

from harness import SERVER4, SERVER6
from redirecting import UNUSED, host_port
from test_redirect_held import CalloutTest

# Classic BPF of tc, which every kernel has: a verdict for every packet, and one that never matches.
MATCHES, NEVER = "1,6 0 0 4294967295", "1,6 0 0 0"


# Of a host that lets nothing in but what it has begun. ONLY_LO does not even that.
RULES = """
table inet strict {{
    chain input {{
        type filter hook input priority 0; policy drop;
        ct state invalid drop
        iif lo accept
        {more}
    }}
    chain output {{
        type filter hook output priority 0; policy accept;
        ct state invalid drop
    }}
}}
table ip addresses {{
    chain output {{
        type nat hook output priority -100;
        tcp dport 9999 redirect to :9998
    }}
    chain leaving {{
        type nat hook postrouting priority 100;
        oif nic0 masquerade
    }}
}}
"""
ONLY_LO, ESTABLISHED = RULES.format(more=""), RULES.format(more="ct state established,related accept")


class Beside(CalloutTest):
    load = False

    def redirected(self):
        """UNUSED by filters, the port behind it by a callout."""
        for family, address in ((4, "127.0.0.1"), (6, "::1")):
            self.target(address, 9700)
            self.redirect(host_port(address, 9700), remote_port=UNUSED)
        self.callout("held", 9700)
        for family in (4, 6):
            self.send("held", family, remote_port=UNUSED + 1)

    def tc(self, *arguments):
        return self.client.run("tc", *arguments).stdout

    def add(self, preference):
        for side in ("ingress", "egress"):
            for offset, bytecode in enumerate((NEVER, MATCHES)):
                self.tc("filter", "add", "dev", "lo", side, "pref", preference + offset, "bpf", "bytecode", bytecode, "classid",
                        f"1:{preference + offset}")

    def state(self):
        return [json.loads(self.tc("-j", "qdisc", "show", "dev", "lo")),
                *(json.loads(self.tc("-j", "filter", "show", "dev", "lo", side)) for side in ("ingress", "egress"))]

    def late(self):
        return [f for side in self.state()[1:] for f in side if f["pref"] >= 200 and "options" in f]

    def check(self, ways=("kernel", "held"), kinds=CalloutTest.KINDS, **what):
        for way in ways:
            port = UNUSED if way == "kernel" else UNUSED + 1
            for address in (SERVER4, SERVER6):
                for kind in kinds:
                    with self.subTest(way=way, address=address, kind=kind, **what):
                        answer = self.ask(kind, address, port)
                        self.assertEqual(tuple(answer["peer"]), (address, port))
                        self.assertEqual(tuple(answer["original"]), (address, port))

    def test_foreign_programs(self):
        self.tc("qdisc", "add", "dev", "lo", "clsact")
        self.add(100)
        before = self.state()
        self.nic_load()
        self.redirected()
        self.check()
        self.add(200)
        after = self.late()
        self.assertEqual(len(after), 4)
        self.check()
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.assertEqual(self.late(), after)
        for side in ("ingress", "egress"):
            for preference in (200, 201):
                self.tc("filter", "delete", "dev", "lo", side, "pref", preference)
        self.assertEqual(self.state(), before)

    def rules(self, text):
        for command in ("flush ruleset", text):
            subprocess.run(self.client.argv("nft", "-f", "-"), input=command, text=True, check=True)
        return self.client.run("nft", "list", "ruleset").stdout

    def test_firewall(self):
        before = self.rules(ESTABLISHED)
        self.nic_load()
        self.redirected()
        self.check(rules="established")
        self.assertEqual(self.client.run("nft", "list", "ruleset").stdout, before)
        self.rules(ONLY_LO)
        self.check(["kernel"], ["tcp", "connected udp"], rules="only lo")

    def test_reverse_path_filters(self):
        self.nic_load()
        self.redirected()
        for value in "012":
            for device in ("all", "default", "lo", "nic0"):
                self.client.run("sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter={value}")
            self.check(rp_filter=value)


if __name__ == "__main__":
    unittest.main()
