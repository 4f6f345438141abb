# SPDX-License-Identifier: Apache-2.0
"""A plugin that sleeps in its classifyFn holds up nobody but those whom it was asked about."""
import errno
import time
import unittest

from harness import *

SLEEPER = BUILD / "tests/netns/sleeper.so"
SLEEPING, QUICK, COMPLETING = 8081, 8082, 8083
ASLEEP = 20  # at a time


class Slow(SluiceTest):
    start = False

    def begin(self, milliseconds, watchdog_ms, **options):
        command = self.daemon.command
        self.daemon.command = lambda: [*command(), "--watchdog-ms", str(watchdog_ms)]
        self.daemon.start()
        self.nic_load()
        for port in (SLEEPING, QUICK, COMPLETING):
            self.serve(port=port)
        self.host(SLEEPER, callouts=("sleeping", "quick", "completing"), environment={"SLEEPER_MS": str(int(milliseconds))})
        self.daemon.filter("ale_auth_connect_v4", "callout", "sleeping", port=SLEEPING, **options)
        self.daemon.filter("ale_auth_connect_v4", "callout", "quick", port=QUICK)
        self.daemon.filter("ale_auth_connect_v4", "callout", "completing", port=COMPLETING)

    def longest(self, what, limit, action):
        """Of some in a row."""
        took = []
        for _ in range(5):
            began = time.time()
            action()
            took.append(time.time() - began)
        self.assert_soon(max(took), limit, what)

    def connects(self, port):
        self.assertEqual(self.attempt(port=port).wait(), 0)

    def test_one_that_sleeps_for_five_seconds_delays_nobody_else(self):
        self.begin(5000 * SLACK, 60000)
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask", port=80)
        self.serve()
        asleep = [self.attempt(port=SLEEPING) for _ in range(ASLEEP)]
        wait_for(lambda: len(self.daemon.holds(callout="sleeping")) == ASLEEP, "all are asked about")
        self.longest("a classify of the same plugin", 0.5, lambda: self.connects(QUICK))
        self.longest("a completion of the same plugin, after 200 ms,", 0.7, lambda: self.connects(COMPLETING))
        self.longest("`hold list`", 0.5, lambda: self.daemon.do("hold", "list"))
        other = self.attempt()
        self.permit(self.daemon.wait_hold(callout="ask_connect_v4"))
        self.assertEqual(other.wait(), 0)
        self.assertEqual([a.ended for a in asleep], [None] * ASLEEP, "they still sleep")
        self.assertEqual([h["state"] for h in self.daemon.list("host") if h["name"] == "sleeper"], ["live"])

    def test_one_that_does_not_return_in_time_is_answered_for(self):
        """The watchdog's five seconds: the filter's outcome; what it answers later changes nothing."""
        self.begin(7000, 5000, outcome="block")
        self.daemon.filter("ale_auth_connect_v4", "callout", "sleeping", port=80, outcome="permit")
        self.serve()
        blocked, permitted = self.attempt(port=SLEEPING), self.attempt(port=80)
        self.assertEqual((blocked.wait(), permitted.wait()), (errno.ECONNREFUSED, 0))
        for attempt in (blocked, permitted):
            took = attempt.ended - attempt.began
            measured("the watchdog's end came after", took, "s")
            self.assertGreater(took, 4.9)
            self.assertLess(took, 5 + 1.5 * SLACK)
        self.assertEqual(self.daemon.reason("ASK_EXPIRED"), 2)
        time.sleep(2.5)  # both have returned
        self.connects(QUICK)
        permitted.socket.sendall(b"still here")
        self.assertEqual(permitted.socket.recv(10), b"still here")
        self.assertEqual(self.daemon.holds(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
