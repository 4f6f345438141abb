# SPDX-License-Identifier: Apache-2.0
"""The built-in callout `ask`: people and scripts decide, with no plugin written."""
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import *


class Watch:
    """`sluice hold watch`: what it says, line by line, and what it is told."""

    def __init__(self, test, *options):
        self.lines, self.errors = [], []
        self.process = subprocess.Popen([str(SLUICE), "--socket", str(test.daemon.socket), "hold", "watch", *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, into), daemon=True).start()

    @staticmethod
    def _read(stream, into):
        with contextlib.suppress(ValueError):
            for line in stream:
                into.append(line)

    def end(self):
        end_process(self.process)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def events(self, what, **wanted):
        all_events = [json.loads(line) for line in list(self.lines)]
        return [e for e in all_events if e["event"] == what and all(e[k] == v for k, v in wanted.items())]

    def wait(self, what, count=1, **wanted):
        return wait_for(lambda: len(found := self.events(what, **wanted)) >= count and found,
                        f"{count} times {what} with {wanted}")[count - 1]


class AskTest(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def ask_filter(self, family=4, **conditions):
        return self.daemon.filter(f"ale-auth-connect-v{family}", "callout", "ask", **conditions)


class ByHand(AskTest):
    # ctest: vm
    def test_no_plugin_is_needed(self):
        self.assertEqual(self.daemon.list("host"), [])
        for family in (4, 6):
            self.ask_filter(family, port=80)
        host = self.daemon.list("host")[0]
        self.assertEqual((host["name"], host["capabilities"], host["state"]), ("sluice-ask", "0", "live"))
        self.assertEqual([p["name"] for p in self.daemon.list("plugin")], ["sluice-ask"])
        for family in (4, 6):
            attempt = self.attempt(server(family))
            hold = self.daemon.wait_hold(layer=f"ale_auth_connect_v{family}")
            self.assertEqual(hold["callout"], f"ask_connect_v{family}")
            self.assertEqual(hold["pid"], os.getpid())
            self.permit(hold)
            self.assertEqual(attempt.wait(), 0)
            attempt = self.attempt(server(family))
            self.block(self.daemon.wait_hold())
            self.assertEqual(attempt.wait(), errno.ECONNREFUSED)
        self.assertEqual(self.daemon.holds(), [])

    def test_datagrams_are_kept_in_order(self):
        sink = self.serve(port=5000)
        self.ask_filter(port=5000, protocol="udp")
        s = self.datagram_socket(connect=5000)
        for n in range(3):
            s.send(b"%d" % n)
        self.permit(self.daemon.wait_hold(protocol="udp"))
        wait_for(lambda: len(sink.datagrams) >= 3, "three datagrams")
        time.sleep(0.3)
        self.assertEqual([d for _, d, _ in sink.datagrams], [b"0", b"1", b"2"])

    def test_a_policy_file_names_it_for_both_families(self):
        rules = self.directory / "rules.yaml"
        rules.write_text("version: 1\nfilters:\n  - name: ask about the web\n    layer: ale_auth_connect\n"
                         "    action: callout ask\n    hold: {deadline: 5m, outcome: block}\n"
                         "    conditions: {protocol: tcp, remote_port: 80}\n")
        self.daemon.do("policy", "apply", rules)
        for family in (4, 6):
            attempt = self.attempt(server(family))
            self.permit(self.daemon.wait_hold(layer=f"ale_auth_connect_v{family}"))
            self.assertEqual(attempt.wait(), 0)
        filters = self.daemon.list("filter")
        self.assertEqual([f["hold"] for f in filters], [{"deadline": "5m", "outcome": "block"}] * 2)
        self.assertIn("deadline: 5m", self.daemon.do("policy", "export"))
        self.assertIn("deadline 5m", self.daemon.do("explain", "tcp", f"{CLIENT4}:1", f"{SERVER4}:80"))

    def test_its_host_comes_back_after_its_death(self):
        self.ask_filter(port=80)
        host = self.daemon.list("host")[0]
        attempt = self.attempt()
        self.daemon.wait_hold()
        os.kill(host["pid"], signal.SIGKILL)
        self.assertEqual(attempt.wait(5), errno.ECONNREFUSED, "what it held ends as the filter says")
        wait_for(lambda: [h for h in self.daemon.list("host") if h["state"] == "live" and h["callouts"] == 6 and h["pid"] != host["pid"]],
                 "a new host")
        self.assertEqual(self.daemon.list("plugin")[0]["restarts"], 1)
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)

    def test_holds_outlive_sluiced(self):
        self.ask_filter(port=80)
        attempt = self.attempt()
        hold = self.daemon.wait_hold()
        self.daemon.kill()
        time.sleep(0.5)
        self.daemon.start()
        self.daemon.wait_hosts()
        self.assertIsNone(attempt.ended)
        self.assertEqual(self.daemon.wait_hold()["id"], hold["id"])
        self.permit(hold)
        self.assertEqual(attempt.wait(), 0)

    def test_unloading_it_is_refused_while_a_filter_names_it(self):
        number = self.ask_filter(port=80)
        refused = self.daemon.run("plugin", "unload", "sluice-ask")
        self.assertEqual(refused.status, 1)
        self.assertIn("'ask'", refused.err)
        self.daemon.do("filter", "delete", number)
        self.daemon.do("plugin", "unload", "sluice-ask")
        wait_for(lambda: self.daemon.list("host") == [], "its host is gone")

    def test_a_host_that_cannot_start_is_said(self):
        broken = self.directory / "sluice-host"
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        self.daemon.stop()
        command = self.daemon.command
        self.daemon.command = lambda: command() + ["--host-program", str(broken)]
        self.daemon.start()
        refused = self.daemon.run("filter", "add", "--layer", "ale_auth_connect_v4", "--action", "callout", "--callout", "ask")
        self.assertEqual(refused.status, 1)
        self.assertIn("did not start", refused.err)
        plugin = self.daemon.list("plugin")[0]
        self.assertIn(plugin["state"], ("waiting", "starting"))
        self.assertGreater(plugin["restarts"], 1)
        self.assertIn("sluice-ask", self.daemon.do("status"))


class ByScript(AskTest):
    def setUp(self):
        super().setUp()
        self.ask_filter(4, port=80)
        self.ask_filter(6, port=80)

    def test_a_script_decides_over_watch(self):
        watch = Watch(self)
        time.sleep(0.3)
        for n, (line, error, result) in enumerate((("permit {}", 0, "permitted"), ("block {}", errno.ECONNREFUSED, "blocked"),
                                                   ('{{"id": {}, "action": "permit"}}', 0, "permitted")), 1):
            attempt = self.attempt(server(4 if n % 2 else 6))
            opened = watch.wait("opened", n)
            measured("from connect() to the line", time.time() - attempt.began, "s")
            self.assertEqual((opened["pid"], opened["protocol"], opened["state"]), (os.getpid(), "tcp", "held"))
            self.assertIn(server(4 if n % 2 else 6), opened["remote"])
            watch.tell(line.format(opened["id"]))
            self.assertEqual(attempt.wait(), error)
            self.assertEqual(watch.wait("ended", 1, id=opened["id"])["result"], result)
        self.assertEqual(watch.errors, [])
        time.sleep(0.6)  # a sweep finds nothing that was missed or told twice
        self.assertEqual(len(watch.events("opened")), 3)
        self.assertEqual(len(watch.events("ended")), 3)

    def test_bad_lines_are_said_and_nothing_is_lost(self):
        watch = Watch(self, "--existing")
        attempt = self.attempt()
        number = watch.wait("opened")["id"]
        watch.tell("allow it\n\npermit 999999\n{}")
        watch.tell(f"permit {number}")
        self.assertEqual(attempt.wait(), 0)
        wait_for(lambda: len(watch.errors) == 3, "three errors")
        for at, error in zip((1, 3, 4), watch.errors):
            self.assertIn(f"line {at}:", error)
        self.assertIn("999999", watch.errors[1])

    def test_the_end_of_its_input_does_not_end_the_watch(self):
        watch = Watch(self, "--existing")
        watch.process.stdin.close()
        attempt = self.attempt()
        opened = watch.wait("opened")
        self.permit(opened)
        self.assertEqual(attempt.wait(), 0)
        self.assertEqual(watch.wait("ended")["id"], opened["id"])

    def test_existing_ones_come_first_if_asked_for(self):
        attempts = [self.attempt() for _ in range(3)]
        wait_for(lambda: len(self.daemon.holds(state="held")) == 3, "three holds")
        late, full = Watch(self), Watch(self, "--existing")
        full.wait("opened", 3)
        for hold in self.daemon.holds():
            self.block(hold)
        for attempt in attempts:
            self.assertEqual(attempt.wait(), errno.ECONNREFUSED)
        full.wait("ended", 3, result="blocked")
        self.assertEqual(late.lines, [])

    def test_a_reader_watches_and_does_not_decide(self):
        """Rights: those of group sluice see, others do not; who may not change cannot decide."""
        for user in (65534,):
            refused = self.daemon.run("hold", "watch", user=user)
            self.assertEqual(refused.status, 4, refused)

    def test_100_holds_are_told_once_each_and_their_ends_too(self):
        watch = Watch(self)
        time.sleep(0.3)
        attempts = [self.attempt(blocking=False) for _ in range(100)]
        watch.wait("opened", 100)
        for opened in watch.events("opened"):
            watch.tell(f"permit {opened['id']}")
        watch.wait("ended", 100, result="permitted")
        self.assertEqual(len({e["id"] for e in watch.events("opened")}), 100)
        self.assertEqual(len(watch.events("ended")), 100)
        self.assertEqual([a.wait() for a in attempts], [0] * 100)

    def test_the_end_of_the_host_is_told(self):
        watch = Watch(self)
        time.sleep(0.3)
        self.attempt()
        opened = watch.wait("opened")
        os.kill(self.daemon.list("host")[0]["pid"], signal.SIGKILL)
        self.assertIn(watch.wait("ended")["result"], ("abandoned", "blocked"))
        self.assertEqual(watch.events("ended")[0]["id"], opened["id"])


class Always(AskTest):
    def setUp(self):
        super().setUp()
        for family in (4, 6):
            self.ask_filter(family, protocol="tcp")

    def decide_always(self, family, action):
        attempt = self.attempt(server(family))
        hold = self.daemon.wait_hold()
        before = len(self.daemon.list("filter"))
        self.daemon.do("hold", action, "--always", hold["id"])
        self.assertEqual(attempt.wait(), 0 if action == "permit" else errno.ECONNREFUSED)
        self.assertEqual(len(self.daemon.list("filter")), before + 1)

    def test_permitted_for_always(self):
        for family in (4, 6):
            self.decide_always(family, "permit")
            for _ in range(3):
                self.assertEqual(self.attempt(server(family)).wait(), 0, "nobody is asked again")
        self.assertEqual(self.daemon.holds(), [])
        made = [f for f in self.daemon.list("filter") if f["name"].startswith("always permit")]
        self.assertEqual([f["lifetime"] for f in made], ["persistent"] * 2)
        self.serve(port=81)
        other = self.attempt(port=81)  # another destination is another question
        self.permit(self.daemon.wait_hold())
        self.assertEqual(other.wait(), 0)

    def test_blocked_for_always(self):
        for family in (4, 6):
            self.decide_always(family, "block")
            self.assertEqual(self.attempt(server(family)).wait(), errno.EPERM, "by the filter, at once")

    def test_twice_is_once(self):
        attempts = [self.attempt() for _ in range(2)]
        holds = wait_for(lambda: len(h := self.daemon.holds(state="held")) == 2 and h, "two holds")
        before = len(self.daemon.list("filter"))
        for hold in holds:
            self.daemon.do("hold", "permit", "--always", hold["id"])
        for attempt in attempts:
            self.assertEqual(attempt.wait(), 0)
        self.assertEqual(len(self.daemon.list("filter")), before + 1)

    def test_another_program_is_asked_about(self):
        self.decide_always(4, "permit")
        curl = self.popen(self.client, "curl", "-s", "--noproxy", "*", f"http://{SERVER4}/", stdout=subprocess.DEVNULL)
        self.permit(self.daemon.wait_hold(pid=curl.pid))
        self.assertEqual(curl.wait(10 * SLACK), 0)


class Deadline(AskTest):
    """Nobody decides: the deadline does, as the filter says."""
    SECONDS = 1.0

    def setUp(self):
        super().setUp()
        self.sink = self.serve(port=5000)

    def expect_time(self, began, what):
        took = time.time() - began
        measured(what, took, "s")
        self.assertGreater(took, self.SECONDS * 0.9, what)
        self.assertLess(took, self.SECONDS + 1.5 * SLACK, what)

    def tcp(self, family, error, what):
        attempt = self.attempt(server(family))
        self.assertEqual(attempt.wait(), error, what)
        self.expect_time(attempt.began, f"connect() v{family}, {what}")

    def udp(self, family, arrives, what):
        s = self.datagram_socket(family, connect=5000)
        began = time.time()
        before = len(self.sink.datagrams)
        s.send(b"held")
        if arrives:
            wait_for(lambda: len(self.sink.datagrams) > before, f"a datagram v{family}, {what}")
            self.expect_time(began, f"datagram v{family}, {what}")
            return
        s.settimeout(10 * SLACK)
        with self.assertRaises(OSError) as raised:
            s.recv(10)
        self.assertEqual(raised.exception.errno, errno.EHOSTUNREACH if family == 4 else errno.EACCES, what)
        self.expect_time(began, f"recv() v{family}, {what}")
        self.assertEqual(len(self.sink.datagrams), before)

    def outcome(self, word, permitted, what=None):
        for family in (4, 6):
            for protocol, port in (("tcp", 80), ("udp", 5000)):
                self.ask_filter(family, protocol=protocol, port=port, deadline="1s", outcome=word, weight=9)
        for family in (4, 6):
            self.tcp(family, 0 if permitted else errno.ECONNREFUSED, what or word)
            self.udp(family, permitted, what or word)
        self.assertEqual(self.daemon.holds(), [])
        self.assertEqual(self.daemon.reason("HOLD_OPENED"), 4)
        self.assertEqual(self.daemon.reason("HOLD_EXPIRED"), 4)

    def test_block(self):
        self.outcome("block", False)

    def test_permit(self):
        self.outcome("permit", True)

    def test_next_filter_and_none_follows(self):
        self.outcome("next", True, "next, none follows")

    def test_next_filter_blocks(self):
        for family in (4, 6):
            # at the layer of packets that have left connect(): the kernel would refuse before anything is held otherwise
            self.daemon.filter(f"ale_auth_connect_v{family}", "block", weight=1)
        self.outcome("next", False, "next blocks")

    def test_a_hosts_defaults(self):
        self.host(BUILD / "tests/netns/patient.so", callouts=("patient",),
                  environment={"PATIENT_MS": "1000", "PATIENT_OUTCOME": "2"})
        number = self.daemon.filter("ale_auth_connect_v4", "callout", "patient", port=80)
        self.tcp(4, 0, "host's defaults")
        self.daemon.do("filter", "delete", number)
        self.daemon.filter("ale_auth_connect_v4", "callout", "patient", port=80, outcome="block")
        self.tcp(4, errno.ECONNREFUSED, "host's deadline, filter's outcome")

    def test_a_hosts_defaults_are_told_again_to_a_new_sluiced(self):
        self.host(BUILD / "tests/netns/patient.so", callouts=("patient",),
                  environment={"PATIENT_MS": "1000", "PATIENT_OUTCOME": "2"})
        self.daemon.kill()
        self.daemon.start()
        self.daemon.wait_hosts()
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.nic_load()  # a new port: what it is told comes from the host
        self.daemon.filter("ale_auth_connect_v4", "callout", "patient", port=80)
        self.tcp(4, 0, "after a restart")

    def test_the_machines_defaults(self):
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.daemon.stop()
        command = self.daemon.command
        self.daemon.command = lambda: command() + ["--hold-deadline", "1s", "--hold-outcome", "permit"]
        self.daemon.start()
        self.nic_load()
        self.ask_filter(port=80)
        self.tcp(4, 0, "machine's defaults")
        self.ask_filter(port=81, deadline="none")
        self.serve(port=81)
        attempt = self.attempt(port=81)
        time.sleep(2)
        self.assertIsNone(attempt.ended, "the filter knows no deadline")
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)

    def test_options_without_a_callout_are_refused(self):
        refused = self.daemon.run("filter", "add", "--layer", "ale_auth_connect_v4", "--action", "block", "--deadline", "1s")
        self.assertEqual(refused.status, 2)
        self.assertIn("--deadline", refused.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
