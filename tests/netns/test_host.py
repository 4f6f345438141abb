# SPDX-License-Identifier: Apache-2.0
"""Hosts: rights, supervision, order of start."""
import errno
import os
import pwd
import re
import signal
import subprocess
import time
import unittest

from harness import *


def status_field(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return re.search(rf"^{name}:\s*(.*)$", f.read(), re.M).group(1).split()


class Rights(SluiceTest):
    # ctest: vm
    def test_an_unprivileged_host_has_no_capability_while_it_holds(self):
        self.serve()
        host = self.host(user="nobody")
        self.daemon.ask(4, port=80)
        attempt = self.attempt()
        hold = self.daemon.wait_hold()
        nobody = str(pwd.getpwnam("nobody").pw_uid)
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(int(status_field(host.pid, name)[0], 16), 0, name)
        self.assertEqual(set(status_field(host.pid, "Uid")), {nobody})
        self.assertEqual(status_field(host.pid, "Groups"), [] if not status_field(host.pid, "Groups")
                         else [str(pwd.getpwnam("nobody").pw_gid)])
        listed = self.daemon.list("host")[0]
        self.assertEqual((listed["pid"], listed["uid"]), (host.pid, int(nobody)))
        self.permit(hold)
        self.assertEqual(attempt.wait(), 0)

    def test_it_finds_a_restarted_sluiced_though_it_has_no_rights(self):
        self.serve()
        self.host(user="nobody")
        self.daemon.ask(4, port=80)
        held = self.attempt()
        self.daemon.wait_hold()
        self.daemon.kill()
        self.daemon.start()
        self.daemon.wait_hosts()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(held.wait(), 0)
        again = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(again.wait(), 0)

    def test_a_stranger_is_no_host(self):
        plugin = PLUGINS / "ask.so"
        done = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(SLUICE_HOST), str(plugin),
                                 "--socket", str(self.daemon.socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(end_process, done)
        time.sleep(2)
        self.assertEqual([h for h in self.daemon.list("host") if h["pid"] == done.pid], [])


class Supervision(SluiceTest):
    def plugin(self, name="ask"):
        return next((p for p in self.daemon.list("plugin") if p["name"] == name), None)

    def test_load_list_unload(self):
        self.serve()
        self.daemon.do("plugin", "load", PLUGINS / "ask.so", "--name", "ask", "--user", "nobody")
        pid = wait_for(lambda: (p := self.plugin()) and p["pid"], "the plugin's host runs")
        wait_for(lambda: {"ask_v4", "ask_v6"} <= {c["name"] for c in self.daemon.list("callout") if c["registered"]},
                 "its callouts are registered")
        self.assertEqual(int(status_field(pid, "CapEff")[0], 16), 0)
        self.daemon.ask(4, port=80)
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)
        self.daemon.do("plugin", "unload", "ask")
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "its process has ended")
        self.assertIsNone(self.plugin())
        self.assertEqual([c for c in self.daemon.list("callout") if c["registered"]], [])

    def test_a_killed_plugin_is_started_again(self):
        self.serve()
        self.daemon.do("plugin", "load", PLUGINS / "ask.so", "--name", "ask")
        pid = wait_for(lambda: (p := self.plugin()) and p["pid"], "the plugin's host runs")
        wait_for(lambda: [c for c in self.daemon.list("callout") if c["registered"]], "registered")
        self.daemon.ask(4, port=80)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: (p := self.plugin()) and p["pid"] not in (0, pid), "another process", 20)
        wait_for(lambda: [c for c in self.daemon.list("callout") if c["registered"]], "registered again", 20)
        self.assertGreaterEqual(self.plugin()["restarts"], 1)
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)
        self.daemon.do("plugin", "unload", "ask")

    def test_each_time_it_is_killed_it_comes_back_later(self):
        """Half a second after its end, then a second, then two."""
        self.daemon.do("plugin", "load", PLUGINS / "ask.so", "--name", "ask")
        pid, gaps = self.plugin()["pid"], []
        for restarts in range(1, 4):
            os.kill(pid, signal.SIGKILL)
            killed = time.time()
            wait_for(lambda: self.plugin()["restarts"] == restarts and self.plugin()["pid"] not in (0, pid), "another process", 20)
            gaps.append(time.time() - killed)
            pid = self.plugin()["pid"]
            wait_for(lambda: self.plugin()["state"] == "running", "it runs")
        for gap, delay in zip(gaps, (0.5, 1, 2)):
            measured(f"after a back-off of {delay} s it was back in", gap, "s")
            self.assertGreater(gap, delay * 0.9)
            self.assertLess(gap, delay + 5 * SLACK)

    def test_errors_are_one_clear_line(self):
        for arguments in (("plugin", "load", "/nonexistent.so", "--name", "x"),
                          ("plugin", "load", PLUGINS / "ask.so", "--name", "x", "--user", "no-such-user"),
                          ("plugin", "unload", "x"), ("hold", "permit", "123456789"), ("filter", "delete", "123456789")):
            result = self.daemon.run(*arguments)
            self.assertEqual((result.status, result.err.count("\n")), (1, 1), f"{arguments}: {result}")


BLOCKER = BUILD / "tests/netns/blocker.so"
BLOCKER_KEY = "5d2f6a01-37c4-4b52-9e11-6f0ac3214490"


class Order(SluiceTest):
    start = False

    def test_a_host_started_before_sluiced(self):
        """Registration succeeds, and filters that are added later find the callout."""
        self.serve()
        host = self.host(BLOCKER, wait=False)
        time.sleep(1)
        self.assertIsNone(host.process.poll(), "the host waits")
        self.daemon.start()
        self.nic_load()
        callout = wait_for(lambda: [c for c in self.daemon.list("callout") if c["registered"]], "the callout")[0]
        self.assertEqual(callout["key"].strip("{}").lower(), BLOCKER_KEY)
        self.daemon.filter("ale_auth_connect_v4", "callout", BLOCKER_KEY, port=80)
        self.assertEqual(errno.errorcode[self.attempt().wait()], "ECONNREFUSED")

    def test_a_plugin_that_needs_the_engine_at_once_waits_for_sluiced(self):
        """ask.so opens the engine in DriverEntry, which fails without sluiced; the host says so and tries again."""
        host = self.host(wait=False)
        wait_for(lambda: "waiting for sluiced" in host.log.read_text(), "the host says that it waits")
        time.sleep(1)
        self.assertIsNone(host.process.poll(), "the host waits")
        self.daemon.start()
        host.wait(["ask_v4", "ask_v6"])

    def test_a_host_that_waits_for_sluiced_can_be_ended(self):
        host = self.host(wait=False)
        wait_for(lambda: "waiting for sluiced" in host.log.read_text(), "the host says that it waits")
        self.assertIsNotNone(host.stop())

    def test_filters_before_the_nic_and_nic_before_the_host(self):
        self.serve()
        self.daemon.start()
        first = self.host()
        self.daemon.ask(4, port=80)
        first.stop()
        self.nic_load()
        self.assertEqual(self.attempt().wait(), errno.EPERM)
        self.host()
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)


class AllowAfter(SluiceTest):
    def test_a_callout_that_completes_by_itself(self):
        self.serve()
        self.host("allow_after.so", environment={"SLUICE_ALLOW_AFTER_MS": "300"}, callouts=("allow_after_v4",))
        self.daemon.filter("ale_auth_connect_v4", "callout", "allow_after_v4", port=80)
        attempt = self.attempt()
        self.assertEqual(attempt.wait(), 0)
        measured("allowed after 300 ms in", attempt.ended - attempt.began, "s")
        self.assertGreaterEqual(attempt.ended - attempt.began, 0.29)


class Embedded(SluiceTest):
    def test_any_program_can_be_a_host(self):
        """embedded_host prints each connection, and takes its filter back when it ends."""
        self.serve()
        program = self.popen(self.client, EXAMPLES / "embedded_host", stdout=subprocess.PIPE, text=True,
                             env=dict(os.environ, SLUICE_SOCKET=str(self.daemon.socket)))
        wait_for(lambda: self.daemon.list("filter"), "its filter")
        attempt = self.attempt()
        self.assertEqual(attempt.wait(), 0)
        self.assertIn(f"to {SERVER4} port 80", program.stdout.readline())
        program.terminate()
        self.assertEqual(program.wait(5 * SLACK), 0)
        wait_for(lambda: not self.daemon.list("filter"), "its dynamic filter goes with it")


if __name__ == "__main__":
    unittest.main(verbosity=2)
