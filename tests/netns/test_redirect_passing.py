# SPDX-License-Identifier: Apache-2.0
"""Traffic of a third machine that passes the one with Sluice: it reaches a process there, by a fixed target and by a
callout, or goes on as before."""
import json
import socket
import unittest

from forwarding import Forwarding
from harness import SERVER4, SERVER6, SLACK, wait_for
from redirecting import UNUSED, host_port
from test_redirect_held import CalloutTest

SERVER = {4: SERVER4, 6: SERVER6}
TARGET = {4: "127.0.0.1", 6: "::1"}
SEEN = {4: "127.99.0.2", 6: "::1"}  # the guest, as the target sees it


class Passing(Forwarding, CalloutTest):
    def ask_as_guest(self, kind, family, port=UNUSED):
        """What the target says that it sees, and the peer of the guest's socket."""
        with self.guest.socket(socket.AF_INET6 if family == 6 else socket.AF_INET,
                               socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
            s.settimeout(10 * SLACK)
            s.connect((SERVER[family], port))
            s.sendall(b"?\n")
            if kind == "udp":
                return json.loads(s.recv(65536))
            with s.makefile("rwb") as lines:
                answer = json.loads(lines.readline())
                block = b"x" * 65535 + b"\n"
                for _ in range(32):
                    lines.write(block)
                    lines.flush()
                    self.assertEqual(lines.readline(), block)
            return answer

    def check(self, kind, family, port, context):
        answer = self.ask_as_guest(kind, family)
        self.assertEqual((answer["target"], answer["port"]), (TARGET[family], port))
        self.assertEqual(answer["client"][0], SEEN[family])
        self.assertEqual(tuple(answer["original"]), (SERVER[family], UNUSED))
        self.assertEqual(tuple(answer["classic"]), (SERVER[family], UNUSED))
        self.assertEqual(answer["context"], context)

    def ended(self):
        wait_for(lambda: all(r["state"] == "ended" or r["protocol"] != "tcp" for r in self.redirects()), "TCP's are over", 20)
        self.assertEqual({r["way"] for r in self.redirects()}, {"forwarded"})

    def test_fixed(self):
        for family in (4, 6):
            self.target(TARGET[family], 9200)
            self.redirect(host_port(TARGET[family], 9200), context="fixed", remote_port=UNUSED)
            for kind in ("tcp", "udp"):
                with self.subTest(family=family, kind=kind):
                    self.check(kind, family, 9200, "fixed")
        self.ended()

    def test_held(self):
        """The callout pends; it is asked once a flow, also where it redirects nothing."""
        self.callout("gate", 9201, pend_ms=200)
        for family in (4, 6):
            self.target(TARGET[family], 9201)
            self.send("gate", family, remote_port=UNUSED)
            for kind in ("tcp", "udp"):
                with self.subTest(family=family, kind=kind):
                    before = self.classified("gate")
                    self.check(kind, family, 9201, host_port(SERVER[family], UNUSED))
                    self.assertEqual(self.classified("gate"), before + 1)
        self.ended()

    def test_others_go_on(self):
        """What no filter redirects reaches the server, which IPFORWARD can still refuse."""
        self.serve(port=7)
        self.redirect("127.0.0.1:9202", remote_port=UNUSED)
        for family in (4, 6):
            with self.guest.socket(socket.AF_INET6 if family == 6 else socket.AF_INET) as s:
                s.settimeout(10 * SLACK)
                s.connect((SERVER[family], 7))
                s.sendall(b"hello")
                self.assertEqual(s.recv(16), b"hello")
        self.assertEqual(self.redirects(), [])
        self.daemon.filter("ipforward_v4", "block", condition=f"ip_destination_address: {SERVER4}")
        with self.guest.socket(socket.AF_INET) as s:
            s.settimeout(1)
            with self.assertRaises(OSError):
                s.connect((SERVER4, 7))

    def test_refused(self):
        """A block, and a target that is another machine, let nothing pass."""
        capture = self.capture()
        self.daemon.filter("ale_connect_redirect_v4", "block", remote_port=UNUSED)
        self.redirect("10.91.0.3:7", remote_port=UNUSED + 1)
        for port in (UNUSED, UNUSED + 1):
            with self.guest.socket(socket.AF_INET) as s:
                s.settimeout(1)
                with self.assertRaises(OSError):
                    s.connect((SERVER4, port))
        self.assertEqual(capture.syns(UNUSED) + capture.syns(UNUSED + 1) + capture.syns(7), [])
        self.assertGreater(self.daemon.reason("REDIRECT_TARGET"), 0)


if __name__ == "__main__":
    unittest.main()
