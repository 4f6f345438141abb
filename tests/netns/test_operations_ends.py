# SPDX-License-Identifier: Apache-2.0
"""Binds and listens that a plugin, a deadline, a quota or an end decides; and what people do."""
import errno
import json
import os
import socket
import subprocess
import sys
import time
import unittest

from operations import *


class Plugin(OperationsTest):
    """The plugin decides, from a thread of its own."""
    environment = {"USHER_MS": "300"}

    def test_it_permits(self):
        self.ask_at("listen")
        self.ask_at("bind")
        for family in (4, 6):
            attempts = []
            s = self.listener(family)
            attempts.append(self.connect(family, s.getsockname()[1]))
            self.assertEqual(attempts[0].wait(), 0)
        self.balances(4)
        self.assertEqual(self.daemon.reason("HOLD_PERMITTED"), 4)


class RefusingPlugin(OperationsTest):
    environment = {"USHER_MS": "300", "USHER_VERDICT": "block"}

    def test_it_blocks(self):
        self.ask_at("listen")
        for family in (4, 6):
            s = self.listener(family)
            wait_for(lambda: self.is_gone(s), "the socket is ended")
        self.assertEqual(self.daemon.reason("HOLD_BLOCKED"), 2)


class Nobody(OperationsTest):
    """Nobody decides."""

    def outcome(self, word, permitted, more=lambda: None):
        for what in ("bind", "listen"):
            self.ask_at(what, 4, deadline="1s", outcome=word)
        more()
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            began = time.time()
            s = self.socket(4, kind, listen=kind == socket.SOCK_STREAM)
            port = s.getsockname()[1]
            if kind == socket.SOCK_STREAM:
                attempt = self.connect(4, port)
                self.assertEqual(attempt.wait(), 0 if permitted else errno.ECONNREFUSED)
            elif permitted:
                self.send_to(4, port, b"x")
                s.settimeout(10 * SLACK)
                self.assertEqual(s.recv(10), b"x")
            if not permitted:
                wait_for(lambda: self.is_gone(s), "it is ended")
            self.assertGreater(time.time() - began, 0.9)
        self.assertEqual(self.daemon.reason("HOLD_EXPIRED"), self.daemon.reason("HOLD_OPENED"))

    def test_the_deadline_blocks(self):
        self.outcome("block", False)

    def test_the_deadline_permits(self):
        self.outcome("permit", True)

    def test_the_next_filter_blocks(self):
        self.outcome("next", False, lambda: [self.daemon.filter(f"{LAYERS[what]}_v4", "block", weight=0)
                                             for what in ("bind", "listen")])

    def test_the_host_dies(self):
        self.ask_at("listen", 4)
        self.ask_at("listen", 6, permit_on_loss=True)
        refused, kept = self.listener(4), self.listener(6)
        attempts = [self.connect(family, s.getsockname()[1]) for family, s in ((4, refused), (6, kept))]
        for s in (refused, kept):
            self.waits(self.hold_of(s), 1)
        self.usher.kill()
        self.assertEqual([a.wait() for a in attempts], [errno.ECONNREFUSED, 0])
        wait_for(lambda: self.is_gone(refused), "the socket is ended")
        self.balances(2)
        self.assertEqual(self.daemon.reason("HOLD_ABANDONED"), 2)

    def test_it_outlives_sluiced(self):
        self.ask_at("listen", 4)
        self.ask_at("listen", 6, deadline="1s", outcome="permit")
        first, second = self.listener(4), self.listener(6)
        hold = self.hold_of(first)
        self.hold_of(second)
        self.daemon.kill()
        attempts = [self.connect(family, s.getsockname()[1]) for family, s in ((4, first), (6, second))]
        time.sleep(1.5)
        self.assertEqual([a.ended for a in attempts], [None, None], "its deadline waits for sluiced")
        self.daemon.start()
        self.daemon.wait_hosts()
        self.assertEqual(attempts[1].wait(), 0, "the deadline has passed")
        self.waits(hold, 1)
        self.permit(hold)
        self.assertEqual(attempts[0].wait(), 0)


class Quotas(OperationsTest):
    """One process cannot use up the holds of all."""
    start = False

    def setUp(self):
        super(OperationsTest, self).setUp()
        command = self.daemon.command
        self.daemon.command = lambda: command() + ["--process-holds-max", "2", "--holds-max", "3"]
        self.daemon.start()
        self.nic_load()
        self.host(USHER, callouts=CALLOUTS)

    def events(self, reason):
        all_events = map(json.loads, self.daemon.do("events", "--json").splitlines())
        return [e for e in all_events if e["reason"] == f"DP_REASON_{reason}"]

    def other(self, *code):
        """Another process, which does as the lines say to `s` and stays."""
        lines = ["import socket, sys, time", "s = socket.socket()", *code, "print(s.getsockname()[1], flush=True)", "time.sleep(600)"]
        return self.popen(self.client, sys.executable, "-c", "\n".join(lines), stdout=subprocess.PIPE, text=True)

    def test_of_binds_and_listens(self):
        self.ask_at("listen", 4)
        self.ask_at("bind", 6, outcome="permit")
        held = [self.listener(4), self.socket(6, socket.SOCK_DGRAM)]
        wait_for(lambda: len(self.daemon.holds(state="held")) == 2, "two holds")
        past = self.listener(4)
        wait_for(lambda: self.is_gone(past), "the outcome: blocked")
        self.assertEqual(self.daemon.reason("PROCESS_QUOTA"), 1)
        event = wait_for(lambda: self.events("PROCESS_QUOTA"), "an event")[0]
        self.assertEqual((plain(event["layer"]), event["pid"]), ("ale_auth_listen_v4", os.getpid()))
        self.assertEqual(self.send(self.socket(6, socket.SOCK_DGRAM)), "arrives", "the outcome: permitted")
        others = [self.other("s.bind(('', 0)); s.listen()") for _ in range(2)]
        wait_for(lambda: len(self.daemon.holds(state="held")) == 3, "the other process has its hold")
        wait_for(lambda: self.daemon.reason("HOST_QUOTA") == 1, "the host's quota is full")
        wait_for(lambda: self.events("HOST_QUOTA"), "an event")
        held[0].close()
        wait_for(lambda: len(self.daemon.holds(state="held")) == 2, "two holds")
        again = self.listener(4)
        self.hold_of(again)
        for process in others:
            process.stdout.close()

    def send(self, s):
        sink = self.serve(port=5000, addresses=("::",))
        s.sendto(b"x", (SERVER6, 5000))
        wait_for(lambda: sink.datagrams, "the datagram")
        return "arrives"

    def test_of_connections(self):
        self.serve()
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask")
        attempts = [self.attempt() for _ in range(2)]
        holds = wait_for(lambda: len(h := self.daemon.holds(state="held")) == 2 and h, "two holds")
        self.assertEqual(self.attempt().wait(), errno.ECONNREFUSED, "past the quota")
        event = wait_for(lambda: self.events("PROCESS_QUOTA"), "an event")[0]
        self.assertEqual((plain(event["layer"]), event["pid"]), ("ale_auth_connect_v4", os.getpid()))
        curl = self.popen(self.client, "curl", "-s", "--noproxy", "*", f"http://{SERVER4}/", stdout=subprocess.DEVNULL)
        self.permit(self.daemon.wait_hold(pid=curl.pid))
        self.assertEqual(curl.wait(10 * SLACK), 0, "another process has its own")
        for hold in holds:
            self.permit(hold)
        self.assertEqual([a.wait() for a in attempts], [0, 0])


class People(SluiceTest):
    """The built-in callout, and what people see of it."""

    def test_a_listen_is_permitted_for_always(self):
        number = self.daemon.filter("ale_auth_listen_v4", "callout", "ask")
        watch = subprocess.Popen([str(SLUICE), "--socket", str(self.daemon.socket), "hold", "watch"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (end_process(watch), watch.stdin.close(), watch.stdout.close()))
        time.sleep(0.5 * SLACK)
        s = self.listen(7001)
        opened = json.loads(watch.stdout.readline())
        self.assertEqual((opened["event"], opened["local"], opened["remote"], opened["callout"], opened["pid"]),
                         ("opened", "0.0.0.0:7001", "", "ask_listen_v4", os.getpid()))
        listed = self.daemon.holds()[0]
        for field in ("id", "layer", "filter", "host", "protocol", "local", "remote", "exe", "uid", "state"):
            self.assertEqual(listed[field], opened[field], field)
        self.assertEqual(self.daemon.list("host")[0]["holds"], 1)
        self.assertIn("0.0.0.0:7001", self.daemon.do("hold", "list"))
        self.assertIn("ale_auth_listen_v4", self.daemon.do("hold", "show", listed["id"]).lower())
        refused = self.daemon.run("hold", "permit", listed["id"], user=65534)
        self.assertNotEqual(refused.status, 0, "not everybody decides")
        watch.stdin.write(f"permit {listed['id']} always\n")
        watch.stdin.flush()
        ended = json.loads(watch.stdout.readline())
        self.assertEqual((ended["event"], ended["result"], ended["id"]), ("ended", "permitted", listed["id"]))
        s.close()
        self.listen(7001)
        self.assertEqual(self.daemon.holds(), [], "nobody is asked again")
        other = self.listen(7002)
        hold = self.daemon.wait_hold(state="held")
        self.daemon.do("hold", "block", "--always", hold["id"])
        wait_for(lambda: other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "the socket is ended")
        self.assertEqual(json.loads(watch.stdout.readline())["event"], "opened")
        self.assertEqual(json.loads(watch.stdout.readline())["result"], "blocked")
        self.assertEqual(self.daemon.reason("HOLD_OPENED"), 2)
        self.daemon.do("filter", "delete", number)

    def listen(self, port):
        s = self.client.socket(socket.AF_INET)
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", port))
        s.listen()
        return s


if __name__ == "__main__":
    unittest.main(verbosity=2)
