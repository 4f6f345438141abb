# SPDX-License-Identifier: Apache-2.0
"""Proxies in a chain: each gets its turn once, in the order of weights, and what carries no records makes no loop."""
import itertools
import pathlib
import sys
import unittest

from harness import SERVER4, SOURCE, wait_for
from redirecting import RedirectTest

A, B, C = "abc"
PORTS = {A: 8081, B: 8082, C: 8083}


class Chain(RedirectTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def proxies(self, **options):
        relay_py = [sys.executable, "-B", SOURCE / "api/examples/relay.py"]
        return {name: self.relay(name, "127.0.0.1", port, *options.get(name, ()), program=relay_py if name == C else None)
                for name, port in PORTS.items()}

    def vendor(self, name, weight):
        return self.redirect(f"127.0.0.1:{PORTS[name]}", remote_port=80, protocol="tcp", weight=weight)

    def fetch(self, times=1):
        for _ in range(times):
            out = self.client.run("curl", "-sS", "--max-time", 20, f"http://{SERVER4}/", check=False)
            self.assertEqual(out.stdout, "hello\n", out.stderr)

    def test_every_order_of_weights(self):
        relays = self.proxies()
        for weights in itertools.permutations((1, 2, 3)):
            wanted = [name for name, _ in sorted(zip(PORTS, weights), key=lambda pair: -pair[1])]
            filters = [self.vendor(name, weight) for name, weight in zip(PORTS, weights)]
            before = {name: len(relay.lines()) for name, relay in relays.items()}
            self.fetch()
            for name, relay in relays.items():
                wait_for(lambda: len(relay.lines()) > before[name], f"{name} was asked")
            chain = max(self.redirects(), key=lambda r: (len(r["hops"]), r["id"]))
            self.assertEqual([hop["to"].rpartition(":")[2] for hop in chain["hops"]],
                             [str(PORTS[name]) for name in wanted], f"order by weights {weights}")
            for name, relay in relays.items():
                self.assertEqual(len(relay.lines()), before[name] + 1, f"{name} was asked once with {weights}")
            for one in filters:
                self.daemon.do("filter", "delete", one)

    def test_hundred_connections(self):
        relays = self.proxies()
        for weight, name in enumerate(PORTS, 1):
            self.vendor(name, weight)
        self.fetch(100)
        for name, relay in relays.items():
            wait_for(lambda: len(relay.lines()) >= 100, f"{name} was asked a hundred times")
            self.assertEqual(len(relay.lines()), 100, name)
            self.assertEqual({line[1] for line in relay.lines()}, {f"{SERVER4}:80"})
        chain = max(self.redirects(), key=lambda r: len(r["hops"]))
        self.assertEqual([pathlib.Path(h["exe"]).name for h in chain["hops"]][0], "curl")

    def test_without_records(self):
        """A proxy that forgets its records is known by its process: its connection passes it by, and is counted."""
        relay = self.relay(A, "127.0.0.1", PORTS[A], "--forget")
        self.vendor(A, 1)
        self.fetch(3)
        self.assertEqual(len(relay.lines()), 3)
        self.assertGreaterEqual(self.daemon.reason("REDIRECT_LOOP"), 3)


if __name__ == "__main__":
    unittest.main()
