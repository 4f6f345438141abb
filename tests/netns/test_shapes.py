# SPDX-License-Identifier: Apache-2.0
"""Datagrams that are more than one packet: held as one, let go whole and in order."""
import socket
import unittest

from harness import SluiceTest, af, server, wait_for

UDP_SEGMENT = 103  # linux/udp.h


class Shapes(SluiceTest):
    def held_and_permitted(self, family, data, segment=None):
        """What the receiver gets of one send() that was held and permitted."""
        self.host()
        self.daemon.ask(family, port=80, protocol="udp")
        receiver = self.far.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind((server(family), 80))
        receiver.settimeout(10)
        sender = self.datagram_socket(family, connect=80)
        if segment:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        sender.send(data)
        hold = self.daemon.wait_hold()
        self.permit(hold)
        got = []
        while sum(map(len, got)) < len(data):
            got.append(receiver.recv(9000))
        wait_for(lambda: not self.daemon.holds(), "the hold is over")
        return got

    def fragments(self, family):
        data = bytes(range(256)) * 16  # three fragments at an MTU of 1500
        self.assertEqual(self.held_and_permitted(family, data), [data])
        self.assertEqual(self.daemon.reason("UPCALL"), 3)
        self.assertEqual(self.daemon.reason("FRAGMENT"), 0)

    def test_fragments_v4(self):
        self.fragments(4)

    def test_fragments_v6(self):
        self.fragments(6)

    def segments(self, family):
        data = (bytes(range(256)) * 16)[:4000]
        self.assertEqual(self.held_and_permitted(family, data, segment=1000),
                         [data[n:n + 1000] for n in range(0, 4000, 1000)])
        self.assertEqual(self.daemon.reason("DOWNCALL_STATE"), 0)

    def test_super_packet_v4(self):
        self.segments(4)

    def test_super_packet_v6(self):
        self.segments(6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
