# SPDX-License-Identifier: Apache-2.0
"""Filters of the kernel and callouts of two hosts in three sublayers, on real connections: what comes of each
combination, and what each callout was asked on the way, is what the oracle says."""
import errno
import itertools
import random
import resource
import socket
import subprocess
import time
import unittest

from harness import *

PROGRAMS = BUILD / "tests/netns"
JUDGE, FILTERS, ORACLE = (PROGRAMS / name for name in ("judge.so", "arbitration_filters", "arbitration_oracle"))
PERMIT, BLOCK = "permit", "block"
# What a sublayer may hold; X is the host that is asked there. See arbitration_rows.h.
EVERY = ("permit", "permit!", "block", "X=permit", "X=permit!", "X=block", "X=block!", "X?continue")
ALSO = ("X~block", "X?continue,block", "X?continue,X=block", "X?continue,permit!", "N=permit", "N=block", "X=pend")
BESIDE = ("-", "permit!", "X=block")
HOSTS = ("A", "B", "A")
# Worked out by hand from semantics.md (a), so that the oracle cannot hide an error of its own.
BY_HAND = {
    ("-", "-", "-"): PERMIT,                                    # A14
    ("permit", "block", "permit!"): BLOCK,                      # A5: a soft permit is replaced, the block is hard
    ("permit!", "block", "block"): PERMIT,                      # A5: only a veto turns a hard permit
    ("permit!", "block", "A=block"): BLOCK,                     # A9: and this is one
    ("A=permit!", "B=block!", "permit!"): BLOCK,                # A9: by a callout of the other host, final
    ("A=permit!", "block", "A=permit"): PERMIT,                 # A5
    ("A=block", "B=permit", "A=block"): BLOCK,                  # A5: soft ones replace each other
    ("A=block", "B=permit", "A?continue"): PERMIT,              # A2: continue contributes nothing
    ("A=block", "B?continue", "A=permit!"): PERMIT,             # A5
    ("A=block!", "B=permit!", "permit!"): BLOCK,                # A5: a hard block is final
    ("block", "B=permit!", "permit!"): BLOCK,                   # A6: so is a filter's block
    ("A=permit", "B=block", "permit"): PERMIT,                  # A6: a callout's block is soft
    ("A?continue", "B?continue", "A?continue"): PERMIT,         # A14
    ("A~block", "-", "-"): PERMIT,                              # A13: inspection only ever continues
    ("A?continue,block", "-", "-"): BLOCK,                      # A2: it goes on with the next filter of the sublayer
    ("A?continue,A=block", "permit!", "-"): PERMIT,             # A2, A5
    ("permit!", "N=block", "-"): PERMIT,                        # A10: a callout that nobody registered never vetoes
    ("N=block", "permit!", "-"): BLOCK,                         # A6: its block is as hard as a filter's
    ("N=permit", "block", "-"): BLOCK,                          # A6: its permit is as soft
    ("A=pend", "B=block!", "permit!"): BLOCK,                   # A5: held, let go by A, refused by B
    ("A=pend", "B=permit!", "block"): PERMIT,
}


def places(*words):
    return tuple(word.replace("X", host) for word, host in zip(words, HOSTS))


def combinations():
    """All of EVERY in three places, each of ALSO in each place beside each pair of BESIDE, and those done by hand."""
    found = dict.fromkeys(places(*c) for c in itertools.product(EVERY, repeat=3))
    for place, also in itertools.product(range(3), ALSO):
        for pair in itertools.product(BESIDE, repeat=2):
            found[places(*pair[:place], also, *pair[place:])] = None
    found.update(dict.fromkeys(BY_HAND))
    return list(found)


class Connections(SluiceTest):
    def setUp(self):
        super().setUp()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most), most))
        self.log = self.directory / "asked"
        for name in ("judge_a", "judge_b"):
            self.host(JUDGE, callouts=(f"{name}_v4", f"{name}_v6"),
                      environment={"SLUICE_JUDGE": name, "SLUICE_JUDGE_LOG": str(self.log)})

    def table(self, rows):
        """Adds the filters; by port, the oracle's verdict and questions. rows: (family, protocol, port, places)."""
        lines = "".join(f"{family} {protocol} {port} {' '.join(three)}\n" for family, protocol, port, three in rows)
        def run(program):
            done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, timeout=60 * SLACK,
                                  env=dict(os.environ, SLUICE_SOCKET=str(self.daemon.socket)))
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.splitlines()
        began = time.time()
        run(FILTERS)
        measured(f"filters of {len(rows)} rows in force in", time.time() - began, "s")
        expected = {}
        for line in run(ORACLE):
            port, verdict, asked = line.split()
            expected[int(port)] = (verdict, [] if asked == "-" else asked.split(","))
        self.assertEqual(len(expected), len(rows))
        return expected

    def asked(self):
        """By port, what the callouts were asked: CONTEXT/RUNNING/WRITABLE."""
        found = {}
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            port, context, running, writable, _ = line.split()
            found.setdefault(int(port), []).append(f"{context}/{running}/{writable}")
        return found

    def listen(self, family, kind, port):
        s = self.far.socket(af(family), kind)
        self.addCleanup(s.close)
        s.bind((server(family), port))
        if kind == socket.SOCK_STREAM:
            s.listen(1)
        else:
            s.setblocking(False)
        return s

    def connect(self, family, port):
        s = self.client.socket(af(family))
        s.settimeout(10 * SLACK)
        try:
            s.connect((server(family), port))
            return PERMIT
        except OSError as e:
            self.assertIn(e.errno, (errno.EPERM, errno.ECONNREFUSED), f"port {port}: {e}")
            return BLOCK
        finally:
            s.close()

    def compare(self, rows, verdicts, expected):
        asked = self.asked()
        for family, protocol, port, three in rows:
            with self.subTest(family=family, protocol=protocol, port=port, places=three):
                self.assertEqual((verdicts[port], asked.get(port, [])), expected[port])
                if three in BY_HAND:
                    self.assertEqual(verdicts[port], BY_HAND[three])

    def judge_tcp(self, family, chosen):
        rows = [(family, TCP, 10000 + n, three) for n, three in enumerate(chosen)]
        expected = self.table(rows)
        for _, _, port, _ in rows:
            self.listen(family, socket.SOCK_STREAM, port)
        began = time.time()
        verdicts = {port: self.connect(family, port) for _, _, port, _ in rows}
        measured(f"{len(rows)} connections judged in", time.time() - began, "s")
        self.assertEqual({PERMIT, BLOCK}, set(verdicts.values()))
        self.compare(rows, verdicts, expected)

    def judge_udp(self, family, chosen):
        rows = [(family, UDP, 10000 + n, three) for n, three in enumerate(chosen)]
        expected = self.table(rows)
        sinks = {port: self.listen(family, socket.SOCK_DGRAM, port) for _, _, port, _ in rows}
        for port in sinks:
            with contextlib.suppress(PermissionError):
                self.datagram_socket(family).sendto(b"x", (server(family), port))
        verdicts = dict.fromkeys(sinks, BLOCK)

        def arrived():
            for port, sink in sinks.items():
                with contextlib.suppress(BlockingIOError):
                    sink.recv(16)
                    verdicts[port] = PERMIT
            return all(verdicts[port] == PERMIT for port in sinks if expected[port][0] == PERMIT)
        wait_for(arrived, "every permitted datagram arrives")
        time.sleep(0.5)
        arrived()
        self.compare(rows, verdicts, expected)


class Arbitration(Connections):
    def test_every_combination_on_tcp_v4(self):
        self.judge_tcp(4, combinations())

    def test_those_worked_out_by_hand_v4(self):
        self.judge_tcp(4, list(BY_HAND))

    def test_some_combinations_on_tcp_v6(self):
        self.judge_tcp(6, list(BY_HAND) + random.Random(3).sample(combinations(), 60))

    def test_some_combinations_on_udp_v4(self):
        self.judge_udp(4, list(BY_HAND) + random.Random(4).sample(combinations(), 60))

    def test_some_combinations_on_udp_v6(self):
        self.judge_udp(6, list(BY_HAND) + random.Random(5).sample(combinations(), 60))


class Again(Connections):
    """IS_REAUTHORIZE says that this callout was asked about this flow before, whoever else was."""
    FILTER = """
- {{name: {name}, layer: ale_auth_connect_v{family}, sublayer: {sublayer}, action: callout {callout}_v{family}, raw_context: {context},
   conditions: {{protocol: tcp, remote_port: {port}}}}}"""

    family = 4

    def apply(self, *filters):
        """filters: (name, sublayer, callout, raw context, port)"""
        file = self.directory / "policy.yaml"
        head = "version: 1\nsublayers:\n- {name: one, weight: 0x9000}\n- {name: two, weight: 0x6000}\nfilters:"
        file.write_text(head + "".join(
            self.FILTER.format(family=self.family, name=n, sublayer=s, callout=c, context=x, port=p) for n, s, c, x, p in filters))
        self.daemon.do("policy", "apply", file)

    def flags(self, port):
        """Each question about connections to the port: (raw context, IS_REAUTHORIZE)."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(int(context), int(again)) for p, context, _, _, again in lines if int(p) == port]

    def open(self, port):
        self.serve(port=port)
        s = self.client.socket(af(self.family))
        self.addCleanup(s.close)
        s.settimeout(10 * SLACK)
        s.connect((server(self.family), port))
        self.echo(s)
        return s

    def echo(self, s):
        s.sendall(b"still open")
        self.assertEqual(s.recv(64), b"still open")

    def test_a_callout_that_is_new_to_a_flow_is_asked_for_the_first_time(self):
        pending = ("held", "one", "judge_a", 4, 7000)
        permits, held = 1, 4
        self.apply(pending, ("first", "two", "judge_b", permits, 7000))
        s = self.open(7000)
        self.assertEqual(self.flags(7000), [(held, 0), (permits, 0)], "that A had held it says nothing to B")
        self.apply(pending, ("second", "two", "judge_b", permits + (2 << 16), 7000))
        self.echo(s)
        self.assertEqual(self.flags(7000)[2:], [(permits + (2 << 16), 1)], "A's answer stands, B is asked once more")

    def test_a_callout_that_a_later_policy_brings_v4(self):
        self.later_policy()

    def test_a_callout_that_a_later_policy_brings_v6(self):
        self.family = 6
        self.later_policy()

    def later_policy(self):
        known = ("known", "one", "judge_a", 1, 7001)
        self.apply(known)
        s = self.open(7001)
        self.apply(known, ("new", "two", "judge_b", 1 + (2 << 16), 7001))
        self.echo(s)
        self.apply(known, ("newer", "two", "judge_b", 1 + (3 << 16), 7001))
        self.echo(s)
        self.assertEqual(self.flags(7001), [(1, 0), (1 + (2 << 16), 0), (1 + (3 << 16), 1)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
