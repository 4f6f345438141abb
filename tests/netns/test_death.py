# SPDX-License-Identifier: Apache-2.0
"""Host or sluiced dies in the middle; what was held ends as its filter says, and policy goes on."""
import errno
import os
import pathlib
import signal
import time
import unittest

from harness import *

FORKER = BUILD / "tests/netns/libforker.so"


class HostDeath(SluiceTest):
    def setUp(self):
        super().setUp()
        self.sink = self.serve()

    def holds_end(self, permit, end, environment=None, held_for=1.0):
        """A TCP connect and a UDP datagram are held; end(host) ends the host; both end as the filter says."""
        host = self.host(environment=environment)
        self.daemon.ask(4, port=80, permit_on_loss=permit)
        cap = self.capture()
        tcp = self.attempt()
        udp = self.datagram_socket(4)
        udp.sendto(b"held", (SERVER4, 80))
        wait_for(lambda: len(self.daemon.holds()) == 2, "both are held")
        time.sleep(held_for)
        self.assertIsNone(tcp.ended)
        now = time.time()
        end(host)
        error = tcp.wait(5)
        self.assert_soon(tcp.ended - now, 1.5, f"the hold ended after its host's end by")
        if permit:
            self.assertEqual(error, 0)
            datagram = wait_for(lambda: self.sink.datagrams, "the held datagram arrives", 2)[0]
            self.assertEqual(datagram[1], b"held")
            time.sleep(0.3)
            self.assertEqual(len(cap.settled_syns(1, 80)), 1)
            self.assertEqual(len(self.sink.datagrams), 1)
        else:
            self.assertEqual(errno.errorcode[error], "ECONNREFUSED")
            time.sleep(0.3)
            self.assertEqual(cap.packets(TCP, dport=80) + cap.packets(UDP, dport=80), [])
        self.assertEqual(wait_for(lambda: not self.daemon.holds(), "no hold is left"), True)
        return host

    def test_killed_block(self):
        self.holds_end(False, Host.kill)

    def test_killed_permit(self):
        self.holds_end(True, Host.kill)

    # ctest: slow
    def test_killed_permit_after_40_s(self):
        self.holds_end(True, Host.kill, held_for=40)

    def test_ended_by_sigterm_block(self):
        self.holds_end(False, lambda host: host.signal(signal.SIGTERM))

    def test_stopped_block(self):
        self.holds_end(False, lambda host: host.signal(signal.SIGSTOP))

    def test_stopped_permit(self):
        host = self.holds_end(True, lambda host: host.signal(signal.SIGSTOP))
        # it finds its connection closed when it continues, and connects anew
        host.signal(signal.SIGCONT)
        host.wait(["ask_v4"])
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)

    def forked(self, permit):
        if not FORKER.exists():
            self.skipTest("libforker.so is not built")
        note = self.directory / "child"
        children = []

        def end(host):
            host.signal(signal.SIGRTMIN + 5)
            child = int(wait_for(lambda: note.exists() and note.read_text(), "the host has forked"))
            children.append(child)
            self.addCleanup(lambda: os.kill(child, signal.SIGKILL))
            host.kill()
        self.holds_end(permit, end, {"LD_PRELOAD": str(FORKER), "FORKER_NOTE": str(note),
                                     "ASAN_OPTIONS": "verify_asan_link_order=0"})
        os.kill(children[0], 0)  # the child still holds the copies

    def test_killed_while_a_child_holds_its_descriptors_block(self):
        self.forked(False)

    def test_killed_while_a_child_holds_its_descriptors_permit(self):
        self.forked(True)

    def test_without_its_host_a_callout_filter_refuses_or_permits_at_once(self):
        host = self.host()
        self.daemon.ask(4, port=80)
        self.daemon.ask(6, port=80, permit_on_loss=True)
        host.kill()
        wait_for(lambda: not [c for c in self.daemon.list("callout") if c["registered"]], "callouts are unregistered")
        self.assertEqual(errno.errorcode[self.attempt(SERVER4).wait(2)], "EPERM")
        self.assertEqual(self.attempt(SERVER6).wait(2), 0)
        # a host that comes back is asked again
        self.host()
        attempt = self.attempt(SERVER4)
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)

    def test_two_hosts_fall_apart_alone(self):
        """The end of one host touches only what it was asked about."""
        first = self.host()
        self.daemon.ask(4, port=80)
        attempt = self.attempt()
        hold = self.daemon.wait_hold()
        other = self.host("allow_after.so", callouts=("allow_after_v4",))
        other.kill()
        time.sleep(1)
        self.assertIsNone(attempt.ended)
        self.permit(hold)
        self.assertEqual(attempt.wait(), 0)
        self.assertIsNone(first.process.poll())


class DaemonDeath(SluiceTest):
    def setUp(self):
        super().setUp()
        self.sink = self.serve()
        self.serve(port=443)
        self.serve(port=8080)

    def test_killed_filters_stay_enforced_and_flows_go_on(self):
        self.daemon.filter("ale_auth_connect_v4", port=443)
        flow = self.attempt(port=8080)
        self.assertEqual(flow.wait(), 0)
        self.daemon.kill()
        self.assertEqual(self.attempt(port=443).wait(), errno.EPERM)
        self.assertEqual(self.attempt(port=8080).wait(), 0)
        flow.socket.sendall(b"still here")
        self.assertEqual(flow.socket.recv(10), b"still here")
        self.daemon.start()
        self.assertEqual([n["name"] for n in self.daemon.list("nic") if n["name"] != "lo"], ["nic0"])
        self.assertEqual(self.attempt(port=443).wait(), errno.EPERM)
        flow.socket.sendall(b"still here")
        self.assertEqual(flow.socket.recv(10), b"still here")

    # ctest: vm
    def test_killed_holds_stay_and_are_decided_after_the_restart(self):
        self.host()
        self.daemon.ask(4, port=80)
        cap = self.capture()
        permitted, blocked = self.attempt(), None
        hold = self.daemon.wait_hold()
        blocked = self.attempt()
        wait_for(lambda: len(self.daemon.holds()) == 2, "two holds")
        self.daemon.kill()
        during = self.attempt()
        time.sleep(2)
        self.assertIsNone(permitted.ended)
        self.assertIsNone(during.ended, "a connect while sluiced is dead is held by the host")
        self.daemon.start()
        self.daemon.wait_hosts()
        holds = wait_for(lambda: len(h := self.daemon.holds()) == 3 and h, "three holds after the restart")
        self.assertIn(hold["id"], [h["id"] for h in holds])
        port = {h["id"]: int(h["local"].rsplit(":", 1)[1]) for h in holds}
        for h in holds:
            (self.block if port[h["id"]] == blocked.port else self.permit)(h)
        self.assertEqual((permitted.wait(), during.wait(), blocked.wait()), (0, 0, errno.ECONNREFUSED))
        self.assertEqual(len(cap.settled_syns(2, 80)), 2)
        # and the host goes on
        again = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(again.wait(), 0)

    def held_by_ask(self, outcome, deadline):
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask", port=80, deadline=deadline, outcome=outcome)
        attempt = self.attempt()
        self.daemon.wait_hold(state="held")
        return attempt

    def test_a_deadline_is_kept_over_a_restart(self):
        attempt = self.held_by_ask("permit", "5s")
        self.daemon.kill()
        time.sleep(1)
        self.daemon.start()
        self.daemon.wait_hosts()
        self.assertIsNone(attempt.ended, "the deadline is not over")
        self.assertEqual(attempt.wait(), 0)
        took = attempt.ended - attempt.began
        measured("a deadline of 5 s, over a restart,", took, "s")
        self.assertGreater(took, 4.8)
        self.assertLess(took, 5 + 1.5 * SLACK)
        self.assertEqual(self.daemon.reason("HOLD_EXPIRED"), 1)

    def test_a_deadline_that_passes_while_sluiced_is_dead_is_applied_by_the_restarted_one(self):
        """Long past, it still is the filter's outcome that applies, and it counts as expired. (No packet comes meanwhile.)"""
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask", port=80, deadline="1s", outcome="permit")
        self.datagram_socket(4).sendto(b"held", (SERVER4, 80))
        self.daemon.wait_hold(state="held")
        self.daemon.kill()
        time.sleep(4.5)
        self.assertEqual(self.sink.datagrams, [])
        self.daemon.start()
        wait_for(lambda: self.sink.datagrams, "the datagram arrives", 3)
        self.assertEqual((self.daemon.reason("HOLD_EXPIRED"), self.daemon.reason("HOLD_ABANDONED")), (1, 0))

    def test_a_deadline_that_passes_while_sluiced_is_dead_is_applied_by_the_kernel(self):
        """With the flow's next packet: TCP sends its SYN again."""
        attempt = self.held_by_ask("permit", "1s")
        self.daemon.kill()
        self.assertEqual(attempt.wait(), 0)
        measured("a deadline of 1 s, without sluiced,", attempt.ended - attempt.began, "s")
        self.daemon.start()
        self.assertEqual((self.daemon.reason("HOLD_EXPIRED"), self.daemon.reason("HOLD_ABANDONED")), (1, 0))

    def test_deadlines_do_not_run_while_the_machine_is_suspended(self):
        """CLOCK_MONOTONIC stands still meanwhile, CLOCK_BOOTTIME goes on. To sluiced this machine has slept for a day: a
        deadline that any part of it reckoned by the other clock would be long past."""
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.daemon.stop()
        command = self.daemon.command
        self.daemon.command = lambda: ["unshare", "--time", "--boottime", "86400", "--fork", "--kill-child", *command()]
        self.daemon.start()
        self.nic_load()
        attempt = self.held_by_ask("permit", "3s")
        time.sleep(2)
        self.assertIsNone(attempt.ended, "the deadline is not over")
        self.assertEqual(attempt.wait(), 0)
        self.assertGreater(attempt.ended - attempt.began, 2.8)
        self.assertLess(attempt.ended - attempt.began, 3 + 1.5 * SLACK)

    def test_sigterm_keeps_policy_in_force(self):
        self.daemon.filter("ale_auth_connect_v4", port=443)
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(self.attempt(port=443).wait(), errno.EPERM)
        self.daemon.start()
        self.assertEqual(self.attempt(port=443).wait(), errno.EPERM)
        self.assertEqual(len(self.daemon.list("filter")), 1)

    def test_both_killed_refuses_as_policy_says_and_both_come_back(self):
        host = self.host()
        self.daemon.ask(4, port=80)
        self.daemon.filter("ale_auth_connect_v4", port=443)
        held = self.attempt()
        self.daemon.wait_hold()
        iperf = Iperf(self, 12)
        iperf.wait_running(self)
        self.daemon.kill()
        host.kill()
        self.assertEqual(self.attempt(port=443).wait(), errno.EPERM)
        refused = self.attempt()
        self.assertNotEqual(refused.wait(20), 0, "a connect that nobody can judge")
        measured("a new connect was refused after", refused.ended - refused.began, "s")
        self.daemon.start()
        self.assertNotEqual(held.wait(5), 0, "the old hold ended as its filter says")
        self.host()
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)
        rates = iperf.report()
        self.assertGreater(min(rates[1:-1]), 50e6, f"the established transfer dipped: {rates}")

    def test_host_killed_while_sluiced_is_dead(self):
        host = self.host()
        self.daemon.ask(4, port=80, permit_on_loss=True)
        attempt = self.attempt()
        self.daemon.wait_hold()
        self.daemon.kill()
        host.kill()
        self.daemon.start()
        self.assertEqual(attempt.wait(20), 0, "permitted as its filter says")


if __name__ == "__main__":
    unittest.main(verbosity=2)
