# SPDX-License-Identifier: Apache-2.0
"""Redirection beside a callout that takes each packet and injects a clone of it: what the kernel rewrites behind and
before the layers is rewritten of clones as well."""
import unittest

from harness import BUILD
from redirecting import LOCAL, LOOPBACK, OTHER, REMOTE, UNUSED, RedirectTest, host_port

LAYERS = {"ippacket_in": "inbound_ippacket", "ippacket_out": "outbound_ippacket",
          "transport_in": "inbound_transport", "transport_out": "outbound_transport"}


class Redirected(RedirectTest):
    def through(self, way):
        self.host(BUILD / "tests/netns/injector.so", callouts=[f"{n}_v{f}" for n in LAYERS for f in (4, 6)],
                  environment={"INJECTOR": way, "INJECTOR_LOG": str(self.directory / "injector.log")})
        for name, layer in LAYERS.items():
            for family in (4, 6):
                self.daemon.filter(f"{layer}_v{family}", "callout", f"{name}_v{family}")
        for family in (4, 6):
            for number, (new, address) in enumerate({"loopback": LOOPBACK[family], "local": LOCAL[family],
                                                     "remote": OTHER[family]}.items()):
                port = 9000 + 10 * family + number
                self.target(address, port, self.far if new == "remote" else self.client)
                one = self.redirect(host_port(address, port), remote_port=UNUSED, context=f"to {new}")
                for kind in self.KINDS:
                    with self.subTest(family=family, new=new, kind=kind):
                        answer = self.ask(kind, REMOTE[family], UNUSED)
                        self.check_cell(kind, (REMOTE[family], UNUSED), (address, port), answer, f"to {new}")
                self.daemon.do("filter", "delete", one)

    def test_permitted(self):
        self.through("permit")

    def test_again(self):
        self.through("again")
        self.assertEqual(self.daemon.reason("INJECT_LOOP"), 0)


if __name__ == "__main__":
    unittest.main()
