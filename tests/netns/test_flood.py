# SPDX-License-Identifier: Apache-2.0
"""SYNs from a million addresses to a listener whose connections are held: quotas hold, and nobody else notices.

SLUICE_FLOOD: how many (a million)."""
import os
import re
import struct
import time
import unittest

import bpf_maps
from harness import *

FLOOD = BUILD / "tests/netns/flood"
COUNT = int(os.environ.get("SLUICE_FLOOD", "1000000"))
PROCESS_HOLDS = 1536  # by default
HELD_PORT, DEADLINE = 8080, "1s"
LISTENER = ("import socket, sys\n"
            "s = socket.socket()\n"
            f"s.bind(('0.0.0.0', {HELD_PORT}))\n"
            "s.listen(4096)\n"
            "sys.stdin.read()\n")
RESIDENT_MIB = 40  # more than before, at most


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+)", status.read()).group(1)) / 1024


class SynFlood(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()
        self.serve(port=81)
        self.client.ip("route", "add", "default", "via", SERVER4)
        self.listener = self.popen(self.client, sys.executable, "-c", LISTENER, stdin=subprocess.PIPE)
        wait_for(lambda: self.client.run("ss", "-tlnH", f"sport = :{HELD_PORT}").stdout, "the listener")
        self.daemon.filter("ale_auth_recv_accept_v4", "callout", "ask", local_port=HELD_PORT, deadline=DEADLINE,
                           outcome="block")
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask", port=81)
        self.connected = 0
        self.programs = {"sluiced": self.daemon.process.pid, "host": self.daemon.list("host")[0]["pid"]}

    def flood(self):
        link = json.loads(self.client.run("ip", "-j", "link", "show", "nic0").stdout)[0]["address"]
        return self.popen(self.far, FLOOD, "peer0", link, CLIENT4, HELD_PORT, COUNT, stdout=subprocess.PIPE, text=True)

    def received(self):
        return json.loads(self.client.run("ip", "-s", "-j", "link", "show", "nic0").stdout)[0]["stats64"]["rx"]["packets"]

    def held_by_listener(self):
        for key, use in bpf_maps.entries(self.daemon.pins, "uses"):
            if struct.unpack("QQ", key)[0] == self.listener.pid:
                return struct.unpack_from("I", use)[0]
        return 0

    def echo(self, flow):
        began = time.time()
        flow.socket.sendall(b"still here")
        self.assertEqual(flow.socket.recv(10), b"still here")
        return time.time() - began

    def hold_and_permit(self):
        """A connection of another process is held and permitted as ever."""
        began = time.time()
        attempt = self.attempt(port=81)
        wait_for(lambda: any(h["local"].endswith(f":{attempt.port}") for h in self.daemon.holds(layer="ale_auth_connect_v4")),
                 "another connection is held")
        hold = next(h for h in self.daemon.holds() if h["local"].endswith(f":{attempt.port}"))
        self.permit(hold)
        self.assertEqual(attempt.wait(), 0)
        self.connected += 1
        return time.time() - began

    def during(self, flood, flow):
        """What others see meanwhile: the longest echo, the longest hold and its permit, and what was held at most."""
        echoes, holds, held, flows = [], [], [], []
        while flood.poll() is None:
            echoes.append(self.echo(flow))
            held.append(self.held_by_listener())
            if len(echoes) % 10 == 1:
                holds.append(self.hold_and_permit())
                flows.append(sum(bpf_maps.flow_states(self.daemon.pins).values()))
        return max(echoes), max(holds), max(held), max(flows)

    # ctest: slow
    def test_a_held_listener(self):
        flow, patient = self.attempt(), self.attempt(port=81)
        self.assertEqual(flow.wait(), 0)
        self.daemon.wait_hold()
        memory = {name: resident_mib(pid) for name, pid in self.programs.items()}
        counters = {name: self.daemon.reason(name) for name in ("PROCESS_QUOTA", "HOLD_OPENED")}
        received, began = self.received(), time.time()
        flood = self.flood()
        echo, hold, held, flows = self.during(flood, flow)
        self.assertEqual((flood.returncode, int(flood.stdout.read())), (0, COUNT))
        measured("SYNs a second", COUNT / (time.time() - began), "")
        measured("arrived of them", (self.received() - received), "packets")
        measured("the longest echo of an established connection", echo * 1000, "ms")
        measured("the longest hold of another process, with its permit", hold * 1000, "ms")
        measured("flows at most", flows, "")
        measured("held at most", held, "")
        counted = {name: self.daemon.reason(name) - before for name, before in counters.items()}
        print(counted)
        self.check_counted(counted, self.received() - received)
        self.assertLessEqual(held, PROCESS_HOLDS)
        self.assertGreater(held, PROCESS_HOLDS // 2, "the quota was reached")
        self.assertLess(echo, 1 * SLACK)
        self.assertLess(hold, 5 * SLACK)
        for name, pid in self.programs.items():
            grown = resident_mib(pid) - memory[name]
            measured(f"memory of {name} has grown by", grown, "MiB")
            self.assertLess(grown, RESIDENT_MIB)
        self.check_after(flow, patient)

    def check_counted(self, counted, received):
        """Each SYN was held or refused for the quota's sake; `received` has the other connections' packets too."""
        self.assertGreater(received, COUNT * 0.95, "the cable lost too much to say anything")
        judged = counted["PROCESS_QUOTA"] + counted["HOLD_OPENED"]
        self.assertGreater(judged, received * 0.95)
        self.assertLessEqual(judged, received)
        self.assertGreater(counted["PROCESS_QUOTA"], COUNT * 0.5)

    def check_after(self, flow, patient):
        """Deadlines have ended what was held, but for the connection that has none."""
        wait_for(lambda: len(self.daemon.holds()) == 1, "the deadlines have passed", 10)
        self.permit(self.daemon.holds()[0])
        self.assertEqual(patient.wait(), 0)
        self.echo(flow)
        ends = {name: self.daemon.reason("HOLD_" + name) for name in ("OPENED", "PERMITTED", "BLOCKED", "EXPIRED", "ABANDONED")}
        self.assertEqual(ends["OPENED"], sum(ends.values()) - ends["OPENED"], ends)
        self.assertEqual(self.held_by_listener(), 0)
        # refusals are remembered for ten seconds, closed connections as long
        wait_for(lambda: bpf_maps.flow_states(self.daemon.pins) == {"permitted": 2 + self.connected},
                 "the table of flows has the open connections and nothing else", 30, 0.5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
