# SPDX-License-Identifier: Apache-2.0
"""What a peer begins is held before the local socket sees it: ALE_AUTH_RECV_ACCEPT, TCP and UDP.

test_spans.py has ICMP, and longer holds."""
import errno
import os
import re
import socket
import time
import unittest

from harness import *

CLIENT = {4: "10.91.0.1", 6: "fd91::1"}
PORT = 81


class Inbound(SluiceTest):
    def setUp(self):
        super().setUp()
        self.here = self.serve(namespace=self.client, port=PORT)

    def ask_all(self, **conditions):
        for family in (4, 6):
            self.daemon.filter(f"ale_auth_recv_accept_v{family}", "callout", "ask", **conditions)

    def knock(self, family):
        """The peer's connect()."""
        return self.attempt(CLIENT[family], PORT, namespace=self.far)

    def sends(self, family):
        s = self.far.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.connect((CLIENT[family], PORT))
        return s


class Tcp(Inbound):
    def setUp(self):
        super().setUp()
        self.ask_all(protocol="tcp")
        self.cap = self.capture()

    def answers(self, port):
        """What went to the peer of the connection."""
        return self.cap.packets(TCP, sport=PORT, dport=port)

    def held(self, family, seconds, permit):
        attempt = self.knock(family)
        hold = self.daemon.wait_hold(layer=f"ale_auth_recv_accept_v{family}")
        self.assertEqual(hold["pid"], os.getpid(), "the process that listens")
        self.assertIn("python3", hold["exe"])
        self.assertTrue(hold["local"].endswith(f":{PORT}"), hold["local"])
        time.sleep(seconds)
        self.assertIsNone(attempt.ended)
        self.assertEqual(self.answers(attempt.port), [], "the peer hears nothing meanwhile")
        self.assertEqual(len(self.daemon.holds()), 1, "retransmissions join the hold")
        if not permit:
            self.block(hold)
            time.sleep(1.5)
            self.assertIsNone(attempt.ended, "a blocked peer hears nothing")
            self.assertEqual(self.answers(attempt.port), [])
            self.assertEqual((self.here.accepted, self.daemon.holds()), (0, []))
            return
        decided = self.permit(hold)
        self.assertEqual(attempt.wait(), 0)
        self.assert_soon(attempt.ended - decided, 1, f"the peer's connect() v{family} after {seconds} s returned by")
        attempt.socket.sendall(b"ping" * 20000)
        left = 80000
        while left:
            left -= len(attempt.socket.recv(left))
        synacks = [p for p in self.answers(attempt.port) if p.flags & (SYN | ACK) == SYN | ACK]
        self.assertEqual(len(synacks), 1, synacks)
        self.assertEqual((self.here.accepted, self.daemon.holds()), (1, []))

    def test_v4_held_100_ms_permitted(self):
        self.held(4, 0.1, True)

    def test_v6_held_100_ms_permitted(self):
        self.held(6, 0.1, True)

    def test_v6_held_100_ms_blocked(self):
        self.held(6, 0.1, False)

    def test_many_peers_are_held_one_by_one(self):
        attempts = [self.knock(4 if n % 2 else 6) for n in range(40)]
        holds = wait_for(lambda: (h := self.daemon.holds()) and len(h) == 40 and h, "40 holds", 20)
        permitted = {int(re.search(r"(\d+)$", h["remote"]).group(1)) for h in holds[:20]}
        for n, hold in enumerate(holds):
            (self.permit if n < 20 else self.block)(hold)
        for attempt in attempts:
            if attempt.port in permitted:
                self.assertEqual(attempt.wait(), 0)
        wait_for(lambda: self.here.accepted == 20, "twenty were accepted")
        self.assertEqual(self.daemon.holds(), [])

    def test_what_nobody_listens_for_is_the_stacks_to_refuse(self):
        self.assertEqual(self.attempt(CLIENT[4], 99, namespace=self.far).wait(), errno.ECONNREFUSED)
        self.assertEqual(self.daemon.holds(), [])

    def test_the_listener_closes_meanwhile(self):
        attempt = self.knock(4)
        hold = self.daemon.wait_hold()
        self.here.close()
        self.permit(hold)
        self.assertEqual(attempt.wait(), errno.ECONNREFUSED)

    # ctest: vm
    def test_over_loopback(self):
        attempt = self.attempt("127.0.0.1", PORT)
        hold = self.daemon.wait_hold()
        time.sleep(0.3)
        self.assertIsNone(attempt.ended)
        self.permit(hold)
        self.assertEqual(attempt.wait(), 0)
        attempt.socket.sendall(b"echo")
        self.assertEqual(attempt.socket.recv(4), b"echo")


class Udp(Inbound):
    def setUp(self):
        super().setUp()
        self.ask_all(protocol="udp")

    def held(self, family, seconds, permit):
        s = self.sends(family)
        for word in (b"one", b"two", b"three"):
            s.send(word)
        hold = self.daemon.wait_hold(protocol="udp")
        self.assertEqual(hold["pid"], os.getpid())
        time.sleep(seconds)
        self.assertEqual(self.here.datagrams, [])
        (self.permit if permit else self.block)(hold)
        if permit:
            wait_for(lambda: len(self.here.datagrams) >= 3, "all arrive")
        s.send(b"four")
        time.sleep(0.5)
        got = [d for _, d, _ in self.here.datagrams]
        self.assertEqual(got, [b"one", b"two", b"three", b"four"] if permit else [])
        self.assertEqual(self.daemon.holds(), [])

    def test_v4_held_100_ms_permitted(self):
        self.held(4, 0.1, True)

    def test_v4_held_100_ms_blocked(self):
        self.held(4, 0.1, False)

    def test_v6_held_100_ms_blocked(self):
        self.held(6, 0.1, False)

    def test_the_answer_belongs_to_the_flow(self):
        """What the local socket sends back is no connect of its own."""
        peer = self.sends(4)
        mine = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(mine.close)
        mine.bind((CLIENT[4], 82))
        peer.connect((CLIENT[4], 82))
        peer.send(b"question")
        self.permit(self.daemon.wait_hold())
        self.daemon.filter("ale_auth_connect_v4", protocol="udp", remote=SERVER4)
        data, sender = mine.recvfrom(100)
        mine.sendto(b"answer", sender)
        peer.settimeout(5 * SLACK)
        self.assertEqual((data, peer.recv(100)), (b"question", b"answer"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
