# SPDX-License-Identifier: Apache-2.0
"""IP packets that come in tagged frames, and clones of them: a clone goes where its original would have gone."""
import json
import os
import select
import socket
import struct
import unittest

from harness import CLIENT4, CLIENT6, SERVER4, SERVER6, SLACK, UDP, af, hashed_streams, wait_for
from test_inject_packets import BY_SELF, NOT_INJECTED, PacketTest

ENDS = {4: (SERVER4, CLIENT4), 6: (SERVER6, CLIENT6)}
DOT1Q, DOT1AD = 0x8100, 0x88A8
# By tags, from the outermost on: whether a machine without VLAN devices takes the packet. It does with those that say a
# priority and no VLAN.
STACKS = {(): True, ((DOT1Q, 0),): True, ((DOT1Q, 5 << 13),): True, ((DOT1Q, 5),): False, ((DOT1AD, 5),): False,
          ((DOT1Q, 0), (DOT1Q, 0)): True, ((DOT1Q, 0), (DOT1Q, 5)): False, ((DOT1AD, 7), (DOT1Q, 8)): False}


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(family, data, port=9000):
    """From the server to the client, from its IP header on; len(data) is even."""
    source, target = (socket.inet_pton(af(family), a) for a in ENDS[family])
    segment = struct.pack("!HHHH", 9, port, 8 + len(data), 0) + data
    segment = segment[:6] + struct.pack("!H", checksum(source + target + struct.pack("!II", UDP, len(segment)) + segment)) + segment[8:]
    if family == 6:
        return struct.pack("!IHBB", 6 << 28, len(segment), UDP, 64) + source + target + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, UDP, 0) + source + target
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment


class Tags(PacketTest):
    load = False
    mode = ()

    def setUp(self):
        super().setUp()
        self.nic_load("nic0", *self.mode)
        macs = [json.loads(n.run("ip", "-j", "link", "show", d).stdout)[0]["address"]
                for n, d in ((self.client, "nic0"), (self.far, "peer0"))]
        self.link = bytes.fromhex("".join(macs).replace(":", ""))
        self.wire = self.far.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.addCleanup(self.wire.close)
        self.wire.bind(("peer0", 0))
        self.sockets = {}
        for family, (_, here) in ENDS.items():
            s = self.sockets[family] = self.client.socket(af(family), socket.SOCK_DGRAM)
            self.addCleanup(s.close)
            s.bind((here, 9000))

    def taken(self, family, stacks):
        """Which of these frames bring their datagram to its socket. What lies between them is one without a tag."""
        kind = struct.pack("!H", 0x0800 if family == 4 else 0x86DD)
        sent = {}
        for tags in (*stacks, ()):
            data = os.urandom(16)
            sent[data] = tags
            self.wire.send(self.link + b"".join(struct.pack("!HH", *t) for t in tags) + kind + datagram(family, data))
        got = {}
        while len(got) < len(sent) and select.select([self.sockets[family]], [], [], 0.7 * SLACK)[0]:
            data = self.sockets[family].recv(100)
            self.assertNotIn(data, got, "once")
            got[data] = sent[data]
        self.assertIn(list(sent)[-1], got, "the one without")
        return {tags: data in got for data, tags in list(sent.items())[:-1]}

    def test_stack(self):
        """Without any filter."""
        for family in (4, 6):
            self.assertEqual(self.taken(family, STACKS), STACKS)

    # ctest: vm
    def test_clones(self):
        for name in ("ippacket_in", "transport_in"):
            self.inject("again", name)
            for family in (4, 6):
                at = f"{name}_v{family}"
                self.assertEqual(self.taken(family, STACKS), STACKS, at)
                self.assert_injected(at)
                wait_for(lambda: self.notes(at, "state").count(BY_SELF) > len(STACKS), "each clone is shown again")
                self.assertGreater(self.notes(at, "state").count(NOT_INJECTED), len(STACKS))
            self.clear()
        self.assertEqual(self.daemon.reason("INJECT_REFUSED"), 0)

    def test_permitted(self):
        self.inject("permit", "ippacket_in", "transport_in")
        for family in (4, 6):
            self.assertEqual(self.taken(family, STACKS), STACKS)


class Generic(Tags):
    """The same where TC judges what comes in, which finds the outermost tag beside the frame."""
    mode = ("--mode", "generic")

    # ctest: vm
    def test_clones(self):
        super().test_clones()

    def test_permitted(self):
        super().test_permitted()


class Device(PacketTest):
    """A VLAN device above the NIC that Sluice is loaded onto; not every kernel has them."""
    mode = ()

    def setUp(self):
        super().setUp()
        for namespace, device, host in ((self.client, "nic0", 1), (self.far, "peer0", 2)):
            if namespace.run("ip", "link", "add", "link", device, "name", "v5", "type", "vlan", "id", "5", check=False).returncode or \
                    namespace.run("ip", "link", "set", "v5", "up", "addrgenmode", "none", check=False).returncode:
                self.skipTest("this kernel has no VLAN devices")
            # in XDP a tag is seen only where it is in the frame
            namespace.run("ethtool", "-K", device, "txvlan", "off")
            namespace.ip("addr", "add", f"10.95.0.{host}/24", "dev", "v5")
            namespace.ip("addr", "add", f"fd95::{host}/64", "dev", "v5", "nodad")

    def bound(self, family, kind):
        """A socket of the client's that hears what its VLAN device receives and nothing else."""
        s = self.client.socket(af(family), kind)
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"v5")
        s.settimeout(30 * SLACK)
        s.bind(("10.95.0.1" if family == 4 else "fd95::1", 0))
        return s

    def works(self, name):
        """Datagrams reach the device, and a stream comes and goes by it."""
        self.inject("again", name)
        for family in (4, 6):
            here = self.bound(family, socket.SOCK_DGRAM)
            with self.far.socket(af(family), socket.SOCK_DGRAM) as there:
                for size in (10, 1000):
                    there.sendto(bytes(size), here.getsockname()[:2])
                    self.assertEqual(here.recv(2000), bytes(size))
            listener = self.bound(family, socket.SOCK_STREAM)
            listener.listen()
            with self.far.socket(af(family)) as there:
                there.settimeout(30 * SLACK)
                there.connect(listener.getsockname()[:2])
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(30 * SLACK)
                    sums = hashed_streams({"in": (there, connection), "out": (connection, there)}, 1)
            for sent, received in sums.values():
                self.assertEqual(sent, received)
            self.assertIn(BY_SELF, self.notes(f"{name}_v{family}", "state"))
            self.assert_injected(f"{name}_v{family}")
        self.clear()

    # ctest: vm
    def test_received(self):
        """Clones reach the device of their VLAN."""
        for name in ("ippacket_in", "transport_in"):
            self.works(name)

    # ctest: vm
    def test_sent(self):
        """Clones of what it sends leave in their VLAN."""
        for name in ("transport_out", "ippacket_out"):
            self.works(name)


class GenericDevice(Device):
    mode = ("--mode", "generic")
    load = False

    def setUp(self):
        super().setUp()
        self.nic_load("nic0", *self.mode)

    # ctest: vm
    def test_received(self):
        super().test_received()

    # ctest: vm
    def test_sent(self):
        super().test_sent()


if __name__ == "__main__":
    unittest.main(verbosity=2)
