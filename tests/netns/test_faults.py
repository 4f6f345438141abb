# SPDX-License-Identifier: Apache-2.0
"""What a connection stands on goes while it is held: its NIC, or its namespace."""
import errno
import time
import unittest

from harness import *


class Held(SluiceTest):
    load = False
    nics = 2

    def held_by_ask(self, address="10.92.0.2", **options):
        """On nic1; nic0 is loaded too."""
        self.serve()
        self.nic_load("nic0")
        self.nic_load("nic1")
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask", port=80, **options)
        attempt = self.attempt(address)
        return attempt, self.daemon.wait_hold(state="held")

    def counted(self, **expected):
        self.assertEqual({name: self.daemon.reason("HOLD_" + name) for name in expected}, expected)

    def test_a_nic_that_is_down_keeps_its_holds(self):
        """What is decided meanwhile counts; the packet is lost as any would be, and TCP sends again."""
        attempt, hold = self.held_by_ask()
        self.client.ip("link", "set", "nic1", "down")
        time.sleep(2.5)  # over sluiced's look at the devices
        self.assertEqual(self.daemon.wait_hold()["id"], hold["id"])
        self.assertIsNone(attempt.ended)
        self.permit(hold)
        self.assertEqual(self.daemon.holds(), [])
        self.client.ip("link", "set", "nic1", "up")
        self.assertEqual(attempt.wait(20), 0, "TCP has sent again")
        self.counted(OPENED=1, PERMITTED=1)

    # ctest: vm
    def test_a_nic_that_is_removed_ends_its_holds(self):
        attempt, hold = self.held_by_ask()
        elsewhere = self.attempt("10.91.0.2")
        other = wait_for(lambda: [h for h in self.daemon.holds(state="held") if h["id"] != hold["id"]], "held on nic0")[0]
        self.client.ip("link", "del", "nic1")
        wait_for(lambda: [h["id"] for h in self.daemon.holds()] == [other["id"]], "its hold has ended", 5)
        self.assertEqual(attempt.wait(5), errno.ECONNABORTED, "refused as its filter says, and nothing can carry a RST")
        self.counted(OPENED=2, ABANDONED=1)
        self.permit(other)
        self.assertEqual(elsewhere.wait(), 0)
        self.assertEqual([n["name"] for n in self.daemon.list("nic") if n["name"] != "lo"], ["nic0"])

    def test_a_namespace_that_is_deleted_ends_its_holds(self):
        """Its name and its processes go, a socket is kept elsewhere: nothing is held any more, and nothing leaves."""
        self.serve()
        doomed = Namespace("doomed")
        self.addCleanup(doomed.delete)
        doomed.ip("link", "add", "nic0", "type", "veth", "peer", "name", "doomed0", "netns", self.far.name)
        for there, device, host in ((doomed, "nic0", 1), (self.far, "doomed0", 2)):
            there.ip("link", "set", device, "up")
            there.ip("addr", "add", f"10.94.0.{host}/24", "dev", device)
        self.nic_load("nic0")
        self.daemon.do("nic", "load", "nic0", namespace=doomed)
        out = self.capture(self.far, "doomed0")
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask", port=80)
        doomed_attempt = self.attempt("10.94.0.2", namespace=doomed)
        self.daemon.wait_hold(state="held")
        doomed.delete()
        wait_for(lambda: not self.daemon.holds(), "its holds have ended", 15)
        self.assertEqual(doomed_attempt.wait(15), errno.ECONNREFUSED)
        wait_for(lambda: len(list(self.daemon.pins.iterdir())) == 1, "its data plane is gone", 5)
        self.assertEqual([p for p in map(parse, out.frames) if p and p.protocol == TCP], [])
        doomed_attempt.close()  # the last that kept it
        wait_for(lambda: "doomed0" not in self.far.run("ip", "-o", "link").stdout, "the kernel has removed it", 10)
        ours = self.attempt("10.91.0.2")
        self.permit(self.daemon.wait_hold(state="held"))
        self.assertEqual(ours.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
