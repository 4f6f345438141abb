# SPDX-License-Identifier: Apache-2.0
"""TCP where the device takes larger packets than a port's frame holds: what connections offer as their MSS is lowered
while callouts of packet layers are asked about what comes back, and left alone otherwise."""
import json
import socket
import struct
import unittest

from harness import ACK, CLIENT4, CLIENT6, ETH_P_ALL, SERVER4, SERVER6, SLACK, SYN, TCP, af, hashed_streams, server, wait_for
from test_inject_forward import ForwardTest
from test_inject_packets import MEGABYTES, PacketTest, client

LOCAL = {4: "127.0.0.1", 6: "::1"}
MOST = {4: 3096, 6: 3076}  # MSS
JUMBO = "9000"


class Connections:
    """A mixin: connections between two namespaces whose segments are looked at."""

    def stretch(self, mtu, **more):
        """XDP at one end of a veth pair limits the other, so the NICs are loaded anew."""
        pairs = {"nic0": (self.far, "peer0"), **more}
        for near, (far, peer) in pairs.items():
            self.daemon.do("nic", "unload", near, namespace=self.client)
            self.client.ip("link", "set", near, "mtu", mtu)
            far.ip("link", "set", peer, "mtu", mtu)
        for near in pairs:
            self.nic_load(near)

    def connected(self, family, near, far, address):
        listener, here = far.socket(af(family)), near.socket(af(family))
        self.addCleanup(listener.close)
        self.addCleanup(here.close)
        listener.bind((address, 0))
        listener.listen()
        here.settimeout((30 + MEGABYTES) * SLACK)
        here.connect((address, listener.getsockname()[1]))
        there, _ = listener.accept()
        self.addCleanup(there.close)
        there.settimeout((30 + MEGABYTES) * SLACK)
        return here, there

    @staticmethod
    def segments(*ends):
        """The largest segment that each end sends."""
        return [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for s in ends]

    def assert_streams(self, family, near, far, address, megabytes, ways=("out", "in")):
        """Nothing is too large for a frame, and what is received is what was sent."""
        before = self.daemon.reason("PORT_FRAME_TOO_BIG")
        here, there = self.connected(family, near, far, address)
        ends = {"out": (here, there), "in": (there, here)}
        for way, (sent, received) in hashed_streams({w: ends[w] for w in ways}, megabytes).items():
            self.assertIsNotNone(sent, way)
            self.assertEqual(sent, received, way)
        self.assertEqual(self.daemon.reason("PORT_FRAME_TOO_BIG"), before)
        return self.segments(here, there)

    def assert_whole(self, near, far, addresses):
        for family, address in addresses.items():
            ends = self.connected(family, near, far, address)
            self.assertGreater(min(self.segments(*ends)), 8000, family)


class Segments(Connections, PacketTest):
    def at(self, place):
        """The other end, and its addresses."""
        return (self.client, LOCAL) if place == "lo" else (self.far, {4: SERVER4, 6: SERVER6})

    def through(self, place, *names, megabytes=MEGABYTES, ways=("out",), lowered=(True, True)):
        """Streams through callouts that take each segment and inject a clone."""
        self.inject("again", *names)
        far, addresses = self.at(place)
        for family in (4, 6):
            with self.subTest(names=names, family=family):
                sizes = self.assert_streams(family, self.client, far, addresses[family], megabytes, ways)
                self.assertEqual([s <= MOST[family] for s in sizes], list(lowered), sizes)
                for name in names:
                    self.assert_injected(f"{name}_v{family}")
        self.clear()

    # ctest: slow
    def test_loopback(self):
        self.through("lo", "transport_out")
        self.through("lo", "transport_in")

    def test_loopback_packets(self):
        self.through("lo", "ippacket_out", megabytes=8, ways=("out", "in"))
        self.through("lo", "ippacket_in", megabytes=8, ways=("out", "in"))

    # ctest: slow
    def test_jumbo(self):
        """What the callout's direction does not concern stays as large as it may be."""
        self.stretch(JUMBO)
        self.through("nic", "transport_out", lowered=(True, False))
        self.through("nic", "transport_in", ways=("in",), lowered=(False, True))

    def test_jumbo_packets(self):
        self.stretch(JUMBO)
        self.through("nic", "ippacket_out", "ippacket_in", megabytes=8, ways=("out", "in"))

    def test_from_ports(self):
        """XDP hands the SYN up, and it comes back by a port behind the program that would lower its offer."""
        self.stretch("3400")
        self.through("nic", "ippacket_in", "transport_out", megabytes=8, ways=("out", "in"))

    def test_accepted(self):
        """Connections that come in."""
        self.stretch(JUMBO)
        self.inject("again", "transport_out", "transport_in")
        for family in (4, 6):
            sizes = self.assert_streams(family, self.far, self.client, client(family), 8)
            self.assertLessEqual(max(sizes), MOST[family])

    def test_permitted(self):
        """Also where the callout only looks."""
        self.inject("permit", "transport_out", "transport_in")
        for family in (4, 6):
            sizes = self.assert_streams(family, self.client, self.client, LOCAL[family], 8)
            self.assertLessEqual(max(sizes), MOST[family])

    def test_untouched(self):
        """Without a filter, with one that asks nobody, with one of the other family."""
        self.stretch(JUMBO)
        for place in ("lo", "nic"):
            self.assert_whole(self.client, *self.at(place))
        blocking = [self.daemon.filter(f"{layer}_v{family}", "block", protocol="udp", remote_port=9)
                    for layer in ("outbound_transport", "inbound_transport") for family in (4, 6)]
        for place in ("lo", "nic"):
            self.assert_whole(self.client, *self.at(place))
        for number in blocking:
            self.daemon.do("filter", "delete", number)
        self.inject("permit", "transport_out", "transport_in", families=(4,))
        for place in ("lo", "nic"):
            far, addresses = self.at(place)
            self.assert_whole(self.client, far, {6: addresses[6]})
            ends = self.connected(4, self.client, far, addresses[4])
            self.assertLessEqual(max(self.segments(*ends)), MOST[4])
        self.clear()
        for place in ("lo", "nic"):
            self.assert_whole(self.client, *self.at(place))

    def test_small_offers(self):
        """What is offered is lowered, never raised; other options stay."""
        self.inject("permit", "transport_out", "transport_in")
        for family in (4, 6):
            with self.client.socket(af(family)) as listener, self.client.socket(af(family)) as here:
                for s in (listener, here):
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
                listener.bind((LOCAL[family], 0))
                listener.listen()
                here.settimeout(5 * SLACK)
                here.connect(listener.getsockname()[:2])
                there, _ = listener.accept()
                with there:
                    self.assertLessEqual(max(self.segments(here, there)), 1000)
                    self.assertGreater(min(self.segments(here, there)), 900)


STRANGER = {4: "10.91.0.77", 6: "fd91::77"}  # of whom only this test knows
SIZE = struct.pack("!BBH", 2, 4, 8960)
SCALE, NOP, END = b"\3\3\7", b"\1", b"\0"
OFFERS = {  # options of a SYN: whether the MSS is understood
    SIZE: True, SCALE + SIZE + NOP: True, NOP + SIZE + SCALE: True, NOP * 36 + SIZE: True, NOP * 35 + SIZE + NOP: True,
    b"": False, END + SIZE + NOP * 3: False, b"\2\3\x23" + SIZE + NOP: True, NOP * 3 + b"\2": False, SCALE + b"\2": False,
    b"\xfe\0" + SIZE + NOP * 2: False, b"\xfe\x28" + SIZE + NOP * 2: False, b"\xfd\x04ab" + SIZE: True,
}


class Offers(Connections, PacketTest):
    """SYNs that are made by hand, to a listener that says what it made of them."""

    def setUp(self):
        super().setUp()
        self.stretch(JUMBO)
        self.wire = self.far.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.addCleanup(self.wire.close)
        self.wire.bind(("peer0", ETH_P_ALL))
        macs = [json.loads(n.run("ip", "-j", "link", "show", d).stdout)[0]["address"]
                for n, d in ((self.client, "nic0"), (self.far, "peer0"))]
        self.link = bytes.fromhex("".join(macs).replace(":", ""))
        for stranger in STRANGER.values():
            self.client.ip("neigh", "add", stranger, "lladdr", macs[1], "dev", "nic0")

    def send(self, family, ports, numbers, flags, options=b""):
        source, target = (socket.inet_pton(af(family), a) for a in (STRANGER[family], client(family)))
        segment = struct.pack("!HHIIBBHHH", *ports, *numbers, (20 + len(options)) // 4 << 4, flags, 65535, 0, 0) + options
        segment = segment[:16] + struct.pack("!H", self.checksum(source + target + struct.pack("!II", TCP, len(segment)) + segment)) + segment[18:]
        if family == 4:
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, TCP, 0) + source + target
            header = header[:10] + struct.pack("!H", self.checksum(header)) + header[12:]
        else:
            header = struct.pack("!IHBB", 6 << 28, len(segment), TCP, 64) + source + target
        self.wire.send(self.link + (b"\x08\x00" if family == 4 else b"\x86\xdd") + header + segment)

    @staticmethod
    def checksum(data):
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return ~total & 0xFFFF

    def accepted(self, family, port, options):
        """The MSS that a listener uses towards a stranger who offers this: its checksum must still be right."""
        capture = self.capture()
        with self.client.socket(af(family)) as listener:
            listener.bind((client(family), 0))
            listener.listen()
            listener.settimeout(5 * SLACK)
            ports = (port, listener.getsockname()[1])
            self.send(family, ports, (1000, 0), SYN, options)
            answer = wait_for(lambda: capture.packets(TCP, sport=ports[1], dport=port, flags=SYN), "the SYN is answered")[0]
            at = 14 + (20 if family == 4 else 40)
            self.send(family, ports, (1001, struct.unpack("!I", answer.raw[at + 4:at + 8])[0] + 1), ACK)
            there, _ = listener.accept()
            capture.close()
            with there:
                return self.segments(there)[0]

    def test_shapes(self):
        """An MSS anywhere among the options; what is malformed stays as it is, and is the stack's to judge."""
        self.inject("permit", "transport_out")
        for family in (4, 6):
            default = {4: 536, 6: 1220}[family]
            for number, (options, understood) in enumerate(OFFERS.items()):
                with self.subTest(family=family, options=options.hex()):
                    size = self.accepted(family, 20000 + number, options)
                    self.assertLessEqual(size, MOST[family])
                    if not understood:
                        self.assertLessEqual(size, default)
                    else:
                        self.assertGreater(size, MOST[family] - 20)


class Forwarded(Connections, ForwardTest):
    def test_forwarded(self):
        """Segments of others' connections, through a machine whose devices take them larger than its callout may see."""
        self.stretch(JUMBO, nic9=(self.guest, "out0"))
        addresses = {family: server(family) for family in (4, 6)}
        self.assert_whole(self.guest, self.far, addresses)
        self.forwarder("route")
        for family in (4, 6):
            sizes = self.assert_streams(family, self.guest, self.far, server(family), 8)
            self.assertLessEqual(max(sizes), MOST[family])


if __name__ == "__main__":
    unittest.main(verbosity=2)
