# SPDX-License-Identifier: Apache-2.0
"""A driver's way: what comes in is cloned and pended, the operation completed, the clone injected."""
import os
import socket
import subprocess
import time
import unittest

from harness import ACK, CLIENT4, CLIENT6, ICMP6, PLUGINS, SYN, TCP, SluiceTest, af, wait_for
from pender import CANNOT_PEND, INJECTED_BY_SELF, INJECTION, NOT_INJECTED, SUCCESS, PendTest, own

CALLOUTS = ("pend_connect_v4", "pend_connect_v6", "pend_accept_v4", "pend_accept_v6")
PEERS = 20


class Inbound(SluiceTest):
    def setUp(self):
        super().setUp()
        self.host(PLUGINS / "pend_and_inject.so", callouts=CALLOUTS)

    def received(self, family):
        """What a socket here gets of one datagram from each of many peers."""
        self.daemon.filter(f"ale_auth_recv_accept_v{family}", "callout", f"pend_accept_v{family}", protocol="udp")
        receiver = self.client.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind((CLIENT4 if family == 4 else CLIENT6, 9000))
        for n in range(PEERS):
            with self.far.socket(af(family), socket.SOCK_DGRAM) as peer:
                peer.sendto(b"%d" % n, receiver.getsockname()[:2])
        wait_for(lambda: self.daemon.reason("INJECTED") >= PEERS, "all clones are injected")
        got = []
        receiver.settimeout(1)
        try:
            while True:
                got.append(int(receiver.recv(100)))
        except TimeoutError:
            return sorted(got)

    def each_once(self, family):
        self.assertEqual(self.received(family), list(range(PEERS)), "each exactly once")
        self.assertEqual(self.daemon.reason("HOLD_OPENED"), PEERS)
        self.assertEqual(self.daemon.reason("HOLD_PERMITTED"), PEERS)
        self.assertEqual(self.daemon.list("hold"), [])

    def test_datagrams_v4_arrive_exactly_once(self):
        self.each_once(4)

    def test_datagrams_v6_arrive_exactly_once(self):
        self.each_once(6)


class Clones(PendTest):
    """Of a peer's first packet, step by step: pended, completed, injected; each packet of it exactly once."""
    port = 81

    def hold(self, family, **conditions):
        """By a callout that clones; the peer's next step is up to the test."""
        self.place = f"accept_v{family}"
        self.pender_ = self.pender("pend", "clone")
        self.ask_at(self.place, **conditions)
        self.cap = self.capture()

    def held(self, pid):
        """What the callout was told of the packet itself."""
        note = self.pender_.wait_notes(pend=SUCCESS)[0]
        self.daemon.wait_hold(state="held")
        self.assertEqual((note["place"], note["bit"], note["packet"], note["reauthorize"]), (self.place, 1, 1, 0))
        self.assertEqual((note["injected"], note["injection"]), (NOT_INJECTED, 0))
        self.assertEqual((note["pid"], note["clone"]), (pid, SUCCESS))
        return note

    def inject(self, pid):
        """Completed: the packet stays away until the clone of it is injected, which asks once more."""
        self.pender_.order("complete", 0)
        wait_for(lambda: not self.daemon.holds(), "the hold is over")
        time.sleep(0.3)
        self.assertEqual(self.answers(), [], "completing lets nothing through")
        self.assertEqual(len(self.pender_.notes()), 1, "nor asks anybody")
        self.assertEqual(self.pender_.order("inject", 0), SUCCESS)
        clone = self.pender_.wait_notes(2)[1]
        self.assertEqual((clone["injected"], clone["injection"]), (INJECTED_BY_SELF, INJECTION))
        self.assertEqual((clone["place"], clone["bit"], clone["reauthorize"], clone["pid"]), (self.place, 0, 0, pid))
        self.assertEqual((clone["handle"], clone["pend"]), (1, CANNOT_PEND), "once is enough")

    def finish(self):
        time.sleep(0.3)  # what should not be there has time to come
        self.assertEqual(len(self.pender_.notes()), 2, "the packet and its clone")
        self.balances(PERMITTED=1)

    def connection(self, family):
        here = self.serve(namespace=self.client, port=self.port)
        self.hold(family, protocol="tcp", local_port=self.port)
        attempt = self.attempt(own(family), self.port, namespace=self.far)
        self.answers = lambda: self.cap.packets(TCP, sport=self.port, dport=attempt.port)
        self.assertEqual(self.held(os.getpid())["parent"], 1, "the listening socket is known")
        wait_for(lambda: self.daemon.reason("HELD") >= 2, "the peer sends its SYN again", 10)
        self.assertEqual((len(self.daemon.holds()), len(self.pender_.notes())), (1, 1), "which joins the hold")
        self.assertEqual((self.answers(), here.accepted), ([], 0))
        self.inject(os.getpid())
        self.assertEqual(attempt.wait(), 0)
        attempt.socket.sendall(b"ping" * 5000)
        left = 20000
        while left:
            left -= len(attempt.socket.recv(left))
        self.finish()
        self.assertEqual(here.accepted, 1)
        self.assertEqual(len([p for p in self.answers() if p.flags & (SYN | ACK) == SYN | ACK]), 1)

    # ctest: vm
    def test_connection_v4(self):
        self.connection(4)

    def test_connection_v6(self):
        self.connection(6)

    def echo(self, family):
        request, answer, protocol, at = ((8, 0, 1, 34), (128, 129, ICMP6, 54))[family == 6]
        self.hold(family, protocol="icmp" if family == 4 else "icmpv6", local_port=request)
        ping = self.popen(self.far, "ping", "-c1", "-W30", own(family), stdout=subprocess.PIPE, text=True)
        self.addCleanup(ping.stdout.close)
        self.answers = lambda: [p for p in self.cap.packets(protocol) if p.raw[at] == answer]
        self.held(0)  # the kernel answers echoes by itself: nobody's
        self.inject(0)
        self.assertIn("1 received", ping.communicate(timeout=20)[0])
        self.finish()
        self.assertEqual(len(self.answers()), 1)

    def test_echo_v4(self):
        self.echo(4)

    def test_echo_v6(self):
        self.echo(6)

    def test_a_clone_that_is_freed_refuses(self):
        """The peer hears nothing; its further SYNs are dropped, until ten seconds later the next one asks anew."""
        here = self.serve(namespace=self.client, port=self.port)
        self.hold(4, protocol="tcp", local_port=self.port)
        attempt = self.attempt(CLIENT4, self.port, namespace=self.far)
        self.held(os.getpid())
        self.pender_.order("complete", 0)
        completed = time.time()
        self.pender_.order("free", 0)
        dropped = self.daemon.reason("HELD")
        wait_for(lambda: self.daemon.reason("HELD") >= dropped + 1, "the peer sends its SYN again", 10)
        self.assertEqual((attempt.ended, here.accepted, self.daemon.holds()), (None, 0, []))
        self.assertEqual(self.cap.packets(TCP, sport=self.port), [])
        self.pender_.wait_notes(2, timeout=30, pend=SUCCESS, injected=NOT_INJECTED)
        self.assertGreater(time.time() - completed, 9.5)
        self.pender_.order("complete", 1)
        self.pender_.order("inject", 1)
        self.assertEqual(attempt.wait(), 0)
        self.balances(PERMITTED=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
