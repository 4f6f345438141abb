# SPDX-License-Identifier: Apache-2.0
"""What the application sees when it is blocked: docs/errno.md, row by row."""
import errno
import time
import unittest

from harness import *


class Errno(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def ask(self):
        self.host()
        for family in (4, 6):
            self.daemon.ask(family, port=80)

    def refuse(self):
        for family in (4, 6):
            self.daemon.filter(f"ale_auth_connect_v{family}", port=80)

    def held_tcp(self, family, blocking):
        self.ask()
        attempt = self.attempt(server(family), blocking=blocking)
        hold = self.daemon.wait_hold()
        time.sleep(0.5)
        self.assertIsNone(attempt.ended)
        decided = self.block(hold)
        self.assertEqual(errno.errorcode[attempt.wait()], "ECONNREFUSED")
        self.assert_soon(attempt.ended - decided, 1, "ECONNREFUSED after `hold block` began by")

    def test_held_tcp_v4_blocking_gets_econnrefused(self):
        self.held_tcp(4, True)

    def test_held_tcp_v6_blocking_gets_econnrefused(self):
        self.held_tcp(6, True)

    def test_held_tcp_v4_non_blocking_gets_econnrefused(self):
        self.held_tcp(4, False)

    def test_held_tcp_v6_non_blocking_gets_econnrefused(self):
        self.held_tcp(6, False)

    def in_kernel_tcp(self, family):
        self.refuse()
        for blocking in (True, False):
            attempt = self.attempt(server(family), blocking=blocking)
            self.assertEqual(errno.errorcode[attempt.wait()], "EPERM")
            self.assert_soon(attempt.ended - attempt.began, 0.5, "EPERM after connect() began by")

    # ctest: vm
    def test_filter_tcp_v4_gets_eperm(self):
        self.in_kernel_tcp(4)

    def test_filter_tcp_v6_gets_eperm(self):
        self.in_kernel_tcp(6)

    def in_kernel_udp(self, family):
        self.refuse()
        s = self.datagram_socket(family)
        with self.assertRaises(OSError) as raised:
            s.sendto(b"x", (server(family), 80))
        self.assertEqual(errno.errorcode[raised.exception.errno], "EPERM")
        with self.assertRaises(OSError) as raised:
            s.connect((server(family), 80))
        self.assertEqual(errno.errorcode[raised.exception.errno], "EPERM")

    def test_filter_udp_v4_gets_eperm(self):
        self.in_kernel_udp(4)

    def test_filter_udp_v6_gets_eperm(self):
        self.in_kernel_udp(6)

    def connected_udp(self, family):
        self.ask()
        s = self.datagram_socket(family, connect=80)
        s.settimeout(2 * SLACK)
        s.send(b"x")
        hold = self.daemon.wait_hold()
        decided = self.block(hold)
        with self.assertRaises(OSError) as raised:
            s.recv(10)
        expected = "EHOSTUNREACH" if family == 4 else "EACCES"
        self.assertEqual(errno.errorcode.get(raised.exception.errno), expected, raised.exception)
        self.assert_soon(time.time() - decided, 1, f"{expected} after `hold block` began by")
        s.close()

    def test_held_connected_udp_v4_gets_ehostunreach(self):
        self.connected_udp(4)

    def test_held_connected_udp_v6_gets_eacces(self):
        self.connected_udp(6)

    def unconnected_udp(self, family):
        self.ask()
        s = self.datagram_socket(family)
        s.sendto(b"x", (server(family), 80))
        self.block(self.daemon.wait_hold())

        def refused():
            try:
                s.sendto(b"y", (server(family), 80))
            except OSError as e:
                return e.errno
        self.assertEqual(errno.errorcode[wait_for(refused, "the next send fails", 1)], "EPERM")
        # the socket stays usable for other peers
        self.datagram_socket(family).sendto(b"z", (server(family), 81))

    def test_held_unconnected_udp_v4_gets_eperm_on_the_next_send(self):
        self.unconnected_udp(4)

    def test_held_unconnected_udp_v6_gets_eperm_on_the_next_send(self):
        self.unconnected_udp(6)

    def test_a_filter_permits_what_it_does_not_name(self):
        self.refuse()
        self.serve(port=81)
        self.assertEqual(self.attempt(SERVER4, 81).wait(), 0)
        self.assertEqual(self.attempt(SERVER6, 81).wait(), 0)

    def test_a_deleted_filter_refuses_nothing(self):
        filter_id = self.daemon.filter("ale_auth_connect_v4", port=80)
        self.assertEqual(self.attempt().wait(), errno.EPERM)
        self.assertEqual([f["id"] for f in self.daemon.list("filter")], [filter_id])
        self.daemon.do("filter", "delete", filter_id)
        self.assertEqual(self.attempt().wait(), 0)
        self.assertEqual(self.daemon.list("filter"), [])

    def test_ranges_and_prefixes(self):
        self.serve(port=81)
        self.daemon.filter("ale_auth_connect_v4", port="70-80", remote="10.91.0.2/31", protocol="tcp")
        self.assertEqual(self.attempt().wait(), errno.EPERM)
        self.assertEqual(self.attempt(SERVER4, 81).wait(), 0)
        self.assertEqual(self.attempt(SERVER6, 80).wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
