# SPDX-License-Identifier: Apache-2.0
"""Live flows obey a new policy: what it blocks is cut on both sides, also when it is idle; what it does not touch goes on."""
import errno
import select
import socket
import struct
import threading
import time
import unittest

from harness import *

DEADLINE = 2  # seconds from the commit until both sides know; generous: the figure is printed
CUT = (errno.ECONNABORTED, errno.ECONNRESET)


class Connection:
    """A TCP connection, its end in the client's namespace and the other one, and when each of them learned of its end."""

    def __init__(self, test, listener, far_listens, address, port):
        near, other = (test.client, test.far) if far_listens else (test.far, test.client)
        connecting = near.socket(listener.family)
        connecting.settimeout(10 * SLACK)
        connecting.connect((address, port))
        accepted, _ = listener.accept()
        self.ours, self.theirs = (connecting, accepted) if far_listens else (accepted, connecting)
        self.ends = {}
        for s in (self.ours, self.theirs):
            test.addCleanup(s.close)
            s.setblocking(False)

    def port(self):
        return self.ours.getsockname()[1]

    def look(self):
        """Notes what an end has come to: an errno, or 0 for a close. True once both have come to one."""
        for side, s in (("ours", self.ours), ("theirs", self.theirs)):
            if side not in self.ends:
                try:
                    if s.recv(65536) == b"":
                        self.ends.setdefault(side, (time.monotonic(), 0))
                except BlockingIOError:
                    pass
                except OSError as e:
                    self.ends.setdefault(side, (time.monotonic(), e.errno))
        return len(self.ends) == 2

    def passes(self):
        """Bytes still go both ways."""
        for one, other in ((self.ours, self.theirs), (self.theirs, self.ours)):
            one.send(b"still here")
            got = b""
            while got != b"still here":
                assert select.select([other], [], [], 10 * SLACK)[0], "nothing comes"
                got += other.recv(64)
        return True


class Chatter:
    """Both ends of connections send and receive without pause."""

    def __init__(self, test, connections):
        self._stop, self._connections = False, connections
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        test.addCleanup(self.stop)

    def _run(self):
        while not self._stop:
            for c in self._connections:
                for side, s in (("ours", c.ours), ("theirs", c.theirs)):
                    if side not in c.ends:
                        try:
                            s.send(b"chatter")
                        except BlockingIOError:
                            pass
                        except OSError as e:  # whoever hears of it first, recv() or send(), is the only one
                            c.ends.setdefault(side, (time.monotonic(), e.errno))
            time.sleep(0.005)

    def stop(self):
        self._stop = True
        self._thread.join(5)


class LiveFlows(SluiceTest):
    def listen(self, namespace, family, port):
        s = namespace.socket(af(family))
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0" if family == 4 else "::", port))
        s.listen(256)
        return s

    def connections(self, count, family=4, outbound=True, port=7000):
        listener = self.listen(self.far if outbound else self.client, family, port)
        address = server(family) if outbound else (CLIENT4 if family == 4 else CLIENT6)
        return [Connection(self, listener, outbound, address, port) for _ in range(count)]

    def block(self, family=4, outbound=True, port=7000, protocol="tcp"):
        """The new policy; when its command was given."""
        began = time.monotonic()
        if outbound:
            self.rule = self.daemon.filter(f"ale_auth_connect_v{family}", port=port, protocol=protocol)
        else:
            self.rule = self.daemon.filter(f"ale_auth_recv_accept_v{family}", local_port=port, protocol=protocol)
        return began

    def wait_cut(self, connections):
        wait_for(lambda: all([c.look() for c in connections]), "both ends of each connection know", DEADLINE, every=0.002)
        for c in connections:
            self.assertIn(c.ends["ours"][1], CUT)
            self.assertIn(c.ends["theirs"][1], (0, errno.ECONNRESET, errno.EPIPE))

    def cut_case(self, family, outbound, active):
        connections = self.connections(3, family, outbound)
        bystanders = self.connections(2, family, outbound, port=7001)
        if active:
            Chatter(self, connections)
        time.sleep(0.3)
        began = self.block(family, outbound)
        self.wait_cut(connections)
        measured("cut within", max(t for c in connections for t, _ in c.ends.values()) - began, "s of the command")
        self.assertTrue(all(c.passes() for c in bystanders))

    def test_idle_outbound_v4(self):
        self.cut_case(4, outbound=True, active=False)

    def test_idle_outbound_v6(self):
        self.cut_case(6, outbound=True, active=False)

    def test_idle_inbound_v4(self):
        self.cut_case(4, outbound=False, active=False)

    def test_idle_inbound_v6(self):
        self.cut_case(6, outbound=False, active=False)

    def test_active_outbound_v4(self):
        self.cut_case(4, outbound=True, active=True)

    def test_active_outbound_v6(self):
        self.cut_case(6, outbound=True, active=True)

    def test_active_inbound_v4(self):
        self.cut_case(4, outbound=False, active=True)

    def test_active_inbound_v6(self):
        self.cut_case(6, outbound=False, active=True)

    def test_100_connections_are_cut_by_one_commit(self):
        connections = self.connections(100)
        began = self.block()
        self.wait_cut(connections)
        took = sorted(t - began for c in connections for t, _ in c.ends.values())
        measured("half of 200 ends know after", took[100] * 1000, "ms")
        measured("p99 of 200 ends know after", took[198] * 1000, "ms")

    def test_flows_that_no_change_touches_lose_nothing(self):
        sink = self.serve(port=5000)
        cut = self.connections(20)
        transfer = Iperf(self, 6)
        transfer.wait_running(self)
        counting, sent, stop = self.datagram_socket(4, connect=5000), 0, time.time() + 4
        self.daemon_changes = threading.Thread(target=self.change_without_pause, args=(stop,))
        self.daemon_changes.start()
        while time.time() < stop:
            counting.send(struct.pack("!Q", sent))
            sent += 1
            time.sleep(0.001)
        self.daemon_changes.join()
        self.wait_cut(cut)
        wait_for(lambda: len(sink.datagrams) >= sent, "every datagram arrives")
        self.assertEqual([struct.unpack("!Q", d)[0] for _, d, _ in sink.datagrams], list(range(sent)))
        rates = transfer.report()
        print(f"Mbit/s: {[round(r / 1e6) for r in rates]}; {self.changes} commits, {sent} datagrams")
        self.assertGreater(self.changes, 10)
        self.assertGreater(min(rates[1:-1]), 0.5 * sum(rates) / len(rates), "the transfer does not dip")

    def change_without_pause(self, stop):
        """Filters come and go; the first one cuts connections, the others are about nobody."""
        self.block()
        self.changes = 1
        while time.time() < stop:
            rule = self.daemon.filter("ale_auth_connect_v4", port=6000 + self.changes, protocol="tcp")
            self.daemon.do("filter", "delete", rule)
            self.changes += 2

    def test_deleting_the_filter_lets_new_ones_through(self):
        connections = self.connections(1)
        self.block()
        self.wait_cut(connections)
        self.assertEqual(self.attempt(port=7000).wait(), errno.EPERM)
        self.daemon.do("filter", "delete", self.rule)
        self.assertEqual(self.attempt(port=7000).wait(), 0)

    # ctest: vm
    def test_a_blocked_listener_is_destroyed(self):
        """At once if it begins to listen now; one that listened before refuses connections, and ends with the first."""
        def listens(port):
            return self.client.run("ss", "-tlnH", f"sport = :{port}").stdout.strip()
        for family in (4, 6):
            before, since, other = (base + family for base in (8000, 8100, 8200))
            self.listen(self.client, family, before)
            self.listen(self.client, family, other)
            self.daemon.filter(f"ale_auth_listen_v{family}", local_port=f"{before}-{since}")
            self.listen(self.client, family, since)
            wait_for(lambda: not listens(since), f"the new listener v{family} is gone", DEADLINE)
            self.assertTrue(listens(before))
            caller = self.attempt(CLIENT4 if family == 4 else CLIENT6, before, namespace=self.far, blocking=False, timeout=3)
            wait_for(lambda: not listens(before), f"the blocked listener v{family} is gone", DEADLINE)
            self.assertNotEqual(caller.wait(20), 0)
            self.assertTrue(listens(other), "another one stays")
            self.assertEqual(self.attempt(CLIENT4 if family == 4 else CLIENT6, other, namespace=self.far).wait(), 0)

    def test_a_connected_udp_socket_gets_an_error_at_its_next_send(self):
        sink = self.serve(port=5000)
        for family in (4, 6):
            s = self.datagram_socket(family, connect=5000)
            s.send(b"before")
            wait_for(lambda: (b"before") in [d for _, d, _ in sink.datagrams], "it arrives")
            sink.datagrams.clear()
            self.block(family, port=5000, protocol="udp")

            def refused():
                try:
                    s.send(b"after")
                except OSError as e:
                    return errno.errorcode[e.errno]
            print(f"v{family}: {wait_for(refused, 'an error', DEADLINE)}")
            sink.datagrams.clear()
            with contextlib.suppress(OSError):
                s.send(b"later")
            time.sleep(0.3)
            self.assertEqual(sink.datagrams, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
