# SPDX-License-Identifier: Apache-2.0
"""Established flows pass by one look-up: their counters stay right, and what ends or blocks them is obeyed at once."""
import contextlib
import json
import socket
import struct
import time
import unittest

from bpf_maps import PinnedMap, entries
from harness import *

VALID = 1 << 63
SETS_OF = 7


class EstablishedTest(SluiceTest):
    def setUp(self):
        super().setUp()
        self.server = self.serve()

    def passed(self):
        """Packets that have gone by the cache."""
        return self.daemon.reason("FLOW_CACHED")

    def cached(self):
        """Flows that have an entry there: by their own port."""
        ports = []
        for _, value in entries(self.daemon.pins, "flow_cache"):
            for at in range(64, 64 + 64 * SETS_OF, 64):
                if struct.unpack_from("Q", value, at)[0] & VALID:
                    ports.append(struct.unpack_from("H", value, at + 40)[0])
        return ports

    def counted(self, port):
        """(packets, bytes) of the flow whose own port this is."""
        for key, value in entries(self.daemon.pins, "flows"):
            if struct.unpack_from("H", key, 32)[0] == port:
                return struct.unpack_from("QQ", value, 72)
        return None

    def connection(self, family=4, port=80):
        attempt = self.attempt(server(family), port)
        self.assertEqual(attempt.wait(), 0)
        attempt.socket.settimeout(5 * SLACK)
        return attempt.socket

    def echo(self, connection, times):
        for _ in range(times):
            connection.sendall(b"x" * 100)
            got = b""
            while len(got) < 100:
                got += connection.recv(100 - len(got))

    def seen(self, capture, port):
        """(packets, bytes) of both directions, with a port of the client."""
        frames = [p for p in map(parse, list(capture.frames)) if p and port in (p.sport, p.dport)]
        return len(frames), sum(len(p.raw) for p in frames)

    def agree(self, capture, port):
        wait_for(lambda: self.counted(port) == self.seen(capture, port) and self.seen(capture, port)[0],
                 "flow and capture count the same", 10)

    def pair(self, family):
        """A datagram socket of each side, connected to the other."""
        ours, theirs = self.datagram_socket(family), self.far.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(theirs.close)
        ours.connect((server(family), 0x1234))
        theirs.bind((server(family), 0x1234))
        own = ours.getsockname()
        theirs.connect(own[:2])
        for s in (ours, theirs):
            s.settimeout(2 * SLACK)
        return ours, theirs

    def more(self, ours, theirs):
        ours.send(b"more")
        self.assertEqual(theirs.recv(100), b"more")
        return self.cached()

    def layer(self, name):
        counters = json.loads(self.daemon.do("stats", "--json"))["counters"]
        return sum(c["packets"] for c in counters if c["name"].upper().endswith(name.upper()))


class Established(EstablishedTest):
    # ctest: vm
    def test_counters_of_a_connection_and_of_datagrams_are_right(self):
        capture = self.capture()
        for family in (4, 6):
            connection, (ours, theirs) = self.connection(family), self.pair(family)
            self.echo(connection, 200)
            for _ in range(200):
                ours.send(b"there")
                self.assertEqual(theirs.recv(100), b"there")
                theirs.send(b"and back")
                self.assertEqual(ours.recv(100), b"and back")
            for s in (connection, ours):
                self.agree(capture, s.getsockname()[1])
        self.assertGreater(self.passed(), 1200)
        self.assertEqual(capture.lost(), 0)

    def test_counters_over_lo(self):
        server_socket = self.client.socket(socket.AF_INET)
        self.addCleanup(server_socket.close)
        server_socket.bind(("127.0.0.1", 0))
        server_socket.listen()
        connection = self.client.socket(socket.AF_INET)
        self.addCleanup(connection.close)
        connection.connect(server_socket.getsockname())
        accepted, _ = server_socket.accept()
        self.addCleanup(accepted.close)
        capture = self.capture(self.client, "lo")
        before = self.passed()
        for _ in range(200):
            connection.sendall(b"there")
            self.assertEqual(accepted.recv(100), b"there")
        wait_for(lambda: self.passed() - before > 700, "they pass by the cache, at both ends", 5)
        self.assertGreater(len(capture.frames), 300)

    def test_a_block_is_obeyed_by_the_next_packet_out(self):
        for family in (4, 6):
            ours, theirs = self.pair(family)
            for round in range(10):
                ours.send(b"there")
                self.assertEqual(theirs.recv(100), b"there")
                wait_for(lambda: ours.getsockname()[1] in self.more(ours, theirs), "it is in the cache")
                block = self.daemon.filter(f"ale_auth_connect_v{family}", port=0x1234)
                with contextlib.suppress(OSError):
                    ours.send(b"blocked")
                theirs.settimeout(0.1)
                with self.assertRaises(TimeoutError):
                    theirs.recv(100)
                theirs.settimeout(2 * SLACK)
                self.daemon.do("filter", "delete", block)

                def permitted():
                    with contextlib.suppress(OSError):
                        ours.send(b"again")
                        return theirs.recv(100) == b"again"
                wait_for(permitted, "it is permitted again")

    def test_a_block_is_obeyed_by_the_next_packet_in(self):
        ours, theirs = self.pair(4)
        theirs.send(b"hello")
        self.assertEqual(ours.recv(100), b"hello")
        for _ in range(20):
            theirs.send(b"hello")
            self.assertEqual(ours.recv(100), b"hello")
        self.assertIn(ours.getsockname()[1], self.cached())
        self.daemon.filter("ale_auth_recv_accept_v4", remote=SERVER4)
        theirs.send(b"blocked")
        ours.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            ours.recv(100)
        self.assertNotIn(ours.getsockname()[1], self.cached())

    def test_a_connection_that_ends_leaves_no_entry(self):
        capture = self.capture()
        connection, other = self.connection(), self.connection()
        self.echo(connection, 20)
        self.echo(other, 20)
        port = connection.getsockname()[1]
        self.assertIn(port, self.cached())
        connection.close()
        wait_for(lambda: port not in self.cached(), "its entry is gone")
        self.assertIn(other.getsockname()[1], self.cached())
        self.agree(capture, port)

    def test_the_socket_of_another_user_does_not_inherit(self):
        self.daemon.filter("ale_auth_connect_v4", user="65534")
        first, theirs = self.pair(4)
        port = first.getsockname()[1]
        for _ in range(20):
            first.send(b"root's")
            self.assertEqual(theirs.recv(100), b"root's")
        self.assertIn(port, self.cached())
        first.close()
        sent = self.client.run("setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                               "import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                               f"s.bind(('', {port}))\ns.sendto(b'nobody', ('{SERVER4}', 0x1234))", check=False)
        self.assertIn("Operation not permitted", sent.stderr)
        theirs.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            theirs.recv(100)

    def test_a_connection_goes_on_and_is_counted_while_sluiced_is_dead(self):
        capture = self.capture()
        connection = self.connection()
        self.echo(connection, 20)
        self.daemon.kill()
        self.echo(connection, 200)
        self.daemon.start()
        self.agree(capture, connection.getsockname()[1])

    def test_a_layer_that_judges_each_packet_is_asked_about_each(self):
        connection = self.connection()
        self.echo(connection, 50)
        wait_for(lambda: self.passed() > 100, "they pass by the cache")
        self.daemon.filter("outbound_transport_v4", action="permit", port=80)
        self.echo(connection, 5)
        time.sleep(0.6)
        before, layer = self.passed(), self.layer("OUTBOUND_TRANSPORT_V4.permit")
        self.echo(connection, 50)
        time.sleep(0.6)
        # What comes in passes by it all the same.
        self.assertGreaterEqual(self.layer("OUTBOUND_TRANSPORT_V4.permit") - layer, 50)
        self.assertLess(self.passed() - before, 60)


class Full(EstablishedTest):
    """A cache of one set: what has no room goes the long way."""
    start = False

    def setUp(self):
        super().setUp()
        self.daemon.options = ["--cached-flows", SETS_OF]
        self.daemon.start()
        self.nic_load()

    # ctest: vm
    def test_more_flows_than_it_has_room_for(self):
        capture = self.capture()
        connections = [self.connection() for _ in range(3 * SETS_OF)]
        for connection in connections:
            self.echo(connection, 20)
        for connection in connections:
            self.agree(capture, connection.getsockname()[1])
        first = self.cached()
        self.assertEqual(len(first), SETS_OF)
        for connection in reversed(connections):
            self.echo(connection, 20)
        self.assertEqual(sorted(self.cached()), sorted(first), "a new flow takes nothing from one that is in use")
        self.assertGreater(self.passed(), 20 * SETS_OF)


class Million(EstablishedTest):
    """Room for a million flows, in the memory that ARCHITECTURE.md states."""
    start = False

    def setUp(self):
        super().setUp()
        self.daemon.options = ["--flows-max", 1 << 20, "--cached-flows", 1 << 20]
        self.daemon.start()
        self.nic_load()

    def test_a_million_flows(self):
        for name, count, mebibytes in ("flows", 1 << 20, 20), ("flow_cache", 1 << 18, 128):
            for path in self.daemon.pins.glob(f"*/{name}"):
                with PinnedMap(path) as pinned:
                    self.assertEqual(int(pinned.info["max_entries"]), count)
                    self.assertLessEqual(pinned.bytes, (mebibytes + 1) << 20)
        connection = self.connection()
        self.echo(connection, 20)
        self.assertIn(connection.getsockname()[1], self.cached())


if __name__ == "__main__":
    unittest.main(verbosity=2)
