# SPDX-License-Identifier: Apache-2.0
"""What tests of the functions of holds have in common: the plugin pender and what it wrote down."""
import itertools
import json
import re
import socket

from harness import BUILD, CLIENT4, CLIENT6, SLACK, SluiceTest, wait_for

PENDER = BUILD / "tests/netns/pender.so"
PENDABLE = ("connect_v4", "connect_v6", "accept_v4", "accept_v6", "listen_v4", "bind_v4")
UNPENDABLE = ("established_v4", "datagram_v4", "release_v4", "closure_v4")
LAYERS = {"connect": "ale_auth_connect", "accept": "ale_auth_recv_accept", "listen": "ale_auth_listen",
          "bind": "ale_resource_assignment", "established": "ale_flow_established", "datagram": "datagram_data",
          "release": "ale_resource_release", "closure": "ale_endpoint_closure"}
SUCCESS, CANNOT_PEND, NULL_POINTER, NOT_READY = "0x00000000", "0xc0220103", "0xc022001c", "0xc0220100"
NOT_INJECTED, INJECTED_BY_SELF = 0, 1
INJECTION = 0x51  # the context that each injection is given
_numbers = itertools.count(1)


def own(family):
    return CLIENT4 if family == 4 else CLIENT6


class Pender:
    """A host with the plugin, and the orders that it is given."""

    def __init__(self, test, name, words, keep):
        self.name = name
        number = next(_numbers)
        self.notes_file, self.orders = test.directory / f"notes-{number}", test.directory / f"orders-{number}"
        self.host = test.host(PENDER, callouts=[f"{name}_{place}" for place in PENDABLE + UNPENDABLE], environment={
            "PENDER_NAME": name, "PENDER_LOG": str(self.notes_file), "PENDER_ORDERS": str(self.orders),
            "PENDER_KEEP": "1" if keep else "", "SLUICE_LOG": "debug"})
        self.order("do", *words)

    def order(self, *words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(20 * SLACK)
            s.connect(str(self.orders))
            s.send(" ".join(map(str, words)).encode())
            return s.recv(256).decode()

    def notes(self, **wanted):
        """What was classified, oldest first."""
        notes = [json.loads(line) for line in self.notes_file.read_text().splitlines()]
        return [n for n in notes if all(n.get(k) == v for k, v in wanted.items())]

    def wait_notes(self, count=1, timeout=10, **wanted):
        wait_for(lambda: len(self.notes(**wanted)) >= count, f"{count} classifies with {wanted}", timeout)
        return self.notes(**wanted)

    def counters(self):
        """Of the host's run time, which are told when it ends."""
        if status := self.host.stop():
            raise AssertionError(f"sluice-host ended with status {status}")
        text = re.findall("run time: (.*)", self.host.log.read_text())
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text[-1])} if text else {}


class PendTest(SluiceTest):
    def pender(self, *words, name="pender", keep=False):
        return Pender(self, name, words, keep)

    def ask_at(self, place, name="pender", **conditions):
        what, family = place.rsplit("_", 1)
        if place in ("connect_v6", "accept_v6"):  # not the kernel's own, to groups and routers at times of its choosing
            conditions.setdefault("remote", "fd91::/64")
        return self.daemon.filter(f"{LAYERS[what]}_{family}", "callout", f"{name}_{place}", **conditions)

    def balances(self, **ends):
        """The kernel's count of holds by their ends; none is open."""
        wait_for(lambda: not self.daemon.holds(), "no hold is open")
        expected = dict.fromkeys(("PERMITTED", "BLOCKED", "EXPIRED", "ABANDONED"), 0) | ends
        self.assertEqual({end: self.daemon.reason("HOLD_" + end) for end in expected}, expected)
        self.assertEqual(self.daemon.reason("HOLD_OPENED"), sum(ends.values()))
