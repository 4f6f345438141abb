# SPDX-License-Identifier: Apache-2.0
"""WSAIoctl and its kin on sockets that were really redirected, in a proxy that uses the library (winsock_proxy.py)."""
import json
import pathlib
import socket
import sys
import unittest

from harness import BUILD, SERVER4, SLACK, SOURCE, wait_for
from redirecting import UNUSED, RedirectTest, listens

PROXY = SOURCE / "tests/netns/winsock_proxy.py"
LIBRARY = BUILD / "control/fwp/libsluice.so"
RECORD = 880
LONG = "long" * 128  # kept elsewhere than short ones
INSUFFICIENT_BUFFER, OPERATION_ABORTED, IO_PENDING = 122, 995, 997
WSAEACCES, WSAEINVAL, WSAEINPROGRESS, WSAENOTSOCK = 10013, 10022, 10036, 10038
WSAEOPNOTSUPP, WSAENETDOWN, WSAENOTCONN = 10045, 10050, 10057


def cgroups():
    mounts = pathlib.Path("/proc/mounts").read_text(encoding="ascii").splitlines()
    return next(pathlib.Path(mount.split()[1]) for mount in mounts if mount.split()[2] == "cgroup2")


class Winsock(RedirectTest):
    def setUp(self):
        super().setUp()
        self.foreign = cgroups() / self.directory.name
        self.foreign.mkdir()
        self.addCleanup(self.foreign.rmdir)
        with open(self.directory / "proxy.log", "ab") as log:
            self.popen(self.client, sys.executable, "-B", PROXY, LIBRARY, "127.0.0.1", 9400, self.foreign, stdout=log,
                       stderr=log)
        wait_for(lambda: listens(self.client, 9400), "the proxy listens")
        self.server = self.serve()
        self.daemon.do("provider", "add", "of the proxy")
        for port, context in ((UNUSED, "for the proxy"), (UNUSED + 1, None), (UNUSED + 2, LONG), (80, None)):
            self.redirect("127.0.0.1:9400", remote_port=port, context=context, provider="of the proxy")

    def told(self, word, port=UNUSED):
        """What the proxy says of a connection of ours."""
        with self.client.socket(socket.AF_INET) as s, s.makefile("rw") as lines:
            s.settimeout(20 * SLACK)
            s.connect((SERVER4, port))
            lines.write(word + "\n")
            lines.flush()
            return json.loads(lines.readline())

    def count(self, reason):
        """How often since the last time."""
        now = self.daemon.reason(reason)
        before = self.counted.get(reason, 0)
        self.counted[reason] = now
        return now - before

    def test_synchronous(self):
        self.counted = {}
        with self.subTest("queries"):
            self.assertEqual(self.told("queries"), {
                "record": RECORD, "context": "for the proxy", "short": [INSUFFICIENT_BUFFER, RECORD],
                "short context": [INSUFFICIENT_BUFFER, len("for the proxy")],
                "provider": [-1, INSUFFICIENT_BUFFER, RECORD], "unknown": [WSAEINVAL, 0]})
        with self.subTest("no context"):
            told = self.told("queries", UNUSED + 1)
            self.assertEqual((told["record"], told["context"]), (RECORD, WSAENOTCONN))
        with self.subTest("long context"):
            self.assertEqual(self.told("queries", UNUSED + 2)["context"], LONG)
        with self.subTest("sets"):
            self.assertEqual(self.told("sets"), {
                "set": [0, RECORD], "datagrams": [0, RECORD], "forged": [WSAEINVAL, 0], "cut": [WSAEINVAL, 0],
                "connected": [WSAEINVAL, 0], "raw": [WSAEOPNOTSUPP, 0], "with room": WSAEINVAL})
            self.assertEqual([self.count(f"RECORDS_{r}") for r in ("SET", "FORGED", "FOREIGN")], [2, 2, 0])
        with self.subTest("onward"):
            redirected, accepted = self.count("REDIRECTED"), self.server.accepted
            self.assertEqual(self.told("onward"), {"set": [0, RECORD], "peer": [SERVER4, 80]})
            self.assertGreater(redirected, 0)
            self.assertEqual([self.count(r) for r in ("REDIRECTED", "RECORDS_SET")], [1, 1])
            self.assertEqual(self.count("REDIRECT_LOOP"), 0, "a loop is counted where a record was inferred")
            wait_for(lambda: self.server.accepted == accepted + 1, "it has reached where it was to go")
        with self.subTest("not redirected"):
            told = self.told("not_redirected")
            self.assertEqual(told.pop("no socket")[0], WSAENOTSOCK)
            self.assertEqual(told, {"records": [WSAENOTCONN, 0], "context": [WSAENOTCONN, 0], "raw": [WSAEOPNOTSUPP, 0]})
        with self.subTest("foreign"):
            self.assertEqual(self.told("foreign"), {what: [WSAEACCES, 0] for what in ("records", "context", "set")})
            self.assertEqual(self.count("RECORDS_FOREIGN"), 1)

    def test_overlapped(self):
        with self.subTest("to their end"):
            self.assertEqual(self.told("overlapped"), {
                "begun": [IO_PENDING, IO_PENDING], "event": 0, "result": [0, RECORD], "same": True,
                "routine": [[0, RECORD, -1, WSAEINPROGRESS]]})
        with self.subTest("the socket is closed"):
            told = self.told("aborted")
            self.assertEqual((told["begun"], told["last"]), ([IO_PENDING], [OPERATION_ABORTED, 0]))
            self.assertLessEqual({tuple(e) for e in told["ends"]}, {(0, RECORD), (OPERATION_ABORTED, 0)})

    def test_no_data_plane(self):
        done = self.far.run(sys.executable, "-B", PROXY, LIBRARY, "elsewhere")
        self.assertEqual(json.loads(done.stdout), {"records": [WSAENETDOWN, 0], "set": [WSAENETDOWN, 0]})


if __name__ == "__main__":
    unittest.main()
