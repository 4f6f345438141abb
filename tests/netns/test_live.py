# SPDX-License-Identifier: Apache-2.0
"""Live flows under a new policy, and names that come to stand for something else."""
import errno
import shutil
import socket
import time
import unittest

from harness import *

CUT_WITHIN = 2.0


class LiveFlows(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()
        self.serve(port=443)

    def connect(self, family, port=80):
        attempt = self.attempt(server(family), port)
        self.assertEqual(attempt.wait(), 0)
        attempt.socket.sendall(b"hello")
        self.assertEqual(attempt.socket.recv(5), b"hello")
        attempt.socket.settimeout(5 * SLACK)
        return attempt.socket

    def end_of(self, connection):
        """The error with which it ended, and when."""
        try:
            data = connection.recv(100)
            return ("end" if not data else data), time.time()
        except OSError as e:
            return e.errno, time.time()

    def cut_idle(self, family):
        blocked = [self.connect(family) for _ in range(20)]
        others = [self.connect(family, 443) for _ in range(5)]
        cap = self.capture()
        now = time.time()
        self.daemon.filter(f"ale_auth_connect_v{family}", port=80)
        times = []
        for connection in blocked:
            error, when = self.end_of(connection)
            self.assertEqual(error, errno.ECONNABORTED)
            times.append(when - now)
        self.assertLess(max(times), CUT_WITHIN * SLACK)
        measured(f"p99 of cutting an idle IPv{family} connection", sorted(times)[-1] * 1000, "ms")
        # the other side hears of it
        wait_for(lambda: len({p.sport for p in cap.packets(TCP, dport=80, flags=RST)}) == len(blocked), "a RST for each")
        for connection in others:
            connection.sendall(b"still here")
            self.assertEqual(connection.recv(10), b"still here")
        retransmitted = [p for p in cap.packets(TCP, dport=443) if p.flags & (SYN | RST)]
        self.assertEqual(retransmitted, [], "a flow that the change does not touch")

    def test_an_idle_connection_that_is_blocked_now_is_cut_on_both_sides_v4(self):
        self.cut_idle(4)

    def test_an_idle_connection_that_is_blocked_now_is_cut_on_both_sides_v6(self):
        self.cut_idle(6)

    def test_datagrams_of_a_flow_that_is_blocked_now_are_refused(self):
        s = self.datagram_socket(4, connect=80)
        s.settimeout(2)
        s.send(b"one")
        self.daemon.filter("ale_auth_connect_v4", port=80)

        def refused():
            try:
                s.send(b"two")
            except OSError:
                return True
            return False
        wait_for(refused, "a send is refused", CUT_WITHIN)

    def test_a_transfer_that_the_changes_do_not_touch_goes_on(self):
        iperf = Iperf(self, 6)
        iperf.wait_running(self)
        for n in range(20):
            self.daemon.do("filter", "delete", self.daemon.filter("ale_auth_connect_v4", port=7000 + n))
        rates = iperf.report()
        self.assertGreater(min(rates[1:-1]), 100e6, f"the transfer dipped: {rates}")


class Names(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def apply(self, conditions):
        file = self.directory / "policy.yaml"
        file.write_text("version: 1\nfilters:\n- {name: by name, layer: ale_auth_connect_v4, action: block, "
                        f"conditions: {{remote_port: 80, {conditions}}}}}\n")
        self.daemon.do("policy", "apply", file)

    def connects(self):
        return self.attempt().wait() == 0

    def test_an_interface_by_its_alias(self):
        self.apply("interface_alias: uplink")
        self.assertTrue(self.connects())
        self.client.ip("link", "set", "nic0", "alias", "uplink")
        wait_for(lambda: not self.connects(), "the alias is known", CUT_WITHIN)
        self.client.ip("link", "set", "nic0", "alias", "other")
        wait_for(self.connects, "the alias is gone", CUT_WITHIN)

    def test_a_program_by_its_path_also_after_an_upgrade(self):
        program = self.directory / "program"
        shutil.copy("/usr/bin/curl", program)

        def answered():
            return self.client.run(program, "-s", "-m", "3", f"http://{SERVER4}/", check=False).stdout == "hello\n"
        self.assertTrue(answered())
        self.apply(f"app: {program}")
        self.assertFalse(answered())
        self.assertTrue(self.connects(), "another program")
        beside = self.directory / "new"
        shutil.copy("/usr/bin/curl", beside)
        beside.rename(program)
        wait_for(lambda: not answered(), "the upgraded program is refused", CUT_WITHIN)


if __name__ == "__main__":
    unittest.main(verbosity=2)
