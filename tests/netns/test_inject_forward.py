# SPDX-License-Identifier: Apache-2.0
"""A machine that forwards, whose callout takes each packet at IPFORWARD and injects a clone into the forward path."""
import json
import os
import socket
import struct
import unittest

from forwarding import GUEST, Forwarding
from harness import BUILD, ICMP6, SERVER4, SLACK, UDP, SluiceTest, af, hashed_streams, server, wait_for

SUCCESS, OVERFLOW, UNREACHABLE = 0, 0x80000005, 0xC000023C
LAYER = {4: 8, 6: 10}


class ForwardTest(Forwarding, SluiceTest):
    def setUp(self):
        super().setUp()
        self.log = self.directory / "forwarder.log"

    def index(self, device):
        with self.client.entered():
            return socket.if_nametoindex(device)

    def forwarder(self, way, **more):
        environment = {"FORWARDER": way, "FORWARDER_LOG": str(self.log), **more}
        self.forwarding = self.host(BUILD / "tests/netns/forwarder.so", callouts=("forward_v4", "forward_v6"), environment=environment)
        for family in (4, 6):
            self.daemon.filter(f"ipforward_v{family}", "callout", f"forward_v{family}")

    def notes(self, key):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [n[key] for n in map(json.loads, lines) if key in n]

    def sizes(self, family, sizes, port=9000):
        """Datagrams of these sizes, from the guest to the server: what arrives of them."""
        receiver = self.far.socket(af(family), socket.SOCK_DGRAM)
        sender = self.guest.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        self.addCleanup(sender.close)
        receiver.bind((server(family), port))
        sender.bind((GUEST[family], 0))
        got = []
        for size in sizes:
            sender.sendto(os.urandom(size), (server(family), port))
            receiver.settimeout(2 * SLACK)
            try:
                got.append(len(receiver.recv(65536)))
            except TimeoutError:
                got.append(None)
        return got

    def stream(self, family, megabytes, back=True):
        """The hashes of what the guest sent and the server received, and the other way round."""
        with self.far.socket(af(family)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((server(family), 9100))
            listener.listen()
            with self.guest.socket(af(family)) as here:
                here.settimeout(60 * SLACK)
                here.connect((server(family), 9100))
                there, _ = listener.accept()
                with there:
                    there.settimeout(60 * SLACK)
                    ways = {"there": (here, there)}
                    if back:
                        ways["back"] = (there, here)
                    else:
                        there.shutdown(socket.SHUT_WR)
                    sums = hashed_streams(ways, megabytes)
        for way, (sent, received) in sums.items():
            self.assertIsNotNone(sent, way)
            self.assertEqual(sent, received, way)


class Forward(ForwardTest):
    # ctest: vm
    def test_again(self):
        """Each packet goes through the callout once, and arrives once."""
        self.forwarder("route")
        for family in (4, 6):
            with self.subTest(family=family):
                before = self.daemon.reason("INJECTED")
                self.assertEqual(self.sizes(family, [0, 1, 512, 1400]), [0, 1, 512, 1400])
                wait_for(lambda: self.daemon.reason("INJECTED") >= before + 4, "they are injected")
                ping = self.guest.run("ping", "-c3", "-i0.2", server(family), check=False)
                self.assertEqual(ping.returncode, 0, ping.stdout)
                self.stream(family, 4)
        wait_for(lambda: len(self.notes("status")) >= 8, "they are completed")
        self.assertEqual(set(self.notes("status")), {SUCCESS})
        self.assertEqual(self.notes("layer")[0], LAYER[4])
        self.assertEqual((self.notes("arrival")[0], self.notes("leaves")[0]), (self.index("nic9"), self.index("nic0")))
        self.assertEqual((self.notes("bytes")[0], self.notes("state")[0]), (28, 0))
        self.assertEqual(self.notes("source")[0], struct.unpack("!I", socket.inet_aton(GUEST[4]))[0])

    def test_unseen(self):
        """No layer counts what is injected: as many packets at IPFORWARD as came, none at the layer behind it."""
        self.forwarder("route")
        self.daemon.filter("outbound_mac_frame_ethernet", "block")  # would stop what is shown to it
        receiver = self.far.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind((SERVER4, 9000))
        self.client.ip("neigh", "replace", SERVER4, "lladdr", self.mac(self.far, "peer0"), "dev", "nic0")
        self.guest.ip("neigh", "replace", "10.99.0.1", "lladdr", self.mac(self.client, "nic9"), "dev", "out0")
        before = self.layer("IPFORWARD_V4")
        with self.guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for n in range(20):
                s.sendto(b"%d" % n, (SERVER4, 9000))
        receiver.settimeout(5 * SLACK)
        self.assertEqual(sorted(int(receiver.recv(16)) for _ in range(20)), list(range(20)))
        self.assertEqual(self.layer("IPFORWARD_V4") - before, 20)

    def mac(self, namespace, device):
        return json.loads(namespace.run("ip", "-j", "link", "show", device).stdout)[0]["address"]

    def layer(self, name):
        """How many packets the layer has counted, whatever came of them."""
        counters = json.loads(self.daemon.do("stats", "--json"))["counters"]
        return sum(c["packets"] for c in counters if name in c["name"].upper())

    def test_interface(self):
        self.forwarder("interface")
        for family in (4, 6):
            self.assertEqual(self.sizes(family, [100]), [100])

    def test_no_way_by_that_interface(self):
        """The loopback interface leads nowhere: the list says so, nothing arrives."""
        self.forwarder("other", FORWARDER_INTERFACE="1")
        for family in (4, 6):
            self.assertEqual(self.sizes(family, [100]), [None])
        wait_for(lambda: len(self.notes("status")) >= 2, "they are completed")
        self.assertEqual(set(self.notes("status")), {UNREACHABLE})
        self.assertGreaterEqual(self.daemon.reason("INJECT_NO_ROUTE"), 2)

    def test_verdicts(self):
        """A callout that permits and one that blocks; the death of its host blocks, too."""
        self.forwarder("permit")
        for family in (4, 6):
            self.assertEqual(self.sizes(family, [0, 1400]), [0, 1400])
            self.stream(family, 2)
        self.forwarding.stop()
        for family in (4, 6):
            self.assertEqual(self.sizes(family, [100], port=9001), [None])

    def test_block(self):
        self.forwarder("block")
        for family in (4, 6):
            self.assertEqual(self.sizes(family, [100]), [None])
        self.assertGreaterEqual(self.daemon.reason("CALLOUT_BLOCK"), 2)


class Mtu(ForwardTest):
    def through(self, mtu):
        for namespace, device in ((self.guest, "out0"), (self.client, "nic9"), (self.client, "nic0"), (self.far, "peer0")):
            namespace.ip("link", "set", device, "mtu", str(mtu))
        self.forwarder("route")
        for family in (4, 6):
            whole = mtu - (28 if family == 4 else 48)
            if family == 6 and mtu < 1280:
                continue
            with self.subTest(family=family):
                self.assertEqual(self.sizes(family, [whole, 2 * whole]), [whole, 2 * whole])
                self.stream(family, 2)

    def test_576(self):
        self.through(576)

    def test_3000(self):
        self.through(3000)

    def test_grown_is_fragmented(self):
        """IPv4 without DF: what is more than the next way takes arrives all the same, in pieces."""
        self.forwarder("grow")
        self.guest.run("sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=1")
        capture = self.capture()
        self.assertEqual(self.sizes(4, [1472, 100]), [1472 + 600, 700])
        wait_for(lambda: len(self.notes("status")) >= 2, "they are completed")
        self.assertEqual(set(self.notes("status")), {SUCCESS})
        pieces = lambda: sorted(len(p.raw) for p in capture.packets(UDP) if p.target == SERVER4)
        wait_for(lambda: len(pieces()) >= 3, "they are captured")
        self.assertEqual(pieces(), [14 + 20 + 2080 - 1480, 14 + 28 + 700, 14 + 1500])

    def test_grown_is_refused(self):
        """With DF, and IPv6: the list has the error, and the sender is told by ICMP."""
        self.forwarder("grow")
        capture = self.capture(self.guest, "out0")
        for family, protocol, kind, code in ((4, 1, 3, 4), (6, ICMP6, 2, 0)):
            with self.subTest(family=family):
                with self.guest.socket(af(family), socket.SOCK_DGRAM) as s:
                    s.setsockopt(*((0, 10) if family == 4 else (41, 23)), 2)  # DF always
                    s.sendto(b"x" * 1400, (server(family), 9000))
                    wait_for(lambda: [p for p in capture.packets(protocol) if self.message(p) == (kind, code, 1500)],
                             "the sender is told")
        wait_for(lambda: len(self.notes("status")) >= 2, "they are completed")
        self.assertEqual(self.notes("status"), [OVERFLOW, OVERFLOW])
        self.assertEqual(self.daemon.reason("INJECT_TOO_BIG"), 2)

    @staticmethod
    def message(packet):
        """Type, code and MTU of an ICMP message."""
        at = 34 if packet.protocol == 1 else 54
        kind, code, mtu4, mtu6 = (*packet.raw[at:at + 2], *struct.unpack("!4xH", packet.raw[at + 2:at + 8]),
                                  *struct.unpack("!I", packet.raw[at + 4:at + 8]))
        return kind, code, mtu4 if packet.protocol == 1 else mtu6


if __name__ == "__main__":
    unittest.main()
