# SPDX-License-Identifier: Apache-2.0
"""What tests of redirection share: targets and relays in processes of their own, clients, and what they tell."""
import hashlib
import json
import os
import socket
import sys
import threading

from harness import CLIENT4, CLIENT6, EXAMPLES, SERVER4, SERVER6, SLACK, SOURCE, SluiceTest, wait_for

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
LOCAL = {4: CLIENT4, 6: CLIENT6}
REMOTE = {4: SERVER4, 6: SERVER6}
OTHER = {4: "10.91.0.3", 6: "fd91::3"}  # a further address of the server
UNUSED = 4242  # a port at which nobody listens anywhere


def host_port(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def listens(namespace, port):
    return namespace.run("ss", "-tlnH", f"sport = :{port}").stdout


class Relay:
    """A proxy of api/examples; lines() are what it has logged: (client, original, bytes of records)."""

    def __init__(self, test, name, address, port, *options, program=None):
        self.name, self.port = name, port
        self.log = test.directory / f"relay-{name}.out"
        command = [*(program or [EXAMPLES / "relay"]), *options, name, address, port]
        with open(self.log, "wb") as out, open(test.directory / f"relay-{name}.log", "wb") as errors:
            self.process = test.popen(test.client, *command, stdout=out, stderr=errors)
        wait_for(lambda: listens(test.client, port), f"relay {name} listens")

    def lines(self):
        return [(w[1], w[2], int(w[3])) for w in map(str.split, self.log.read_text().splitlines()) if w[0] == self.name]


class RedirectTest(SluiceTest):
    def setUp(self):
        super().setUp()
        self.far.ip("addr", "add", f"{OTHER[4]}/24", "dev", "peer0")
        self.far.ip("addr", "add", f"{OTHER[6]}/64", "dev", "peer0", "nodad")

    def target(self, address, port, namespace=None):
        """A process of redirect_target.py."""
        namespace = namespace or self.client
        others = listens(namespace, port)
        with open(self.directory / f"target-{port}.log", "ab") as log:
            process = self.popen(namespace, sys.executable, "-B", SOURCE / "tests/netns/redirect_target.py", address, port,
                                 stdout=log, stderr=log)
        wait_for(lambda: listens(namespace, port) != others, f"target {address} {port} listens")
        return process

    def relay(self, name, address, port, *options, **more):
        return Relay(self, name, address, port, *options, **more)

    def redirect(self, to, layer=None, context=None, **conditions):
        """A filter that redirects by itself; its id."""
        family = 6 if to.startswith("[") else 4
        more = {"redirect": to, "context": context}
        return self.daemon.filter(layer or f"ale_connect_redirect_v{family}", "redirect",
                                  **{k: v for k, v in more.items() if v is not None}, **conditions)

    def ask_tcp(self, address, port, timeout=10, family=None):
        """Connects, asks the target what it sees, and returns that with the client's view of the peer."""
        family = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
        with self.client.socket(family) as s:
            s.settimeout(timeout * SLACK)
            s.connect((address, port))
            s.sendall(b"?\n")
            with s.makefile("rb") as lines:
                answer = json.loads(lines.readline())
            answer["peer"], answer["mine"] = s.getpeername()[:2], s.getsockname()[:2]
            return answer

    def ask_udp(self, address, port, connected, timeout=10, family=None):
        family = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
        with self.client.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout * SLACK)
            if connected:
                s.connect((address, port))
                s.send(b"?\n")
            else:
                s.sendto(b"?\n", (address, port))
            data, source = s.recvfrom(65536)
            answer = json.loads(data)
            answer["peer"] = source[:2]
            if connected:
                answer["getpeername"] = s.getpeername()[:2]
            return answer

    def ask(self, kind, address, port, mapped=False):
        """mapped: by an IPv6 socket to a v4-mapped address, which is what it must see; in the answer it is the plain one."""
        asked, family = (f"::ffff:{address}", socket.AF_INET6) if mapped else (address, None)
        answer = self.ask_tcp(asked, port, family=family) if kind == "tcp" else \
            self.ask_udp(asked, port, kind == "connected udp", family=family)
        for name in ("peer", "getpeername"):
            if mapped and name in answer:
                self.assertEqual(answer[name][0], asked)
                answer[name] = (address, answer[name][1])
        return answer

    def redirects(self):
        return self.daemon.list("redirect")

    def assert_echoes(self, address, port, total, timeout=60):
        """So many bytes each way at once through a redirected connection, byte for byte, with no packet going up."""
        piece, sent, received, got = os.urandom(1 << 20), hashlib.sha256(), hashlib.sha256(), 0
        with self.client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
            s.settimeout(timeout * SLACK)
            s.connect((address, port))
            s.sendall(b"?\n")
            s.makefile("rb", buffering=0).readline()
            asked = self.daemon.reason("UPCALL")

            def send():
                for _ in range(total // len(piece)):
                    s.sendall(piece)
                    sent.update(piece)
                s.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            while data := s.recv(1 << 20):
                received.update(data)
                got += len(data)
            sender.join()
        self.assertEqual((got, received.digest()), (total, sent.digest()))
        self.assertEqual(self.daemon.reason("UPCALL"), asked, "no packet went up")

    # Every cell of: original destination x new one x kind of socket. What cannot work, and why, is in `reasons`.

    KINDS = ("tcp", "connected udp", "udp")

    def check_cell(self, kind, original, new, answer, context):
        """original, new: (address, port). What the target and the application have seen of each other."""
        self.assertEqual((answer["target"], answer["port"]), new, "right target")
        self.assertEqual(tuple(answer["peer"]), original, "the peer that the application sees")
        if kind == "connected udp":
            self.assertEqual(tuple(answer["getpeername"]), original)
        if new[0] in OTHER.values():
            return  # another machine knows nothing of it
        self.assertEqual(tuple(answer["original"]), original, "original destination")
        self.assertEqual(tuple(answer["classic"]), original, "SO_ORIGINAL_DST")
        self.assertEqual(answer["context"], context)
        self.assertGreater(answer["records"], 0)
        self.assertLessEqual(answer["records"], 1024)
