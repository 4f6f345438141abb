# SPDX-License-Identifier: Apache-2.0
"""Connections that filters redirect by themselves, in the kernel: every combination of destinations, sockets and families."""
import errno
import json
import socket
import unittest

from harness import SERVER4, wait_for
from redirecting import LOCAL, LOOPBACK, OTHER, REMOTE, UNUSED, RedirectTest, host_port


class Kernel(RedirectTest):
    """A filter names the target. Connected sockets are redirected as they connect, others packet by packet."""

    def matrix(self, family, mapped=False):
        targets = {"loopback": LOOPBACK[family], "local": LOCAL[family], "remote": OTHER[family]}
        for number, (new, address) in enumerate(targets.items()):
            port = 9000 + number
            self.target(address, port, self.far if new == "remote" else self.client)
            one = self.redirect(host_port(address, port), remote_port=UNUSED, context=f"to {new}")
            for original, destination in (("loopback", LOOPBACK), ("local", LOCAL), ("remote", REMOTE)):
                for kind in self.KINDS:
                    if original != "remote" and new == "remote" and kind == "udp":
                        continue  # its source is chosen before anybody translates: REDIRECT_ROUTE, tested elsewhere
                    with self.subTest(original=original, new=new, kind=kind):
                        answer = self.ask(kind, destination[family], UNUSED, mapped)
                        self.check_cell(kind, (destination[family], UNUSED), (address, port), answer, f"to {new}")
            self.daemon.do("filter", "delete", one)

    def test_v4(self):
        self.matrix(4)

    def test_v6(self):
        self.matrix(6)

    def test_v4_mapped(self):
        self.matrix(4, mapped=True)

    def test_dual_stack_target(self):
        """The target's socket takes IPv4 as mapped; the original destination is told as what it is."""
        self.target("::", 9010)
        self.redirect("127.0.0.1:9010", remote_port=UNUSED)
        for kind in self.KINDS:
            with self.subTest(kind=kind):
                answer = self.ask(kind, SERVER4, UNUSED)
                for name in ("original", "classic", "peer"):
                    self.assertEqual(tuple(answer[name]), (SERVER4, UNUSED), name)

    def test_target_down(self):
        """What the application hears is what it would hear of a destination that refuses."""
        self.redirect("127.0.0.1:9011", remote_port=UNUSED)
        with self.assertRaises(ConnectionRefusedError):
            self.ask_tcp(SERVER4, UNUSED)
        with self.assertRaises(OSError) as caught:
            self.ask_udp(SERVER4, UNUSED, True)
        self.assertEqual(caught.exception.errno, errno.ECONNREFUSED)

    def test_no_route(self):
        """No packet would ever exist: only connect() itself can be redirected."""
        self.target("127.0.0.1", 9012)
        self.redirect("127.0.0.1:9012", remote_port=UNUSED)
        answer = self.ask_tcp("203.0.113.9", UNUSED)
        self.assertEqual(tuple(answer["peer"]), ("203.0.113.9", UNUSED))
        self.assertEqual(tuple(answer["original"]), ("203.0.113.9", UNUSED))

    def test_thousand_peers(self):
        """One unconnected socket, a thousand destinations: the target tells them apart, each answer comes from its own."""
        self.target("127.0.0.1", 9013)
        self.redirect("127.0.0.1:9013", protocol="udp", remote="10.93.0.0/16")
        peers = [(f"10.93.{i // 250}.{i % 250 + 3}", 1000 + i) for i in range(1000)]
        self.client.ip("route", "add", "10.93.0.0/16", "via", SERVER4)
        seen = {}
        with self.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            s.settimeout(10)
            for peer in peers:
                s.sendto(b"?\n", peer)
                data, source = s.recvfrom(65536)
                seen[source] = json.loads(data)
        self.assertEqual(set(seen), set(peers))
        for peer, answer in seen.items():
            self.assertEqual(tuple(answer["original"]), peer)
        self.assertEqual(len({tuple(a["client"]) for a in seen.values()}), 1000, "the target tells them apart")

    def test_counted_and_listed(self):
        self.target("127.0.0.1", 9014)
        self.redirect("127.0.0.1:9014", remote_port=UNUSED)
        with self.client.socket(socket.AF_INET) as s:
            s.connect((SERVER4, UNUSED))
            one = wait_for(self.redirects, "the redirection is listed")[0]
            self.assertEqual((one["original"], one["target"]), (f"{SERVER4}:{UNUSED}", "127.0.0.1:9014"))
            self.assertEqual(one["state"], "live")
            shown = self.daemon.do("redirect", "show", one["id"])
            self.assertIn("127.0.0.1:9014", shown)
        wait_for(lambda: self.redirects()[0]["state"] == "ended", "it has ended")
        self.assertEqual(self.daemon.reason("REDIRECTED"), 1)
        self.assertEqual(self.daemon.reason("REDIRECT_ENDED"), 1)

    def test_authorisation_sees_the_new_destination(self):
        self.target("127.0.0.1", 9015)
        self.redirect("127.0.0.1:9015", remote_port=UNUSED)
        self.daemon.filter("ale_auth_connect_v4", remote_port=UNUSED)
        self.ask_tcp(SERVER4, UNUSED)
        self.daemon.filter("ale_auth_connect_v4", remote_port=9015)
        with self.assertRaises(PermissionError):
            self.ask_tcp(SERVER4, UNUSED)

    def test_block(self):
        """A block at the layer blocks (drivers found that on Windows it lets the request go on)."""
        self.daemon.filter("ale_connect_redirect_v4", remote_port=UNUSED)
        with self.assertRaises(PermissionError):
            self.ask_tcp(SERVER4, UNUSED)


if __name__ == "__main__":
    unittest.main()
