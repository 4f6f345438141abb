# SPDX-License-Identifier: Apache-2.0
"""No packet and no operation is judged by half of one policy and half of another.

Policies A and B (swapper.cpp) have two sublayers, and each mixture of these gives a verdict that neither gives: traffic
that both permit is blocked, traffic that both block gets through.
"""
import json
import re
import signal
import subprocess
import sys
import time
import unittest

from harness import *

SWAPPER = BUILD / "tests/netns/swapper"
TRAFFIC = pathlib.Path(__file__).with_name("traffic.py")
PERMITTED, AT_CONNECT, INBOUND, CHANGING = (11, 12), (13, 14), (15, 16), (17,)
V4, V6 = "10.91.0.{}", "fd91::{}"


class Generations(SluiceTest):
    def setUp(self):
        super().setUp()
        self.addresses = [form.format(n) for n in range(11, 18) for form in (V4, V6)]
        for address in self.addresses:
            self.far.ip("addr", "add", address + ("/64" if ":" in address else "/24"), "dev", "peer0",
                        *(["nodad"] if ":" in address else []))
        server = self.traffic("serve", *self.addresses, namespace=self.far)
        self.assertEqual(server.stdout.readline(), "serving\n")
        for address in self.addresses:  # neighbours are learned before the policy refuses it
            self.client.run("ping", "-c1", "-W5", address)
        self.running = {}

    def traffic(self, what, *addresses, namespace=None):
        # behind sluiced and the swapper where processors are few: it is the swaps that must be many
        process = self.popen(namespace or self.client, "nice", "-n", "10", sys.executable, "-B", TRAFFIC, what, *addresses,
                             stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        return process

    def start_traffic(self):
        for n in PERMITTED:
            for what, forms in (("echo", (V4,)), ("connect", (V4, V6)), ("stream", (V4,))):
                for form in forms:
                    self.running[what, form.format(n)] = self.traffic(what, form.format(n))
            self.running["ping", V4.format(n)] = self.popen(
                self.client, "ping", "-q", "-i", "0.005", V4.format(n), stdout=subprocess.PIPE, text=True)
        for what, numbers in (("connect", AT_CONNECT + CHANGING), ("silent", INBOUND)):
            for n in numbers:
                self.running[what, V4.format(n)] = self.traffic(what, V4.format(n))

    def end_traffic(self):
        """What came of each: (what, address) -> counts."""
        found = {}
        for (what, address), process in self.running.items():
            process.send_signal(signal.SIGINT if what == "ping" else signal.SIGTERM)
            out, _ = process.communicate(timeout=20 * SLACK)
            if what == "ping":
                sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
                found[what, address] = {"sent": sent, "lost": max(0, sent - received - 1)}  # one may be under way
            else:
                found[what, address] = json.loads(out)
            print(f"{what} {address}: {found[what, address]}", flush=True)
        return found

    def swap(self, times, *torn):
        swapper = self.popen(self.client, SWAPPER, times, *torn, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             env=dict(os.environ, SLUICE_SOCKET=str(self.daemon.socket)))
        self.assertEqual(swapper.stdout.readline(), "ready\n")
        self.start_traffic()
        time.sleep(1)
        began = time.time()
        out, err = swapper.communicate("go\n", timeout=120 * SLACK)
        self.assertEqual((swapper.returncode, out), (0, "swapped\n"), err)
        measured(f"{times} swaps in", time.time() - began, "s")
        return self.end_traffic()

    @staticmethod
    def mixtures(found):
        """What a verdict of a mixture of both policies did, by kind of traffic."""
        seen = {}
        for (what, address), counts in found.items():
            number = int(re.search(r"\d+$", address).group())
            if number in PERMITTED:
                seen[what, address] = sum(counts.get(bad, 0) for bad in ("lost", "wrong", "refused", "failed"))
            elif number in AT_CONNECT + INBOUND:
                seen[what, address] = counts.get("reached", 0) + counts.get("answered", 0)
        return {k: v for k, v in seen.items() if v}

    def test_1000_swaps_under_traffic_show_no_mixture(self):
        found = self.swap(1000)
        self.assertEqual(self.mixtures(found), {})
        for key, counts in found.items():
            self.assertGreater(sum(counts.values()), 100, key)
        changing = found["connect", V4.format(CHANGING[0])]
        self.assertGreater(min(changing["reached"], changing["refused"]), 10, "both policies were in force")

    def test_a_swap_in_two_steps_is_seen(self):
        """The look-out above works: with a mixture in force between two transactions each kind of traffic shows it."""
        seen = self.mixtures(self.swap(50, "torn"))
        for key in [("connect", V4.format(n)) for n in PERMITTED + AT_CONNECT]:
            self.assertIn(key, seen)


if __name__ == "__main__":
    unittest.main(verbosity=2)
