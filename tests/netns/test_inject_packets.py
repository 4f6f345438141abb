# SPDX-License-Identifier: Apache-2.0
"""Callouts that are handed packets one by one, in both directions: IPPACKET, TRANSPORT and ICMP_ERROR.

What they let pass arrives, what they block does not; and a callout that takes every packet and injects a clone of it is
not noticed by who sends and receives.
"""
import json
import os
import socket
import unittest

from forwarding import Forwarding
from harness import BUILD, CLIENT4, CLIENT6, SERVER4, SLACK, SluiceTest, af, hashed_streams, server, wait_for

LAYERS = {"ippacket_in": "inbound_ippacket", "ippacket_out": "outbound_ippacket",
          "transport_in": "inbound_transport", "transport_out": "outbound_transport",
          "icmp_error_in": "inbound_icmp_error", "icmp_error_out": "outbound_icmp_error"}
FLOWS = [name for name in LAYERS if "icmp" not in name]
MEGABYTES = int(os.environ.get("SLUICE_TEST_MEGABYTES", "64"))
PORT_FULL = 0xC000009A  # STATUS_INSUFFICIENT_RESOURCES
NOT_INJECTED, BY_SELF, BY_OTHER = 0, 1, 2


def client(family):
    return CLIENT4 if family == 4 else CLIENT6


class PacketTest(SluiceTest):
    def setUp(self):
        super().setUp()
        self.log = self.directory / "injector.log"
        self.client.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")

    def inject(self, way, *names, families=(4, 6)):
        self.injector = self.host(BUILD / "tests/netns/injector.so", callouts=[f"{n}_v{f}" for n in LAYERS for f in (4, 6)],
                                  environment={"INJECTOR": way, "INJECTOR_LOG": str(self.log)})
        self.filters = [self.daemon.filter(f"{LAYERS[n]}_v{f}", "callout", f"{n}_v{f}") for n in names for f in families]

    def notes(self, at, key=None):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        notes = [n for n in map(json.loads, lines) if n["at"] == at]
        return [n[key] for n in notes if key in n] if key else notes

    def assert_injected(self, at):
        """No injection was refused, but where the port was full, as on a machine too slow for what arrives."""
        self.assertLessEqual(set(self.notes(at, "status")), {PORT_FULL})

    def clear(self):
        for number in self.filters:
            self.daemon.do("filter", "delete", number)
        self.injector.stop()

    def lost(self, family):
        """A datagram to the server or its answer is lost."""
        return self.exchange(family, [100], patience=0.5) == [False]

    def exchange(self, family, sizes=(0, 1, 1000, 1400), port=9000, patience=2 * SLACK):
        """Datagrams of these sizes to the server, which sends each back: what comes of them."""
        answers = []
        with self.far.socket(af(family), socket.SOCK_DGRAM) as there, \
                self.client.socket(af(family), socket.SOCK_DGRAM) as here:
            there.bind((server(family), port))
            here.bind((client(family), 0))
            for s in (here, there):
                s.settimeout(patience)
            for size in sizes:
                data = os.urandom(size)
                try:
                    here.sendto(data, (server(family), port))
                    got, sender = there.recvfrom(65536)
                    self.assertEqual(got, data)
                    there.sendto(got, sender)
                    answers.append(here.recv(65536) == data)
                except (TimeoutError, PermissionError):
                    answers.append(False)
        return answers

    def ping(self, family, count=3, patience=2 * SLACK):
        return self.client.run("ping", "-c", count, "-i0.2", f"-W{patience:g}", server(family), check=False).returncode == 0

    def stream(self, family, megabytes, ways=("out", "in")):
        """What each end, or one of them, sends at once: the hash of what is received is that of what was sent."""
        with self.far.socket(af(family)) as listener, self.client.socket(af(family)) as here:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((server(family), 9100))
            listener.listen()
            here.settimeout((30 + megabytes) * SLACK)
            here.connect((server(family), 9100))
            there, _ = listener.accept()
            with there:
                there.settimeout((30 + megabytes) * SLACK)
                ends = {"out": (here, there), "in": (there, here)}
                sums = hashed_streams({way: ends[way] for way in ways}, megabytes)
        for way, (sent, received) in sums.items():
            self.assertEqual(sent, received, way)
            self.assertIsNotNone(sent, way)

    def refused(self, family, port=9999, patience=2 * SLACK):
        """A connected datagram socket hears that nobody is there."""
        with self.client.socket(af(family), socket.SOCK_DGRAM) as s:
            s.connect((server(family), port))
            return self.hears(s, patience)

    def refuses(self, family, port=9999, patience=2 * SLACK):
        """The server hears that nobody is at the client."""
        with self.far.socket(af(family), socket.SOCK_DGRAM) as s:
            s.connect((client(family), port))
            return self.hears(s, patience)


    @staticmethod
    def hears(s, patience):
        """What it sends is refused."""
        s.settimeout(patience)
        s.send(b"x")
        try:
            return not s.recv(1)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False


class Flows(PacketTest):
    def test_verdicts(self):
        """A callout that permits is not noticed, one that blocks lets nothing by, and nor does one whose host has ended."""
        for name in FLOWS:
            with self.subTest(name):
                self.inject("permit", name)
                for family in (4, 6):
                    self.assertEqual(self.exchange(family), [True] * 4)
                    self.assertTrue(self.ping(family))
                    self.stream(family, 2)
                self.injector.stop()
                for family in (4, 6):
                    self.assertTrue(self.lost(family))
                for number in self.filters:
                    self.daemon.do("filter", "delete", number)
                self.inject("block", name)
                for family in (4, 6):
                    self.assertTrue(self.lost(family))
                    self.assertFalse(self.ping(family, 1, 0.5))
                self.clear()
                for family in (4, 6):
                    self.assertEqual(self.exchange(family, [100]), [True])

    # ctest: vm
    def test_again(self):
        """Every packet is taken, and a clone of it injected: nobody notices."""
        for name in FLOWS:
            with self.subTest(name):
                self.inject("again", name)
                for family in (4, 6):
                    before = self.daemon.reason("INJECTED")
                    self.assertEqual(self.exchange(family), [True] * 4)
                    self.assertTrue(self.ping(family))
                    wait_for(lambda: self.daemon.reason("INJECTED") >= before + 7, "they are injected")
                    self.stream(family, 4)
                    self.assert_injected(f"{name}_v{family}")
                self.clear()

    def test_all_at_once(self):
        self.inject("again", *FLOWS)
        for family in (4, 6):
            self.assertEqual(self.exchange(family), [True] * 4)
            self.assertTrue(self.ping(family))
            self.stream(family, 4)
        self.assertEqual(self.daemon.reason("INJECT_LOOP"), 0)

    def test_two(self):
        """Each of two takes what the other has injected; none takes it twice."""
        self.inject("two", "transport_out", "transport_in")
        for family in (4, 6):
            self.assertEqual(self.exchange(family), [True] * 4)
            self.stream(family, 2)
        self.assertEqual(self.daemon.reason("INJECT_LOOP"), 0)

    def test_for_ever(self):
        """One that injects what it has injected itself is stopped."""
        for name in ("transport_out", "ippacket_out", "transport_in"):
            with self.subTest(name):
                self.inject("ever", name)
                before = self.daemon.reason("INJECT_LOOP")
                self.assertTrue(self.lost(4))
                wait_for(lambda: self.daemon.reason("INJECT_LOOP") > before, "it is stopped")
                self.clear()

    def test_shown(self):
        """Headers, flow, endpoint and interface; the clone as what it is."""
        self.inject("again", *FLOWS)
        for family in (4, 6):
            self.assertEqual(self.exchange(family, [100, 100]), [True] * 2)
            header = 20 if family == 4 else 40
            whole = (header + 108, 0x45 if family == 4 else 0x60)
            shown = {n: self.notes(f"{n}_v{family}") for n in FLOWS}
            with self.client.entered():
                index = socket.if_nametoindex("nic0")
            for name, notes in shown.items():
                notes = [n for n in notes if n["bytes"] >= 100]
                self.assertEqual({n["interface"] for n in notes}, {index}, name)
                self.assertEqual({n["fragment"] for n in notes}, {0}, name)
                # ... or by the handle of the layer before
                first = NOT_INJECTED if name in ("ippacket_in", "transport_out") else BY_OTHER
                self.assertEqual([n["state"] for n in notes[:2]], [first, BY_SELF], (name, notes))
            first = {n: next(x for x in notes if x["bytes"] >= 100) for n, notes in shown.items()}
            data = {n: (x["bytes"], x["ip"], x["transport"]) for n, x in first.items()}
            self.assertEqual(data, {"ippacket_in": (108, header, -1), "ippacket_out": (header + 108, header, 8),
                                    "transport_in": (100, header, 8), "transport_out": (108, -1, 8)})
            self.assertEqual((first["ippacket_out"]["bytes"], first["ippacket_out"]["first"]), whole)
            self.assertEqual([(first[n]["flow"], first[n]["endpoint"]) for n in FLOWS], [(0, 0), (0, 0), (1, 1), (1, 1)])

    def test_fragments(self):
        """Datagrams that leave and arrive in fragments, each of which is a packet."""
        for name in FLOWS:
            with self.subTest(name):
                self.inject("again", name)
                for family in (4, 6):
                    self.assertEqual(self.exchange(family, [2000, 8000]), [True] * 2)
                    self.assert_injected(f"{name}_v{family}")
                    self.assertIn(1, self.notes(f"{name}_v{family}", "fragment"))
                self.clear()

    def test_neighbours(self):
        """Who resolves addresses anew, by packets to groups, does not notice either."""
        self.inject("again", "transport_out", "transport_in")
        for namespace, device in ((self.client, "nic0"), (self.far, "peer0")):
            namespace.ip("neigh", "flush", "dev", device)
        for family in (4, 6):
            self.assertTrue(self.ping(family))

    def test_large_mtu(self):
        for namespace, device in ((self.client, "nic0"), (self.far, "peer0")):
            namespace.ip("link", "set", device, "mtu", "3000")
        self.inject("again", "transport_out", "transport_in")
        for family in (4, 6):
            self.assertEqual(self.exchange(family, [2900]), [True])
            self.stream(family, 4)

    def test_loopback(self):
        """What this machine sends itself goes up twice: as it leaves and as it comes back."""
        self.inject("again", "transport_out", "transport_in")
        for family in (4, 6):
            with self.client.socket(af(family), socket.SOCK_DGRAM) as s:
                s.bind((client(family), 0))
                s.settimeout(5 * SLACK)
                for size in (0, 1000, 3000):
                    s.sendto(bytes(size), s.getsockname()[:2])
                    self.assertEqual(len(s.recv(65536)), size)
            for name in ("transport_out", "transport_in"):
                self.assertEqual(self.notes(f"{name}_v{family}", "interface")[0], 1)
                self.assert_injected(f"{name}_v{family}")

    def test_more_than_fits(self):
        """What no frame holds is refused, and counted as that. No NIC with XDP has such packets, but lo."""
        self.inject("permit", "transport_out")
        before = self.daemon.reason("PORT_FRAME_TOO_BIG")
        with self.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((CLIENT4, 0))
            s.settimeout(5 * SLACK)
            for size in (8000, 1000):
                s.sendto(bytes(size), s.getsockname())
            self.assertEqual(len(s.recv(65536)), 1000)
        self.assertEqual(self.daemon.reason("PORT_FRAME_TOO_BIG"), before + 1)


class Streams(PacketTest):
    def through(self, name, way, megabytes):
        self.inject("again", name)
        for family in (4, 6):
            with self.subTest(family=family):
                before = {r: self.daemon.reason(r) for r in ("INJECT_LOOP", "TICKETS_FULL", "DOWNCALL_STALE")}
                self.stream(family, megabytes, [way])
                self.assertEqual({r: self.daemon.reason(r) for r in before}, before)
                self.assert_injected(f"{name}_v{family}")

    def test_transport_out(self):
        """Super-packets of a local socket go up as segments, and each leaves as a clone."""
        self.through("transport_out", "out", MEGABYTES)

    def test_ippacket_out(self):
        self.through("ippacket_out", "out", MEGABYTES // 2)

    def test_transport_in(self):
        """What was coalesced as it arrived goes up as segments."""
        self.through("transport_in", "in", MEGABYTES // 2)

    def test_acknowledgements(self):
        """Those of the data that arrives go up as well."""
        self.through("transport_out", "in", MEGABYTES // 4)


class Errors(PacketTest):
    def test_seen(self):
        """A permit lets the error reach its socket, and shows what it quotes."""
        self.inject("permit", "icmp_error_in", "icmp_error_out")
        for family, kind in ((4, 3), (6, 1)):
            header = 20 if family == 4 else 40
            self.assertTrue(self.refused(family))
            self.assertTrue(self.refuses(family))
            came, = self.notes(f"icmp_error_in_v{family}")
            self.assertEqual((came["type"], came["quoted"], came["port"]), (kind, 17, 9999))
            self.assertEqual((came["bytes"], came["first"], came["ip"], came["transport"]),
                             (header + 9, 0x45 if family == 4 else 0x60, header + 8, 0))
            went, = self.notes(f"icmp_error_out_v{family}")
            self.assertEqual((went["type"], went["first"], went["transport"], went["ip"]), (kind, kind, 8, -1))

    def test_blocked(self):
        self.inject("block", "icmp_error_in", "icmp_error_out")
        for family in (4, 6):
            self.assertFalse(self.refused(family, patience=0.5))
            self.assertFalse(self.refuses(family, patience=0.5))
            self.assertTrue(self.ping(family))

    def test_again(self):
        self.inject("again", "icmp_error_in", "icmp_error_out")
        for family in (4, 6):
            self.assertTrue(self.refused(family))
            self.assertTrue(self.refuses(family))
            for name in ("icmp_error_in", "icmp_error_out"):
                self.assertEqual(self.notes(f"{name}_v{family}", "state"), [NOT_INJECTED, BY_SELF])
                self.assert_injected(f"{name}_v{family}")


class PassingErrors(Forwarding, PacketTest):
    """ICMP errors that the machine only forwards, and those that it makes about what it forwards."""

    def test_passing(self):
        """They are IPFORWARD's and INBOUND_IPPACKET's; a callout at the layers of errors neither sees nor stops them."""
        self.inject("block", "icmp_error_in", "icmp_error_out")
        number = self.daemon.filter("inbound_ippacket_v4", "callout", "ippacket_in_v4")  # the same plugin: blocks
        self.assertFalse(self.strays(4, patience=0.5))
        self.daemon.do("filter", "delete", number)
        for family in (4, 6):
            self.assertTrue(self.strays(family), family)
            self.assertFalse(self.refused(family, patience=0.5), "one for this machine")
            self.assertEqual(len(self.notes(f"icmp_error_in_v{family}")), 1)
            self.assertEqual(self.notes(f"icmp_error_out_v{family}"), [])
            number = self.daemon.filter(f"ipforward_v{family}", "block")
            self.assertFalse(self.strays(family, patience=0.5), family)
            self.daemon.do("filter", "delete", number)

    def test_made_here(self):
        """What it cannot forward it says itself: that is sent by this machine."""
        self.inject("permit", "icmp_error_in", "icmp_error_out")
        for family in (4, 6):
            hops = (socket.IPPROTO_IP, socket.IP_TTL) if family == 4 else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
            with self.guest.socket(af(family), socket.SOCK_DGRAM) as s:
                s.setsockopt(*hops, 1)
                s.sendto(b"x", (server(family), 9999))
            came, = wait_for(lambda: self.notes(f"icmp_error_out_v{family}"), "the error is shown")
            self.assertEqual(came["type"], {4: 11, 6: 3}[family])
            self.assertEqual(self.notes(f"icmp_error_in_v{family}"), [])

    def strays(self, family, port=9999, patience=2 * SLACK):
        """The guest hears, through this machine, that nobody is at the server's port."""
        with self.guest.socket(af(family), socket.SOCK_DGRAM) as s:
            s.connect((server(family), port))
            return self.hears(s, patience)


if __name__ == "__main__":
    unittest.main()
