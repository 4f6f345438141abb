# SPDX-License-Identifier: Apache-2.0
"""Connections that a callout redirects (api/examples/redirect_all.cpp): the first packet waits for it, the others are
translated; the same again where it lets the kernel learn."""
import hashlib
import itertools
import json
import os
import pathlib
import socket
import threading
import time
import unittest

from harness import SERVER4, wait_for
from redirecting import LOCAL, LOOPBACK, OTHER, REMOTE, UNUSED, RedirectTest, host_port


def kernel():
    return tuple(int(n) for n in os.uname().release.split(".")[:2])


class CalloutTest(RedirectTest):
    def callout(self, name, port, v4="127.0.0.1", v6="::1", pend_ms=0, learn_ms=0, **more):
        environment = {"SLUICE_REDIRECT_NAME": name, "SLUICE_REDIRECT_PORT": port, "SLUICE_REDIRECT_V4": v4,
                       "SLUICE_REDIRECT_V6": v6, "SLUICE_REDIRECT_PEND_MS": pend_ms, "SLUICE_REDIRECT_LEARN_MS": learn_ms,
                       **{f"SLUICE_REDIRECT_{k.upper()}": v for k, v in more.items()}}
        return self.host("redirect_all.so", environment={k: str(v) for k, v in environment.items()},
                         callouts=(f"{name}_v4", f"{name}_v6"))

    def send(self, name, family=4, **conditions):
        return self.daemon.filter(f"ale_connect_redirect_v{family}", "callout", f"{name}_v{family}", **conditions)

    def classified(self, name):
        return sum(c["classify_total"] for c in self.daemon.list("callout") if c["name"].startswith(name))


class Held(CalloutTest):
    def matrix(self, family, mapped=False):
        targets = {"loopback": LOOPBACK, "local": LOCAL, "remote": OTHER}
        for number, (new, addresses) in enumerate(targets.items()):
            port = 9100 + number
            self.target(addresses[family], port, self.far if new == "remote" else self.client)
            self.callout(new, port, addresses[4], addresses[6])
            one = self.send(new, family, remote_port=UNUSED)
            for original, destinations in (("loopback", LOOPBACK), ("local", LOCAL), ("remote", REMOTE)):
                if new == "remote" and original != "remote" and kernel() < (6, 7):
                    continue  # the packet's source belongs to lo, and the kernel tells no other: REDIRECT_ROUTE
                for kind in self.KINDS:
                    with self.subTest(original=original, new=new, kind=kind):
                        destination = (destinations[family], UNUSED)
                        answer = self.ask(kind, *destination, mapped)
                        self.check_cell(kind, destination, (addresses[family], port), answer, host_port(*destination))
            self.daemon.do("filter", "delete", one)

    def test_v4(self):
        self.matrix(4)

    def test_v6(self):
        self.matrix(6)

    def test_v4_mapped(self):
        self.matrix(4, mapped=True)

    def test_dual_stack_target(self):
        """The target's socket takes IPv4 as mapped; the original destination is told as what it is."""
        self.target("::", 9108)
        self.callout("dual", 9108)
        self.send("dual", remote_port=UNUSED)
        for kind in self.KINDS:
            with self.subTest(kind=kind):
                answer = self.ask(kind, SERVER4, UNUSED)
                self.assertEqual((tuple(answer["original"]), tuple(answer["peer"])), ((SERVER4, UNUSED),) * 2)

    def test_pended(self):
        """Redirected by another thread, half a second later: connect() takes so much longer."""
        self.target("127.0.0.1", 9110)
        self.callout("later", 9110, pend_ms=500)
        self.send("later", remote_port=UNUSED)
        for kind in self.KINDS:
            with self.subTest(kind=kind):
                began = time.monotonic()
                answer = self.ask(kind, SERVER4, UNUSED)
                self.assertGreaterEqual(time.monotonic() - began, 0.5)
                self.check_cell(kind, (SERVER4, UNUSED), ("127.0.0.1", 9110), answer, host_port(SERVER4, UNUSED))

    def test_learned(self):
        """The callout is asked once for this program, user and destination; a copy of the program is another one."""
        self.target("127.0.0.1", 9111)
        self.callout("learning", 9111, learn_ms=600000)
        self.send("learning", remote_port=UNUSED)
        ask = "import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),10); s.sendall(b'?\\n'); print(s.makefile().readline())"
        python = pathlib.Path(os.path.realpath("/usr/bin/python3"))
        copy = self.directory / "other-python"
        copy.write_bytes(python.read_bytes())
        copy.chmod(0o755)

        def asked(program, times):
            before = self.classified("learning")
            for _ in range(times):
                answer = json.loads(self.client.run(program, "-c", ask, SERVER4, UNUSED).stdout)
                self.assertEqual(tuple(answer["original"]), (SERVER4, UNUSED))
                self.assertEqual(answer["context"], host_port(SERVER4, UNUSED))
            return self.classified("learning") - before
        self.assertEqual(asked(python, 1), 1)
        self.assertEqual(asked(python, 5), 0, "the kernel has learned it")
        self.assertEqual(self.daemon.reason("REDIRECT_LEARNED"), 5)
        self.assertEqual(asked(copy, 1), 1, "another executable is another one")
        other = self.daemon.filter("ale_auth_connect_v4", remote_port=1)
        self.assertEqual(asked(python, 1), 1, "a new policy has learned nothing yet")
        self.daemon.do("filter", "delete", other)

    def test_changed_by_others(self):
        """Who asks to see what a lower callout makes of its change is asked once more, and lets it be."""
        self.target("127.0.0.1", 9115)
        for weight, sublayer in enumerate(("lower", "upper"), 1):
            self.daemon.do("sublayer", "add", sublayer, "--weight", weight)
        for again in (0, 1):
            names = (f"first{again}", f"second{again}")
            self.callout(names[0], 9116, *OTHER.values(), pend_ms=100, away=1, again=again)
            self.callout(names[1], 9115)
            filters = [self.send(names[0], remote_port=UNUSED, sublayer="upper"), self.send(names[1], remote="10.91.0.0/24", sublayer="lower")]
            for kind in self.KINDS:
                with self.subTest(again=again, kind=kind):
                    before = [self.classified(name) for name in names]
                    answer = self.ask(kind, SERVER4, UNUSED)
                    self.assertEqual((answer["target"], answer["port"]), ("127.0.0.1", 9115))
                    self.assertEqual(tuple(answer["original"]), (SERVER4, UNUSED))
                    self.assertEqual(answer["context"], host_port(OTHER[4], 9116), "the second was shown the first's change")
                    self.assertEqual([self.classified(name) - n for name, n in zip(names, before)], [1 + again, 1])
            for one in filters:
                self.daemon.do("filter", "delete", one)

    def test_host_dies(self):
        """Established connections go on; new ones find an unregistered callout and are refused."""
        self.target("127.0.0.1", 9112)
        host = self.callout("mortal", 9112)
        self.send("mortal", remote_port=UNUSED)
        with self.client.socket(socket.AF_INET) as s:
            s.settimeout(10)
            s.connect((SERVER4, UNUSED))
            s.sendall(b"?\n")
            lines = s.makefile("rb")
            lines.readline()
            host.kill()
            wait_for(lambda: not [h for h in self.daemon.list("host") if h["name"] == "mortal" and h["state"] == "live"], "it is gone")
            s.sendall(b"still there\n")
            self.assertEqual(lines.readline(), b"still there\n")
            with self.assertRaises(OSError):
                self.ask_tcp(SERVER4, UNUSED, timeout=8)

    def test_bulk(self):
        """A gigabyte each way at once, byte for byte; sluiced and host have no part in it, and nothing is left behind."""
        self.target("127.0.0.1", 9113)
        host = self.callout("bulk", 9113)
        self.send("bulk", remote_port=UNUSED)
        total, piece = 1 << 30, os.urandom(1 << 20)
        sent = hashlib.sha256()
        with self.client.socket(socket.AF_INET) as s:
            s.settimeout(60)
            s.connect((SERVER4, UNUSED))
            s.sendall(b"?\n")
            lines = s.makefile("rb", buffering=0)
            lines.readline()

            def cpu():
                return [sum(map(int, pathlib.Path(f"/proc/{p}/stat").read_text().split()[13:15]))
                        for p in (self.daemon.process.pid, host.pid)]
            before, asked = cpu(), self.daemon.reason("UPCALL")

            def send():
                for _ in range(total // len(piece)):
                    s.sendall(piece)
                    sent.update(piece)
                s.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            received, got = hashlib.sha256(), 0
            while data := s.recv(1 << 20):
                received.update(data)
                got += len(data)
            sender.join()
            self.assertEqual((got, received.digest()), (total, sent.digest()))
            self.assertEqual(self.daemon.reason("UPCALL"), asked, "no packet went up")
            self.assertLess(max(b - a for a, b in zip(before, cpu())), 50, "ticks of sluiced and host")
        wait_for(lambda: all(r["state"] == "ended" for r in self.redirects()), "it has ended")

    def test_ends(self):
        """FIN, RST and a client that is killed: each ends its redirection."""
        self.target("127.0.0.1", 9114)
        self.callout("ending", 9114)
        self.send("ending", remote_port=UNUSED)
        for how in ("fin", "rst"):
            s = self.client.socket(socket.AF_INET)
            s.connect((SERVER4, UNUSED))
            if how == "rst":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        wait_for(lambda: [r["state"] for r in self.redirects()] == ["ended"] * 2, "both have ended", 20)


class Chain(CalloutTest):
    """Callouts of three vendors, each in a host and a sublayer of its own: a permit ends only its own sublayer."""

    def test_every_order_of_weights(self):
        self.serve()
        relays = {}
        for number, name in enumerate("abc"):
            relays[name] = self.relay(name, "127.0.0.1", 8181 + number)
            self.callout(name, 8181 + number)
        for weights in itertools.permutations((1, 2, 3)):
            layers = {name: f"{name} in {weights}" for name in relays}
            for name, weight in zip(relays, weights):
                self.daemon.do("sublayer", "add", layers[name], "--weight", weight)
            filters = [self.send(name, remote_port=80, sublayer=layers[name]) for name in relays]
            before = {name: len(relay.lines()) for name, relay in relays.items()}
            out = self.client.run("curl", "-sS", "--max-time", 20, f"http://{SERVER4}/", check=False)
            self.assertEqual(out.stdout, "hello\n", out.stderr)
            for name, relay in relays.items():
                wait_for(lambda: len(relay.lines()) > before[name], f"{name} was asked")
                self.assertEqual(len(relay.lines()), before[name] + 1, f"{name} was asked once with {weights}")
            chain = max(self.redirects(), key=lambda r: (len(r["hops"]), r["id"]))
            wanted = [str(8181 + "abc".index(name)) for name, _ in sorted(zip(relays, weights), key=lambda pair: -pair[1])]
            self.assertEqual([hop["to"].rpartition(":")[2] for hop in chain["hops"]], wanted, f"weights {weights}")
            for one in filters:
                self.daemon.do("filter", "delete", one)


if __name__ == "__main__":
    unittest.main()
