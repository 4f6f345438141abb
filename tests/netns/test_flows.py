# SPDX-License-Identifier: Apache-2.0
"""ALE_FLOW_ESTABLISHED, DATAGRAM_DATA and contexts on flows, by a plugin that tells what it saw (flows.cpp)."""
import contextlib
import errno
import json
import os
import select
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import ACK, BUILD, CLIENT4, CLIENT6, RST, SERVER4, SERVER6, SLACK, SLUICED, TCP, SluiceTest, af, \
    measured, server, wait_for
from test_driver import variable

PLUGIN = BUILD / "tests/netns/flows.so"
ESTABLISHED, ASSOCIATED, DELETED, UNKNOWN_DELETES, REFUSED = range(5)  # of flows_counters
STATUS_SUCCESS, STATUS_PENDING, STATUS_UNSUCCESSFUL, STATUS_DEVICE_BUSY = 0, 0x103, 0xC0000001, 0x80000011
IDLE = 60  # seconds after which a flow without a socket ends


def client(family):
    return CLIENT4 if family == 4 else CLIENT6


class Flows(SluiceTest):
    def flows(self, *words):
        self.log = self.directory / "flows"
        self.plugin = self.host(PLUGIN, environment={"SLUICE_FLOWS": " ".join(words), "SLUICE_FLOWS_LOG": str(self.log)},
                                callouts=("flows_established_v4", "flows_known_v6"))

    def at_established(self, *protocols, **more):
        """Not of ICMP unless it is asked for: neighbours are discovered by it."""
        for protocol in protocols or ("tcp", "udp"):
            for family in (4, 6):
                if protocol != ("icmpv6", "icmp")[family == 6]:
                    self.daemon.filter(f"ale_flow_established_v{family}", "callout", f"flows_established_v{family}",
                                       protocol=protocol, **more)

    def at_datagram(self, which):
        for family in (4, 6):
            self.daemon.filter(f"datagram_data_v{family}", "callout", f"flows_{which}_v{family}", protocol="udp")

    def lines(self, *beginning):
        text = self.log.read_text() if self.log.exists() else ""
        return [line.split() for line in text.splitlines() if line.split()[:len(beginning)] == list(map(str, beginning))]

    def wait_lines(self, count, *beginning, timeout=10):
        wait_for(lambda: len(self.lines(*beginning)) >= count, f"{count} lines {beginning} in\n"
                 f"{self.log.read_text() if self.log.exists() else ''}", timeout)
        return self.lines(*beginning)

    def counters(self):
        return variable(self.plugin.pid, PLUGIN, "flows_counters", 5)

    def flows_left(self, **wanted):
        return [f for f in self.daemon.list("flow") if all(f[k] == v for k, v in wanted.items())]

    def connection(self, family):
        s = self.client.socket(af(family))
        self.addCleanup(s.close)
        s.settimeout(10 * SLACK)
        s.connect((server(family), 80))
        return s

    def echo(self, s, data=b"x"):
        s.sendall(data)
        got = b""
        while len(got) < len(data):
            got += s.recv(len(data) - len(got))
        self.assertEqual(got, data)

    def listener(self, family, kind=socket.SOCK_STREAM, port=81):
        """Of a socket in the namespace that Sluice looks after."""
        s = self.client.socket(af(family), kind)
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((client(family), port))
        s.settimeout(10 * SLACK)
        if kind == socket.SOCK_STREAM:
            s.listen(16)
        return s

    def peer(self, family, kind=socket.SOCK_STREAM, port=81):
        s = self.far.socket(af(family), kind)
        self.addCleanup(s.close)
        s.settimeout(10 * SLACK)
        s.connect((client(family), port))
        return s


class Established(Flows):
    # ctest: vm
    def test_it_is_seen_once_a_flow_on_the_side_that_began_it_and_on_the_other(self):
        self.serve()
        self.flows()
        self.at_established("tcp", "udp", "icmp", "icmpv6")
        for family in (4, 6):
            v, echo_request = f"v{family}", 8 if family == 4 else 128
            s = self.connection(family)
            for _ in range(3):
                self.echo(s)
            self.assertEqual(self.lines("established", v, 6), [["established", v, "6", str(s.getsockname()[1]), "80", "out", "1"]])
            s.close()
            s = self.datagram_socket(family, connect=80)
            for _ in range(3):
                s.send(b"x")
            self.wait_lines(1, "established", v, 17)
            port = s.getsockname()[1]
            listening, datagrams = self.listener(family), self.listener(family, socket.SOCK_DGRAM)
            peer, sender = self.peer(family), self.peer(family, socket.SOCK_DGRAM)
            accepted, _ = listening.accept()
            self.addCleanup(accepted.close)
            peer.sendall(b"to the server")
            self.assertEqual(accepted.recv(100), b"to the server")
            accepted.sendall(b"and back")
            self.assertEqual(peer.recv(100), b"and back")
            for i in range(3):
                sender.send(b"%d" % i)
                self.assertEqual(datagrams.recvfrom(10)[0], b"%d" % i)
            datagrams.sendto(b"answer", sender.getsockname())
            self.assertEqual(sender.recv(10), b"answer")
            for namespace, to in ((self.client, server(family)), (self.far, client(family))):
                namespace.run("ping", "-c3", "-i0.1", "-W5", to)
            self.assertEqual(self.lines("established", v, 17),
                             [["established", v, "17", str(port), "80", "out", "1"],
                              ["established", v, "17", "81", str(sender.getsockname()[1]), "in", "1"]])
            self.assertEqual(self.lines("established", v, 6)[1:],
                             [["established", v, "6", "81", str(peer.getsockname()[1]), "in", "1"]])
            icmp = self.lines("established", v, 1 if family == 4 else 58, echo_request)
            self.assertEqual([line[4:] for line in icmp], [["0", "out", "1"], ["0", "in", "1"]])

    def test_a_block_there_ends_the_connection(self):
        served = self.serve()
        self.flows("block")
        self.at_established()
        for family in (4, 6):
            attempt = self.attempt(server(family))
            self.assertIn(attempt.wait(), (errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM, errno.ECONNREFUSED))
            listening = self.listener(family)
            listening.settimeout(1)
            peer = self.peer(family)  # its own handshake was over with our SYN-ACK
            peer.settimeout(60 * SLACK)
            with self.assertRaises(TimeoutError):
                listening.accept()
            s = self.datagram_socket(family, connect=80)
            s.send(b"x")
            with self.assertRaises(OSError):
                for _ in range(100):
                    time.sleep(0.05)
                    s.send(b"y")
            peer.close()
        self.assertEqual((served.accepted, served.datagrams), (0, []))

    def test_what_comes_behind_waits_and_keeps_its_order(self):
        served = self.serve()
        self.flows("slow")
        self.at_established()
        block = os.urandom(1 << 20)
        for family in (4, 6):
            s = self.datagram_socket(family, connect=80)
            for i in range(20):
                s.send(b"%d of %d" % (i, family))
            wait_for(lambda: len(served.datagrams) >= 20, "20 datagrams")
            self.assertEqual([data for _, data, _ in served.datagrams], [b"%d of %d" % (i, family) for i in range(20)])
            served.datagrams.clear()
            listening, peer = self.listener(family), self.peer(family)
            began = time.time()
            peer.sendall(block[:50000])
            accepted, _ = listening.accept()
            self.addCleanup(accepted.close)
            self.assertGreater(time.time() - began, 0.2, "the connection is there before it is established")
            accepted.settimeout(30 * SLACK)
            rest = threading.Thread(target=peer.sendall, args=(block[50000:],))
            rest.start()
            got = b""
            while len(got) < len(block):
                got += accepted.recv(1 << 20)
            rest.join()
            self.assertEqual(got, block)

    def test_filters_alone_judge_there_too(self):
        served = self.serve()
        for family in (4, 6):
            self.daemon.filter(f"ale_flow_established_v{family}", "block", protocol="tcp")
            self.daemon.filter(f"datagram_data_v{family}", "block", protocol="udp")
            self.assertNotEqual(self.attempt(server(family)).wait(), 0)
            s = self.datagram_socket(family, connect=80)
            s.send(b"x")
            self.client.run("ping", "-c1", "-W5", server(family))
        self.assertEqual((served.accepted, served.datagrams), (0, []))

    def test_a_host_that_ends_meanwhile_leaves_its_filters_outcome(self):
        self.serve()
        self.flows("slow")
        self.at_established("tcp", permit_on_loss=True)
        attempt = self.attempt()
        self.wait_lines(1, "established", "v4", 6)
        self.plugin.kill()
        self.assertEqual(attempt.wait(), 0)


class Contexts(Flows):
    def datagrams_of(self, which, family, protocol=17):
        return self.lines("datagram", f"flows_{which}_v{family}", protocol)

    # ctest: vm
    def test_the_first_datagram_has_the_context_that_was_set_when_its_flow_was_established(self):
        served = self.serve()
        self.flows("context")
        self.at_established()
        self.at_datagram("datagram")
        for family in (4, 6):
            s = self.datagram_socket(family, connect=80)
            s.send(b"first")
            s.send(b"second")
            wait_for(lambda: len(served.datagrams) == 2, "two datagrams")
            served.datagrams.clear()
            mine = self.datagrams_of("datagram", family)
            self.assertEqual([(line[3], line[5]) for line in mine], [("out", "first"), ("out", "second")])
            self.assertEqual(mine[0][4], mine[1][4])
            self.assertNotEqual(mine[0][4], "0")
            s.close()
            self.wait_lines(1, "deleted", f"flows_datagram_v{family}")
            self.assertEqual([line[3] for line in self.lines("deleted", f"flows_datagram_v{family}")], [mine[0][4]])
            self.wait_lines(1, "deleted", f"flows_known_v{family}")
            receiver, sender = self.listener(family, socket.SOCK_DGRAM), self.peer(family, socket.SOCK_DGRAM)
            sender.send(b"inbound")
            self.assertEqual(receiver.recv(100), b"inbound")
            line = self.datagrams_of("datagram", family)[-1]
            self.assertEqual((line[3], line[5]), ("in", "inbound"))
            self.assertNotEqual(line[4], "0")
            sender.send(b"refuse this")
            sender.send(b"not this")
            self.assertEqual(receiver.recv(100), b"not this")
        self.assertEqual(self.counters()[UNKNOWN_DELETES:], (0, 0))

    def test_conditional_on_flow_passes_over_flows_without_a_context(self):
        served = self.serve()
        self.flows()
        self.at_datagram("known")
        for family in (4, 6):
            s = self.datagram_socket(family, connect=80)
            s.send(b"unknown")
            wait_for(lambda: served.datagrams, "a datagram that no callout was asked about")
            served.datagrams.clear()
            self.assertEqual(self.datagrams_of("known", family), [])
        self.plugin.stop()
        self.flows("context")
        self.at_established()
        for family in (4, 6):
            s = self.datagram_socket(family, connect=80)
            s.send(b"known")
            wait_for(lambda: served.datagrams, "a datagram")
            served.datagrams.clear()
            self.assertEqual([(line[3], line[4] != "0", line[5]) for line in self.datagrams_of("known", family)],
                             [("out", True, "known")])

    def ended(self, count, what, timeout=10):
        """Every context has gone, each once."""
        wait_for(lambda: self.counters()[DELETED] >= count, f"{count} contexts end: {what}, {self.counters()}", timeout)
        time.sleep(0.6)  # a second end would have come by now
        self.assertEqual(self.counters()[ASSOCIATED:], (count, count, 0, 0), what)

    def test_each_end_of_a_flow_deletes_each_context_once(self):
        self.serve()
        self.flows("context")
        self.at_established()
        count = 0
        for family in (4, 6):
            for what in ("closed", "reset", "closed by the peer", "datagrams", "not connected"):
                with self.subTest(what, family=family):
                    if what == "datagrams":
                        s = self.datagram_socket(family, connect=80)
                        s.send(b"x")
                    elif what == "not connected":
                        s = self.datagram_socket(family)
                        for port in (80, 81, 82):
                            s.sendto(b"x", (server(family), port))
                        count += 4
                    else:
                        s = self.connection(family)
                        self.echo(s)
                    if what == "reset":
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if what == "closed by the peer":
                        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        while s.recv(100):
                            pass
                    count += 2
                    wait_for(lambda: self.counters()[ASSOCIATED] == count, f"{count} contexts, {self.counters()}")
                    self.assertEqual(self.counters()[DELETED], count - (6 if what == "not connected" else 2))
                    s.close()
                    self.ended(count, what)

    # ctest: slow
    def test_an_idle_flow_ends(self):
        self.flows("context")
        self.at_established("icmp")
        self.far.run("ping", "-c1", "-W5", CLIENT4)  # nobody has a socket
        self.assertEqual(self.counters()[ASSOCIATED:], (2, 0, 0, 0))
        time.sleep(IDLE - 5)
        self.assertEqual(self.counters()[ASSOCIATED:], (2, 0, 0, 0))
        self.ended(2, "idle", 30)

    def test_a_host_that_stops_removes_its_contexts_and_can_unregister_then(self):
        self.serve()
        self.flows("context")
        self.at_established()
        sockets = [self.connection(4), self.connection(6), self.datagram_socket(connect=80)]
        sockets[2].send(b"x")
        wait_for(lambda: self.counters()[ASSOCIATED] == 6, "six contexts")
        self.assertEqual(self.plugin.stop(), 0)
        self.assertEqual(sorted(int(line[3]) for line in self.lines("deleted")), list(range(1, 7)))
        self.assertEqual({line[2] for line in self.lines("unload")}, {hex(STATUS_SUCCESS)})
        self.echo(sockets[0])

    def test_what_a_plugin_leaves_behind_when_it_is_unloaded_is_deleted(self):
        self.serve()
        self.flows("context", "leave")
        self.at_established()
        sockets = [self.connection(4), self.connection(6)]
        wait_for(lambda: self.counters()[ASSOCIATED] == 4, "four contexts")
        self.assertEqual(self.plugin.stop(), 0)
        self.assertEqual({line[1]: line[2] for line in self.lines("unload")},
                         {f"flows_{what}_v{family}": hex(STATUS_SUCCESS if what == "established" else STATUS_DEVICE_BUSY)
                          for what in ("established", "datagram", "known") for family in (4, 6)})
        self.assertEqual(sorted(int(line[3]) for line in self.lines("deleted")), [1, 2, 3, 4])
        self.assertEqual(self.plugin.log.read_text().count("left registered"), 4)
        for s in sockets:
            self.echo(s)

    def known_sender(self):
        """A socket whose flow gets contexts with its first datagram, each of which is shown to a callout."""
        self.serve()
        self.flows("context")
        self.at_established()
        self.at_datagram("datagram")
        return self.datagram_socket(connect=80)

    def test_removing_while_a_classify_of_the_flow_sleeps_is_pending(self):
        s = self.known_sender()
        s.send(b"first")
        s.send(b"remove it")
        self.wait_lines(1, "deleted", "flows_datagram_v4")
        text = self.log.read_text()
        self.assertEqual(self.lines("remove"), [["remove", hex(STATUS_PENDING)]])
        self.assertLess(text.index("remove 0x"), text.index("classified"))
        self.assertLess(text.index("classified"), text.index("deleted"))
        s.close()
        self.wait_lines(1, "deleted", "flows_known_v4")
        self.assertEqual(len(self.lines("deleted", "flows_datagram_v4")), 1)

    def test_removing_calls_flow_delete_inside_and_a_second_time_nothing_is_there(self):
        s = self.known_sender()
        s.send(b"first")
        s.send(b"drop it")
        self.wait_lines(1, "again")
        text = self.log.read_text()
        self.assertEqual(self.lines("remove") + self.lines("again"),
                         [["remove", hex(STATUS_SUCCESS)], ["again", hex(STATUS_UNSUCCESSFUL)]])
        self.assertLess(text.index("deleted"), text.index("remove 0x"))

    def test_unregistering_is_busy_while_contexts_exist(self):
        s = self.known_sender()
        s.send(b"unregister the callout")
        self.assertEqual(self.wait_lines(1, "unregister"), [["unregister", hex(STATUS_DEVICE_BUSY)]])
        s.send(b"still asked")
        self.wait_lines(2, "datagram", "flows_datagram_v4")
        s.close()
        self.wait_lines(1, "deleted", "flows_datagram_v4")

    def test_aborting_a_flow_ends_it_and_its_contexts(self):
        self.serve()
        self.flows("context", "abort")
        self.at_established()
        for family in (4, 6):
            s = self.connection(family)
            with self.assertRaises(OSError):
                for _ in range(100):
                    s.sendall(b"x")
                    time.sleep(0.05)
            self.wait_lines(1, "deleted", f"flows_datagram_v{family}")
        self.wait_lines(2, "abort")
        self.assertEqual({tuple(line) for line in self.lines("abort")}, {("abort", hex(STATUS_SUCCESS))})
        self.ended(4, "aborted")


class Many(Flows):
    count = int(os.environ.get("SLUICE_TEST_FLOWS", "100000"))

    def map_entries(self, name):
        pin = next(self.daemon.pins.rglob(name))
        dump = subprocess.run(["bpftool", "map", "dump", "pinned", str(pin), "-j"], check=True, capture_output=True)
        return len(json.loads(dump.stdout))

    # ctest: slow
    def test_each_of_many_flows_has_its_contexts_deleted_once_and_leaves_nothing_behind(self):
        for namespace in (self.client, self.far):
            namespace.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535")
        self.popen(self.far, sys.executable, "-B", __file__, "serve")
        wait_for(lambda: self.far.run("ss", "-Hltn", "sport", "=", "80").stdout.count("\n") == 2, "the server listens")
        self.flows("context", "quiet")
        self.at_established()
        began = time.monotonic()
        for family in (4, 6):
            self.client.run(sys.executable, "-B", __file__, "open", str(family), str(self.count // 2),
                            timeout=600 * SLACK)
        took = time.monotonic() - began
        measured("flows opened and closed", self.count / took, "a second")
        wait_for(lambda: self.counters()[ASSOCIATED] == self.counters()[DELETED], f"{self.counters()}", 100)
        self.assertEqual(self.counters(), (self.count, 2 * self.count, 2 * self.count, 0, 0))
        # What is closed lingers for ten seconds, and the sweep looks at so many entries at its leisure.
        for name in ("flows", "ended", "tickets", "endpoints"):
            wait_for(lambda name=name: self.map_entries(name) == 0, f"nothing is left in {name}", 60, every=1)
        # More frames than the port has went up and came back: had each kept one, the last would not have.


def serve():
    """Takes connections and says each datagram back, on both families."""
    loop = selectors.DefaultSelector()

    def accept(listener):
        connection, _ = listener.accept()
        connection.setblocking(False)
        loop.register(connection, selectors.EVENT_READ, end)

    def end(connection):
        with contextlib.suppress(OSError):
            connection.recv(16)
        loop.unregister(connection)
        connection.close()

    def answer(s):
        with contextlib.suppress(BlockingIOError):
            while True:
                s.sendto(*s.recvfrom(16))

    for address in ("0.0.0.0", "::"):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            if ":" in address:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((address, 80))
            if kind == socket.SOCK_STREAM:
                s.listen(4096)
            else:
                s.setblocking(False)
            loop.register(s, selectors.EVENT_READ, accept if kind == socket.SOCK_STREAM else answer)
    while True:
        for key, _ in loop.select():
            key.data(key.fileobj)


def open_many(family, count, at_a_time=100):
    """Half of them connections, which end in one of two ways, half connected datagram sockets; each is used before
    it is closed."""
    where = (server(family), 80)
    for first in range(0, count, at_a_time):
        sockets = []
        for i in range(first, min(first + at_a_time, count)):
            s = socket.socket(af(family), socket.SOCK_DGRAM if i % 2 else socket.SOCK_STREAM)
            s.setblocking(False)
            s.connect_ex(where)
            if i % 2:
                s.send(b"x")
            sockets.append(s)
        for i, s in enumerate(sockets):
            s.settimeout(20 * SLACK)
            if i % 2:
                s.recv(16)
            else:
                select.select([], [s], [], 20 * SLACK)
                if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or not s.getpeername():
                    sys.exit("a connection was not made")
                if i % 4:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["open"]:
        open_many(int(sys.argv[2]), int(sys.argv[3]))
    else:
        unittest.main(verbosity=2)
