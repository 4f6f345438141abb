# SPDX-License-Identifier: Apache-2.0
"""Packets that a callout makes itself and sends in place of a socket's: what control data of the metadata brings back."""
import socket
import struct
import unittest

from harness import BUILD, SLACK, SluiceTest, af, hashed_streams, server

HOPS, SERVICE = 33, 0x28
SET = {4: ((socket.IPPROTO_IP, socket.IP_TTL, HOPS), (socket.IPPROTO_IP, socket.IP_TOS, SERVICE)),
       6: ((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, SERVICE))}
SHOW = {4: ((socket.IPPROTO_IP, 12), (socket.IPPROTO_IP, 13)),  # IP_RECVTTL, IP_RECVTOS
        6: ((socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT), (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS))}
KINDS = {4: (socket.IP_TTL, socket.IP_TOS), 6: (socket.IPV6_HOPLIMIT, socket.IPV6_TCLASS)}


class Copies(SluiceTest):
    def copy(self, way):
        self.host(BUILD / "tests/netns/copier.so", callouts=("copy_v4", "copy_v6"), environment={"COPIER": way})
        # not neighbour discovery: to a group no copy knows its interface
        for family in (4, 6):
            for protocol in ("tcp", "udp"):
                self.daemon.filter(f"outbound_transport_v{family}", "callout", f"copy_v{family}", protocol=protocol)

    def arrives(self, family, control=()):
        """Hop limit and traffic class with which a datagram reaches the server."""
        with self.far.socket(af(family), socket.SOCK_DGRAM) as there, self.client.socket(af(family), socket.SOCK_DGRAM) as here:
            for level, option in SHOW[family]:
                there.setsockopt(level, option, 1)
            for option in () if control else SET[family]:
                here.setsockopt(*option)
            there.bind((server(family), 9000))
            there.settimeout(5 * SLACK)
            here.sendmsg([b"x" * 100], control, 0, (server(family), 9000))
            data, items, _, _ = there.recvmsg(2048, 256)
            self.assertEqual(data, b"x" * 100)
        found = {kind: value[0] for _, kind, value in items}
        return tuple(found[kind] for kind in KINDS[family])

    def test_with_control_data(self):
        """As the socket would have sent it, whether that said so for all packets or for this one."""
        self.copy("control")
        for family in (4, 6):
            self.assertEqual(self.arrives(family), (HOPS, SERVICE))
            level = SET[family][0][0]
            one = [(level, kind, struct.pack("i", value)) for kind, value in zip(KINDS[family], (7, 0x48))]
            self.assertEqual(self.arrives(family, one), (7, 0x48))
            with self.far.socket(af(family)) as listener, self.client.socket(af(family)) as here:
                listener.bind((server(family), 9100))
                listener.listen()
                here.settimeout(30 * SLACK)
                here.connect((server(family), 9100))
                there, _ = listener.accept()
                with there:
                    there.settimeout(30 * SLACK)
                    (sent, received), = hashed_streams({"out": (here, there)}, 4).values()
                self.assertEqual(sent, received)
        self.assertGreater(self.daemon.reason("INJECTED"), 3000)

    def test_without(self):
        """What is no clone and has no control data leaves with the usual values."""
        self.copy("none")
        for family in (4, 6):
            self.assertEqual(self.arrives(family), (64, 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
