# SPDX-License-Identifier: Apache-2.0
"""A driver's way: what comes in is cloned and pended, the operation completed, the clone injected."""
import socket
import unittest

from harness import CLIENT4, CLIENT6, PLUGINS, SluiceTest, af, wait_for

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
