# SPDX-License-Identifier: Apache-2.0
"""Every kind of hold, for every span: TCP, UDP and ICMP, v4 and v6, out and in, ending in permit and in block.

All kinds of a test are held at the same time, each for the span. What the application saw and when is printed; the
table in docs/holds.md was taken from there. For spans that CI has no time for:
SLUICE_SPAN=600 python3 -m unittest -v test_spans.Spans.by_hand"""
import errno
import itertools
import os
import re
import select
import socket
import subprocess
import time
import unittest

from harness import *

CLIENT = {4: "10.91.0.1", 6: "fd91::1"}
LAYER = {"out": "ale_auth_connect_v", "in": "ale_auth_recv_accept_v"}
PORT = {"out": 80, "in": 81}
ECHO = {4: dict(protocol="icmp", local_port=8), 6: dict(protocol="icmpv6", local_port=128)}
WORDS = [b"one", b"two", b"three"]


class Kind:
    """One connection that is held."""

    def __init__(self, test, family, direction, permit):
        self.test, self.family, self.direction, self.permit = test, family, direction, permit
        self.origin, self.target = ((test.client, server(family)) if direction == "out" else
                                    (test.far, CLIENT[family]))
        self.port = PORT[direction]

    def __repr__(self):
        return f"{self.name} v{self.family} {self.direction} {'permitted' if self.permit else 'blocked'}"

    def hold(self):
        """Begins, and finds the hold that was not there before."""
        known = {h["id"] for h in self.test.daemon.holds()}
        self.began = time.time()
        self.begin()
        layer = f"{LAYER[self.direction]}{self.family}"
        self.held = wait_for(lambda: [h for h in self.test.daemon.holds(layer=layer) if h["id"] not in known],
                             f"{self} is held")[0]

    def decide(self, span):
        time.sleep(max(0.0, self.began + span - time.time()))
        self.test.assertFalse(self.over(), f"{self}: waits")
        self.test.assertEqual(self.on_the_wire(), [], f"{self}: nothing on the wire while it is held")
        self.decided = (self.test.permit if self.permit else self.test.block)(self.held)

    def saw(self, what, at):
        measured(f"{self}, held {self.decided - self.began:.1f} s: {what} after", (at - self.decided) * 1000, "ms")
        self.test.assertLess(at - self.decided, 2 * SLACK, f"{self}: {what}")


class Tcp(Kind):
    name = "tcp"

    def begin(self):
        self.attempt = self.test.attempt(self.target, self.port, namespace=self.origin)

    def over(self):
        return self.attempt.ended is not None

    def on_the_wire(self):
        if self.direction == "out":
            return self.test.cap.packets(TCP, sport=self.attempt.port, dport=self.port)
        return self.test.cap.packets(TCP, sport=self.port, dport=self.attempt.port)

    def check(self):
        if not self.permit and self.direction == "in":
            self.test.assertFalse(self.over(), f"{self}: a blocked peer hears nothing")
            return
        error = self.attempt.wait()
        self.saw(f"connect() returned {errno.errorcode.get(error, 0)}", self.attempt.ended)
        self.test.assertEqual(error, 0 if self.permit else errno.ECONNREFUSED, self)
        if self.permit:
            self.test.exchange(self.attempt.socket)

    def check_wire(self):
        """The first packet came once: no duplicate of a SYN or of its answer."""
        firsts = [p for p in self.on_the_wire() if p.flags & SYN]
        self.test.assertEqual(len(firsts), 1, f"{self}: {firsts}")


class Udp(Kind):
    name = "udp"

    def begin(self):
        self.socket = self.origin.socket(af(self.family), socket.SOCK_DGRAM)
        self.test.addCleanup(self.socket.close)
        self.socket.connect((self.target, self.port))
        for word in WORDS:
            self.socket.send(word)
        self.own = self.socket.getsockname()[1]

    def received(self):
        there = self.test.servers[self.direction].datagrams
        return [(at, data) for at, data, sender in list(there)
                if sender[1] == self.own and (":" in sender[0]) == (self.family == 6)]

    def over(self):
        return bool(self.received()) or bool(select.select([self.socket], [], [], 0)[0])

    def on_the_wire(self):
        return self.test.cap.packets(UDP, sport=self.own, dport=self.port) if self.direction == "out" else []

    def check(self):
        if self.permit:
            wait_for(lambda: len(self.received()) >= len(WORDS), f"{self}: all arrive")
            self.saw("the last datagram arrived", max(at for at, _ in self.received()))
            self.socket.send(b"four")
            wait_for(lambda: len(self.received()) >= len(WORDS) + 1, f"{self}: the next arrives")
            self.test.assertEqual([data for _, data in self.received()], WORDS + [b"four"])
        elif self.direction == "out":
            self.socket.settimeout(5 * SLACK)
            with self.test.assertRaises(OSError) as raised:
                self.socket.recv(10)
            self.saw(f"recv() failed with {errno.errorcode.get(raised.exception.errno)}", time.time())
            self.test.assertEqual(raised.exception.errno, errno.EHOSTUNREACH if self.family == 4 else errno.EACCES)
        else:
            self.test.assertEqual((self.received(), self.over()), ([], False), f"{self}: a blocked peer hears nothing")

    def check_wire(self):
        self.test.assertEqual(len(self.received()), len(WORDS) + 1, f"{self}: each datagram once")


class Icmp(Kind):
    name = "icmp"
    identifiers = itertools.count(1000)

    def begin(self):
        self.identifier = next(Icmp.identifiers)
        # one request, and patience beyond the span
        self.ping = self.test.popen(self.origin, "ping", "-c1", "-W900", "-e", self.identifier, self.target,
                                    stdout=subprocess.PIPE, text=True)
        self.test.addCleanup(self.ping.stdout.close)

    def over(self):
        return self.ping.poll() is not None

    def on_the_wire(self):
        """Requests that leave, or answers to the peer's."""
        protocol, at = (1, 34) if self.family == 4 else (ICMP6, 54)
        kind = {("out", 4): 8, ("in", 4): 0, ("out", 6): 128, ("in", 6): 129}[self.direction, self.family]
        return [p for p in self.test.cap.packets(protocol)
                if p.raw[at] == kind and int.from_bytes(p.raw[at + 4:at + 6], "big") == self.identifier]

    def check(self):
        if not self.permit and self.direction == "in":
            self.test.assertFalse(self.over(), f"{self}: a blocked peer hears nothing")
            return
        out, _ = self.ping.communicate(timeout=10 * SLACK)
        refusal = "Packet filtered" if self.family == 4 else "Administratively prohibited"
        expected = "1 received" if self.permit else refusal
        self.saw(f"ping said '{expected}'", time.time())
        self.test.assertIn(expected, out)

    def check_wire(self):
        self.test.assertEqual(len(self.on_the_wire()), 1, f"{self}: one packet")


class Spans(SluiceTest):
    def setUp(self):
        super().setUp()
        self.servers = {"out": self.serve(port=PORT["out"]), "in": self.serve(namespace=self.client, port=PORT["in"])}
        unheld = self.connected()
        self.unheld = self.rto(unheld)
        unheld.close()
        measured("rto of a connection that was not held", self.unheld, "ms")
        for family, direction in itertools.product((4, 6), ("out", "in")):
            port = {"remote_port" if direction == "out" else "local_port": PORT[direction]}
            for conditions in ({"protocol": "tcp", **port}, {"protocol": "udp", **port}, ECHO[family]):
                self.daemon.filter(f"{LAYER[direction]}{family}", "callout", "ask", remote=server(family),
                                   **conditions)
        self.cap = self.capture()

    def connected(self):
        attempt = self.attempt()
        self.assertEqual(attempt.wait(), 0)
        return attempt.socket

    def exchange(self, connection):
        for _ in range(20):
            connection.sendall(b"ping" * 100)
            left = 400
            while left:
                left -= len(connection.recv(left))

    def rto(self, connection):
        self.exchange(connection)
        return float(re.search(r"\brto:([\d.]+)", self.ss(connection.getsockname()[1])).group(1))

    def span(self, seconds, kinds):
        for kind in kinds:
            kind.hold()
        for kind in kinds:
            kind.decide(seconds)
            kind.check()
        time.sleep(0.5)  # what should not be there has time to come
        for kind in kinds:
            if kind.permit:
                kind.check_wire()
            else:
                self.assertEqual(kind.on_the_wire(), [], f"{kind}: nothing on the wire ever")
        self.assertEqual(self.daemon.holds(), [])

    def every_kind(self, seconds):
        self.span(seconds, [kind(self, family, direction, permit) for kind, family, direction, permit
                            in itertools.product((Tcp, Udp, Icmp), (4, 6), ("out", "in"), (True, False))])

    # ctest: vm
    def test_every_kind_held_100_ms(self):
        self.every_kind(0.1)

    def test_every_kind_held_5_s(self):
        kinds = [Tcp(self, family, "out", True) for family in (4, 6)]
        self.every_kind(5)
        self.span(5, kinds)
        for kind in kinds:
            rto = self.rto(kind.attempt.socket)
            measured(f"rto of {kind} after 5 s", rto, "ms")
            self.assertLessEqual(rto, 2 * self.unheld)

    # ctest: slow
    def test_every_kind_held_60_s(self):
        self.every_kind(60)

    # ctest: slow
    def test_tcp_held_150_s(self):
        """Longer than a connect() without Sluice lasts, which gives up after about 130 s."""
        self.span(150, [Tcp(self, family, "out", permit)
                        for family, permit in itertools.product((4, 6), (True, False))])

    def by_hand(self):
        self.span(float(os.environ["SLUICE_SPAN"]),
                  [kind(self, family, "out", permit) for kind, family, permit
                   in itertools.product((Tcp, Udp, Icmp), (4, 6), (True, False))])


if __name__ == "__main__":
    unittest.main(verbosity=2)
