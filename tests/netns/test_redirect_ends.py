# SPDX-License-Identifier: Apache-2.0
"""How redirected connections end, and that nothing is left of them; and what is heard of a proxy that is down."""
import contextlib
import socket
import struct
import time
import unittest

from bpf_maps import entries
from harness import SERVER4, SLACK, server, wait_for
from redirecting import LOOPBACK, OTHER, UNUSED, host_port
from test_redirect_held import CalloutTest

TCP_USER_TIMEOUT = 18
HELD = UNUSED + 1  # the port that a callout redirects; a filter the other
AWAY = UNUSED + 2  # the one that a callout redirects to another machine


class Ends(CalloutTest):
    def left(self):
        """What the maps still have of any redirection, or of a flow of ours."""
        found = {}
        for name in ("redirects", "redirect_peers", "contexts_of", "flows"):
            keys = [key for key, _ in entries(self.daemon.pins, name)]
            if name == "flows":
                keys = [key for key in keys if {UNUSED, HELD, AWAY, 9601} & set(struct.unpack_from("HH", key, 32))]
            if keys:
                found[name] = len(keys)
        return found

    def connected(self, port, kind=socket.SOCK_STREAM):
        s = self.client.socket(socket.AF_INET, kind)
        self.addCleanup(s.close)
        s.settimeout(10 * SLACK)
        s.connect((SERVER4, port))
        s.sendall(b"?\n")
        self.assertTrue(s.recv(65536))
        return s

    # ctest: slow
    def test_nothing_is_left(self):
        """FIN, RST, a close of UDP, and silence: of a peer that is gone, and of datagrams that nobody sends any more."""
        self.target("127.0.0.1", 9601)
        self.target(OTHER[4], 9601, self.far)
        self.callout("held", 9601)
        self.callout("away", 9601, OTHER[4])
        self.redirect("127.0.0.1:9601", remote_port=UNUSED, context="of a filter")
        self.send("held", remote_port=HELD)
        self.send("away", remote_port=AWAY)
        for port in (UNUSED, HELD, AWAY):
            fin, rst, datagrams = self.connected(port), self.connected(port), self.connected(port, socket.SOCK_DGRAM)
            rst.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for s in (fin, rst, datagrams):
                s.close()
        unconnected = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(unconnected.close)
        unconnected.sendto(b"?\n", (SERVER4, HELD))
        lost = self.connected(AWAY)
        lost.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 2000)
        self.assertGreaterEqual(len([r for r in self.redirects() if r["state"] == "live"]), 2)
        self.assertLessEqual({"redirects", "redirect_peers", "contexts_of", "flows"}, set(self.left()))
        self.far.ip("link", "set", "peer0", "down")
        with self.assertRaises(OSError), contextlib.closing(lost):
            while True:
                lost.send(b"nobody answers")
                time.sleep(0.2)
        began = time.monotonic()
        wait_for(lambda: not self.redirects(), "no redirection is listed", 150, 0.5)
        wait_for(lambda: not self.left(), f"nothing is left but {self.left()}", 60, 0.5)
        print(f"measured: gone after {time.monotonic() - began:.0f} s", flush=True)

    def test_a_proxy_that_is_down(self):
        """Redirected by a filter or by a callout: what the application would hear of a destination that refuses."""
        self.callout("held", 9602)
        for family in (4, 6):
            self.redirect(host_port(LOOPBACK[family], 9602), remote_port=UNUSED)
            self.send("held", family, remote_port=HELD)
            for way, port in (("kernel", UNUSED), ("held", HELD)):
                with self.subTest(family=family, way=way):
                    with self.assertRaises(ConnectionRefusedError):
                        self.ask_tcp(server(family), port)
                    with self.assertRaises(ConnectionRefusedError):
                        self.ask_udp(server(family), port, True)


if __name__ == "__main__":
    unittest.main()
