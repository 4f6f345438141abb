# SPDX-License-Identifier: Apache-2.0
"""Sockets whose local end is another one than they asked for: in the kernel, by a callout (api/examples/split_tunnel.cpp)
that answers at once or later, and learned. What all of them reach stands behind both interfaces:

    client namespace: nic0 10.91.0.1 ══ 10.91.0.2 ┐
    (default route)        fd91::1        fd91::2 │ server namespace: 10.200.0.1, fd20::1
                      nic1 10.92.0.1 ══ 10.92.0.2 │
    (by its source)        fd92::1        fd92::2 ┘
"""
import errno
import itertools
import json
import os
import pathlib
import socket
import time
import unittest

from harness import CLIENT4, CLIENT6, SLACK, TCP, UDP, af, wait_for
from redirecting import RedirectTest

WORLD = {4: "10.200.0.1", 6: "fd20::1"}
OLD = {4: CLIENT4, 6: CLIENT6}
NEW = {4: "10.92.0.1", 6: "fd92::1"}  # of nic1
ANY = {4: "0.0.0.0", 6: "::"}
PORT = 9300
KINDS = ("tcp", "connected udp", "udp")
# What a program of its own asks: ADDRESS PORT [LOCAL ADDRESS, LOCAL PORT].
ASK = """
import json, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.settimeout(20)
if len(sys.argv) > 3:
    s.bind((sys.argv[3], int(sys.argv[4])))
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(b"?\\n")
print(json.dumps([json.loads(s.makefile().readline())["client"], s.getsockname()]))
"""


class BindTest(RedirectTest):
    nics = 2
    in_kernel = False

    def setUp(self):
        super().setUp()
        self.nic_load("nic1")
        for n in range(2):  # who asks for a neighbour on behalf of another interface's address asks from these
            self.client.ip("addr", "add", "fe80::1/64", "dev", f"nic{n}", "nodad")
            self.far.ip("addr", "add", "fe80::2/64", "dev", f"peer{n}", "nodad")
        for family, flag, old, new, bits in ((4, "-4", "10.91.0.2", "10.92.0.2", 32), (6, "-6", "fd91::2", "fd92::2", 128)):
            self.far.ip("addr", "add", f"{WORLD[family]}/{bits}", "dev", "lo")
            self.client.ip(flag, "route", "add", "default", "via", old)
            self.client.ip(flag, "route", "add", "default", "via", new, "table", "7")
            self.client.ip(flag, "rule", "add", "from", NEW[family], "lookup", "7")
        self.wires = [self.capture(device=device) for device in ("peer0", "peer1")]

    def callout(self, name="tunnel", v4=NEW[4], v6=NEW[6], port=0, pend_ms=0, learn_ms=0):
        environment = {"NAME": name, "V4": v4, "V6": v6, "PORT": port, "PEND_MS": pend_ms, "LEARN_MS": learn_ms}
        return self.host("split_tunnel.so", environment={f"SLUICE_TUNNEL_{k}": str(v) for k, v in environment.items()},
                         callouts=(f"{name}_v4", f"{name}_v6"))

    def send(self, name="tunnel", families=(4, 6), **conditions):
        return [self.daemon.filter(f"ale_bind_redirect_v{f}", "callout", f"{name}_v{f}", **conditions) for f in families]

    def fixed(self, v4=NEW[4], v6=NEW[6], **conditions):
        return [self.redirect(to, layer=f"ale_bind_redirect_v{f}", **conditions)
                for f, to in ((4, v4), (6, v6 and f"[{v6}]")) if to]

    def classified(self, name="tunnel"):
        return sum(c["classify_total"] for c in self.daemon.list("callout") if c["name"].startswith(name))

    def socket(self, kind, family, bind=None):
        s = self.client.socket(af(family), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(10 * SLACK)
        if bind is not None:
            s.bind(bind)
        return s

    def ask_world(self, kind, family, bind=None, port=PORT):
        """The local end as the target saw it, and as the socket shows it."""
        s = self.socket(kind, family, bind)
        if kind == "udp":
            s.sendto(b"?\n", (WORLD[family], port))
        else:
            s.connect((WORLD[family], port))
            s.sendall(b"?\n")
        if kind == "tcp":
            with s.makefile("rwb") as lines:
                answer = json.loads(lines.readline())
                self.echoes(lines)
        else:
            data, source = s.recvfrom(65536)
            self.assertEqual(source[:2], (WORLD[family], port))
            answer = json.loads(data)
        mine = s.getsockname()[:2]
        s.close()
        return tuple(answer["client"]), mine

    def echoes(self, lines, blocks=64):
        """Larger than a segment, both ways, byte for byte."""
        for _ in range(blocks):
            block = os.urandom(30000).hex().encode() + b"\n"
            lines.write(block)
            lines.flush()
            self.assertEqual(lines.readline(), block)

    def check(self, kind, family, bind, address=NEW):
        """The target, the socket and the wire tell of the new end."""
        seen, mine = self.ask_world(kind, family, bind)
        self.assertEqual(seen[0], address[family], "as the target sees it")
        unbound = kind == "udp" and not bind and self.in_kernel  # it is each datagram that has an address
        self.assertEqual(mine, (ANY[family], seen[1]) if unbound else seen, "getsockname")
        if bind and bind[1]:
            self.assertEqual(mine[1], bind[1], "the port stays")
        by = [lambda w=w: w.packets(TCP if kind == "tcp" else UDP, sport=seen[1], dport=PORT) for w in self.wires]
        wait_for(lambda: len(by[1]()) > (2 if kind == "tcp" else 0), "packets on the wire")
        self.assertEqual({p.source for p in by[1]()}, {address[family]})
        self.assertEqual(by[0](), [], "nothing by the other interface")

    def matrix(self, family, kinds=KINDS):
        """Bound to nothing in particular, to an address and a port, and not at all."""
        self.target(WORLD[family], PORT, self.far)
        ports = itertools.count(5300)
        for kind in kinds:
            for how in ("address", "wildcard", "implicit"):
                with self.subTest(kind=kind, bind=how):
                    bind = {"address": (OLD[family], next(ports)), "wildcard": (ANY[family], 0), "implicit": None}[how]
                    self.check(kind, family, bind)


    def reaches(self, listener, family, at):
        """Connections to `at` are accepted, and their sockets show it."""
        wait_for(lambda: listener.getsockname()[:2] == at, "getsockname shows the new end")
        with self.far.socket(af(family)) as s:
            s.settimeout(10 * SLACK)
            s.connect(at)
            accepted, client = listener.accept()
            with accepted:
                self.assertEqual(accepted.getsockname()[:2], at)
                self.assertEqual(client[:2], s.getsockname()[:2])
                accepted.sendall(b"hello")
                self.assertEqual(s.recv(16), b"hello")


class Kernel(BindTest):
    """A filter names the new end."""
    in_kernel = True

    def test_v4(self):
        self.fixed()
        self.matrix(4)
        self.assertEqual(self.daemon.reason("BIND_REDIRECTED"), 9)

    def test_v6(self):
        self.fixed()
        self.matrix(6)


    def test_listener(self):
        """The port alone, and address and port."""
        self.fixed(v4=":5500", v6=None, local_port=5400)
        self.fixed(v4=f"{NEW[4]}:5502", v6=None, local_port=5402)
        for port, at in ((5400, (OLD[4], 5500)), (5402, (NEW[4], 5502))):
            listener = self.socket("tcp", 4, (OLD[4], port))
            listener.listen(8)
            self.reaches(listener, 4, at)

    def test_not_local(self):
        """bind() and connect() fail."""
        self.fixed(v4="10.92.0.77", v6=None)
        with self.assertRaises(OSError) as caught:
            self.socket("tcp", 4, (OLD[4], 0))
        self.assertEqual(caught.exception.errno, errno.EADDRNOTAVAIL)
        for kind in ("tcp", "connected udp"):
            with self.assertRaises(PermissionError):
                self.ask_world(kind, 4)
        self.assertEqual(self.daemon.reason("REDIRECT_TARGET"), 2)

    def test_taken(self):
        self.fixed(v4=f"{NEW[4]}:5501", v6=None, local_port=5401)
        for kind in ("tcp", "connected udp"):
            owner = self.socket(kind, 4, (NEW[4], 5501))
            with self.assertRaises(OSError) as caught:
                self.socket(kind, 4, (OLD[4], 5401))
            self.assertEqual(caught.exception.errno, errno.EADDRINUSE)
            owner.close()


class Callout(BindTest):
    """bind() has returned as the callout is asked: the socket's packets are rewritten."""

    def test_v4(self):
        self.callout()
        self.send()
        self.matrix(4)
        self.assertEqual(self.classified(), 9, "once a socket")
        self.assertEqual(self.daemon.reason("BIND_REDIRECTED"), 9)

    def test_v6(self):
        self.callout()
        self.send()
        self.matrix(6)
        self.assertEqual(self.classified(), 9)


    def test_pended(self):
        """Another thread decides, half a second after bind(): the first packet waits for it."""
        self.target(WORLD[4], PORT, self.far)
        self.callout(pend_ms=500)
        self.send()
        for kind in KINDS:
            for bind in ((OLD[4], 5350), (ANY[4], 0)):
                with self.subTest(kind=kind, bind=bind):
                    began = time.monotonic()
                    self.check(kind, 4, bind)
                    self.assertGreaterEqual(time.monotonic() - began, 0.4)

    def test_learned(self):
        """The callout is asked once for this program, user and end; then the kernel binds. A copy of the program is another
        one."""
        self.target(WORLD[4], PORT, self.far)
        self.callout(learn_ms=600000)
        self.send()
        python = pathlib.Path(os.path.realpath("/usr/bin/python3"))
        copy = self.directory / "other-python"
        copy.write_bytes(python.read_bytes())
        copy.chmod(0o755)

        def asked(program, times, bind=None):
            before = self.classified()
            for _ in range(times):
                seen, mine = map(tuple, json.loads(self.client.run(program, "-c", ASK, WORLD[4], PORT, *bind or ()).stdout))
                self.assertEqual(seen[0], NEW[4])
                self.assertEqual(mine, seen)
            return self.classified() - before
        self.assertEqual(asked(python, 1), 1)
        self.assertEqual(asked(python, 3), 0, "the kernel has learned it")
        self.assertEqual(self.daemon.reason("REDIRECT_LEARNED"), 3)
        self.assertEqual(asked(copy, 1), 1, "another executable is another one")
        self.assertEqual(asked(python, 1, (OLD[4], 5360)), 1, "another end")
        self.assertEqual(asked(python, 1, (OLD[4], 5360)), 0)
        other = self.daemon.filter("ale_auth_connect_v4", remote_port=1)
        self.assertEqual(asked(python, 1), 1, "a new policy has learned nothing yet")
        self.daemon.do("filter", "delete", other)

    def test_listener(self):
        """A server is reached at the address and port that the callout chose, by the interface of that address."""
        self.callout(port=5500)
        self.send()
        for family in (4, 6):
            with self.subTest(family=family):
                listener = self.socket("tcp", family, (OLD[family], 5400))
                listener.listen(8)
                self.reaches(listener, family, (NEW[family], 5500))

    def test_mapped(self):
        """IPv4 of IPv6 sockets: connect() and sendto() bind what their peer's family says."""
        self.target(WORLD[4], PORT, self.far)
        self.callout()
        self.send()
        for kind in KINDS:
            with self.subTest(kind=kind), self.socket(kind, 6) as s:
                peer = (f"::ffff:{WORLD[4]}", PORT)
                if kind == "udp":
                    s.sendto(b"?\n", peer)
                else:
                    s.connect(peer)
                    s.sendall(b"?\n")
                seen = json.loads(s.recv(65536))["client"]
                self.assertEqual(seen[0], NEW[4])
                self.assertEqual(s.getsockname()[:2], (f"::ffff:{NEW[4]}", seen[1]))

    def test_many_peers(self):
        """One socket, one question, one redirection."""
        peers = []
        for n in range(20):
            peers.append(self.far.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.addCleanup(peers[n].close)
            peers[n].bind((WORLD[4], PORT + n))
            peers[n].settimeout(10 * SLACK)
        self.callout()
        self.send()
        with self.socket("udp", 4, (ANY[4], 0)) as s:
            for peer in peers:
                s.sendto(b"?", peer.getsockname())
                client = peer.recvfrom(16)[1]
                self.assertEqual(client, (NEW[4], s.getsockname()[1]))
                peer.sendto(b"!", client)
                self.assertEqual(s.recvfrom(16), (b"!", peer.getsockname()))
            self.assertEqual(self.classified(), 1)
            self.assertEqual([r["way"] for r in self.redirects()], ["bind"])

    def test_nic_without_sluice(self):
        """Nothing leaves by an interface where it could not be judged."""
        self.daemon.do("nic", "unload", "nic1", namespace=self.client)
        self.callout()
        self.send(families=(4,))
        before = self.daemon.reason("NO_NIC")
        with self.socket("udp", 4, (OLD[4], 0)) as s:
            s.connect((WORLD[4], PORT))
            s.send(b"?")
            wait_for(lambda: self.daemon.reason("NO_NIC") == before + 1, "the datagram is counted")
        self.assertEqual([w.packets(dport=PORT) for w in self.wires], [[], []])

    def test_host_dies(self):
        """What was redirected stays so."""
        self.target(WORLD[4], PORT, self.far)
        host = self.callout()
        self.send()
        with self.socket("tcp", 4) as s:
            s.connect((WORLD[4], PORT))
            s.sendall(b"?\n")
            with s.makefile("rwb") as lines:
                lines.readline()
                host.kill()
                wait_for(lambda: not [h for h in self.daemon.list("host") if h["state"] == "live"], "it is gone")
                self.echoes(lines, 4)
            self.assertEqual(s.getsockname()[0], NEW[4])

    def test_not_local(self):
        """An address that is not this machine's: nothing leaves, and the application hears of it."""
        self.callout(v4="10.92.0.77")
        self.send(families=(4,))
        s = self.socket("tcp", 4)
        with self.assertRaises(OSError) as caught:
            s.connect((WORLD[4], PORT))
        self.assertIn(caught.exception.errno, (errno.ECONNREFUSED, errno.ECONNABORTED))
        self.assertEqual(self.daemon.reason("REDIRECT_TARGET"), 1)
        with self.assertRaises(OSError):
            self.ask_world("connected udp", 4, (OLD[4], 0))
        self.assertEqual(self.daemon.reason("REDIRECT_TARGET"), 2)
        self.assertEqual([w.packets(dport=PORT) for w in self.wires], [[], []])

    def test_taken(self):
        """The port that was chosen is another socket's, who keeps it."""
        self.callout(port=5501)
        self.send(families=(4,), local_port=5401)
        for kind in ("tcp", "connected udp"):
            for at in ((NEW[4], 5501), (ANY[4], 5501)):
                with self.subTest(kind=kind, at=at), self.socket(kind, 4, at) as owner:
                    if kind == "tcp":
                        owner.listen(1)
                    before = self.daemon.reason("BIND_TAKEN")
                    with self.assertRaises(OSError):
                        self.ask_world(kind, 4, (OLD[4], 5401))
                    self.assertEqual(self.daemon.reason("BIND_TAKEN"), before + 1)
                    self.assertEqual(owner.getsockname(), at)


if __name__ == "__main__":
    unittest.main()
